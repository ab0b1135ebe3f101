//! Queued operations: submitted once, moved by compare-and-set, with a history that only grows.
//!
//! The row is the truth. A job ([`Jobs`](crate::Jobs)) only says that somebody should look at a
//! row; its queue is `operations/<connection>` and its name the operation's id (a group's is that
//! of its first member). There is a job for every operation that can move: it is `received`, its
//! time has come, nothing that it depends on is open, and no earlier operation of its lane blocks.
//! Where jobs lie in the same database, they are pushed in the same transaction; elsewhere after
//! it, and what a crash loses is found by [`OperationLog::stuck`].
//!
//! An operation with a callback has a job of its id in the queue [`CALLBACKS`] from the same
//! transaction on in which it comes to its end or becomes `uncertain`.
//!
//! INVARIANT: every change of a state is one [`Move`]: allowed by
//! [`State::may_become`](crmgate_domain::State::may_become), made from the version that was seen,
//! with one entry of history in the same transaction.
//! INVARIANT: an accepted operation has one state, and only moves change it.

use std::sync::Arc;

use crmgate_domain::{
    Actor, ConnectionName, DecisionId, HoldId, OperationId, PayloadHash, ProcessId, State,
    SubmissionId, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{DecisionRecord, Hold, Outcome, TraceRef};

mod log;

pub use self::log::{OperationLog, Wakening};

/// The queue of callbacks; a job's name is the operation's id.
pub const CALLBACKS: &str = "callbacks";

/// Tries that a callback has.
pub const CALLBACK_TRIES: u32 = 16;

/// The queue of a connection's operations.
#[must_use]
pub fn queue_of(connection: &ConnectionName) -> String {
    format!("operations/{connection}")
}

/// Operations that came in one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// Its id.
    pub id: SubmissionId,
    /// The token that submitted it.
    pub owner: String,
    /// The caller's `Idempotency-Key`; one per owner.
    pub key: Option<String>,
    /// When it began.
    pub at: Timestamp,
    /// When it was closed and thereby accepted, as a whole.
    pub accepted_at: Option<Timestamp>,
    /// SHA-256 over the whole body, once it is known: the same key with another body is refused.
    pub content: Option<PayloadHash>,
    /// Operations that it brought.
    pub count: u64,
    /// Lines that named an operation which was there already, with the same content.
    pub repeated: u64,
    /// Lines that were refused, and left out because the caller wished it so.
    pub refused: u64,
    /// What the caller was answered, to answer it again; JSON.
    pub answer: Option<String>,
}

/// What came of opening a submission.
#[derive(Debug, Clone, PartialEq)]
pub enum Opened {
    /// It is new and takes operations.
    New,
    /// The key was used, and the submission was accepted: as it was.
    Known(Box<Submission>),
    /// The key is being used by a submission that is not closed.
    UnderWay(SubmissionId),
}

/// What one operation waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dependency {
    /// An operation, by its id.
    Id(OperationId),
    /// One of the same owner, by the owner's own id for it; it may stand later in the submission.
    ClientId(String),
}

/// Where to say that an operation has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// The address.
    pub url: String,
}

/// An operation to be staged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewOperation {
    /// Its id.
    pub id: OperationId,
    /// The connection.
    pub connection: ConnectionName,
    /// The owner's own id for it, one per owner.
    pub client_id: Option<String>,
    /// The line of the submission, from 1.
    pub line: u64,
    /// Who asks, as policies will see it.
    pub actor: Actor,
    /// What it does, as asked: `create`, `upsert`, ….
    pub kind: String,
    /// The object, canonical, or native in lower case.
    pub object: String,
    /// The record's normalized id or key, where the request names one.
    pub record_id: Option<String>,
    /// Operations of one lane happen in the order in which they came; the record's identity.
    /// `None`: it waits for nobody.
    pub lane: Option<String>,
    /// The name of its group within the submission: those of a group happen together or not at
    /// all.
    pub group: Option<String>,
    /// What must have succeeded before.
    pub depends_on: Vec<Dependency>,
    /// Higher ones first.
    pub priority: i16,
    /// Not before this.
    pub not_before: Option<Timestamp>,
    /// When it is not wanted any more.
    pub expires_at: Option<Timestamp>,
    /// Why, as the caller states it.
    pub purpose: Option<String>,
    /// Whom to tell.
    pub callback: Option<Callback>,
    /// What is asked, in the form of whoever submits: JSON. It goes when payloads go.
    pub request: String,
    /// SHA-256 over what is asked and how: the same client id with another one is refused.
    pub content: PayloadHash,
    /// The trace it was submitted in.
    pub trace: Option<TraceRef>,
}

/// An operation that is held from the start, with all that is stored with it.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldOperation {
    /// Whose it is: the token that submitted it.
    pub owner: String,
    /// The id of its submission, which it is alone in.
    pub submission: SubmissionId,
    /// The operation.
    pub operation: NewOperation,
    /// The hold it waits in.
    pub hold: Hold,
    /// The decision that holds it.
    pub record: DecisionRecord,
    /// Why, in the words of its history.
    pub why: Option<Why>,
}

/// What came of staging one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Staged {
    /// It is staged.
    New,
    /// The owner's id for it was used with the same content, for this one.
    Same(OperationId),
    /// The owner's id for it was used with another content, for this one.
    Differs(OperationId),
}

/// Why a submission cannot be accepted as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Misfit {
    /// The line.
    pub line: u64,
    /// A stable word: `unknown_dependency`, `circular_dependency`, `group_too_large`,
    /// `group_of_several_connections`, ….
    pub code: &'static str,
    /// What is wrong, and what was expected.
    pub message: String,
}

/// Who moves something: `worker <process>`, `token <name>`, `person <name>`, `gate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct By(pub Arc<str>);

/// Why an operation stands where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// A stable word: a policy's code, the CRM's code, or the gate's own.
    pub code: String,
    /// For people; no values of records but those that a policy or the CRM quotes.
    pub message: String,
}

impl Why {
    /// A reason with its code.
    #[must_use]
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
        }
    }
}

/// A worker's hold on an operation. Not the job's lease: this one guards the row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowLease {
    /// The process.
    pub owner: ProcessId,
    /// Until when nobody else may take it.
    pub until: Timestamp,
}

/// A change of an operation's state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Move {
    /// The operation.
    pub id: OperationId,
    /// The version that was seen.
    pub seen: u64,
    /// The new state.
    pub to: State,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: By,
    /// Why.
    pub why: Option<Why>,
    /// When it can go on, of one that goes back to `received`.
    pub due: Option<Timestamp>,
    /// Whose it is now; `None` sets it free.
    pub lease: Option<RowLease>,
    /// The decision it rests on, where there is a new one.
    pub decision: Option<DecisionId>,
    /// The hold it waits for, where there is a new one.
    pub hold: Option<HoldId>,
    /// The written record, where it is known now.
    pub record_id: Option<String>,
    /// Whether a try came to nothing: counts up `attempts`.
    pub failed_try: bool,
    /// Calls to the CRM that this took, shared calls in parts of a thousand.
    pub millicalls: u64,
    /// What came of the write: appended to the record in the same transaction.
    pub outcome: Option<Outcome>,
}

impl Move {
    /// A move that changes the state and nothing else, and sets the row free.
    #[must_use]
    pub fn new(operation: &StoredOperation, to: State, at: Timestamp, by: By) -> Self {
        Self {
            id: operation.id,
            seen: operation.version,
            to,
            at,
            by,
            why: None,
            due: None,
            lease: None,
            decision: None,
            hold: None,
            record_id: None,
            failed_try: false,
            millicalls: 0,
            outcome: None,
        }
    }
}

/// What came of a move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moved {
    /// It is done; the row's new version.
    Done(u64),
    /// The row had been moved by somebody else, or this cannot follow: where it stands.
    Lost {
        /// The state.
        state: State,
        /// The version.
        version: u64,
    },
    /// There is no such operation.
    Absent,
}

/// A queued operation as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredOperation {
    /// Its place in the order of acceptance.
    pub seq: u64,
    /// Its id.
    pub id: OperationId,
    /// The submission it came in.
    pub submission: SubmissionId,
    /// The token that submitted it.
    pub owner: String,
    /// All that was submitted but the request.
    pub client_id: Option<String>,
    /// The connection.
    pub connection: ConnectionName,
    /// Who asks.
    pub actor: Actor,
    /// What it does, as asked.
    pub kind: String,
    /// The object.
    pub object: String,
    /// The record, as asked or as written.
    pub record_id: Option<String>,
    /// Its lane.
    pub lane: Option<String>,
    /// Its group: the id of the group's first member.
    pub group: Option<OperationId>,
    /// Its priority.
    pub priority: i16,
    /// Where it stands.
    pub state: State,
    /// Counts its moves.
    pub version: u64,
    /// Why it stands there.
    pub why: Option<Why>,
    /// When it can go on.
    pub due: Timestamp,
    /// When it is not wanted any more.
    pub expires_at: Option<Timestamp>,
    /// Operations it depends on that have not succeeded yet.
    pub open_dependencies: u32,
    /// Tries that came to nothing.
    pub attempts: u32,
    /// Whose it is.
    pub lease: Option<RowLease>,
    /// The newest decision about it.
    pub decision: Option<DecisionId>,
    /// The newest hold about it.
    pub hold: Option<HoldId>,
    /// Calls to the CRM it took, in parts of a thousand.
    pub millicalls: u64,
    /// Whether it was open when a backup was put back: what it did since the backup is not known.
    #[serde(default)]
    pub restored: bool,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When it last moved.
    pub updated_at: Timestamp,
    /// Why it was submitted.
    pub purpose: Option<String>,
    /// Whom to tell.
    pub callback: Option<Callback>,
    /// What is asked; `None` once payloads are gone.
    pub request: Option<String>,
    /// The trace it was submitted in.
    pub trace: Option<TraceRef>,
}

/// One entry of an operation's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// Its number, from 1: the row's version after it.
    pub version: u64,
    /// When.
    pub at: Timestamp,
    /// From where; `None` at its acceptance.
    pub from: Option<State>,
    /// To where.
    pub to: State,
    /// Who.
    pub by: By,
    /// Why.
    pub why: Option<Why>,
    /// The decision it rests on.
    pub decision: Option<DecisionId>,
    /// The hold it waits for.
    pub hold: Option<HoldId>,
}

/// What a worker that was woken is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Begun {
    /// These are its own now and `deciding`: one, or all open members of a group.
    Decide(Vec<StoredOperation>),
    /// A worker that had them is gone when the CRM may have had them, or a backup was put back:
    /// they are its own now, and their outcomes are to be found out before anything else. In the
    /// states in which they were.
    Settle(Vec<StoredOperation>),
    /// It can't move yet; it is woken when it can. With a time: at that time.
    NotYet(Option<Timestamp>),
    /// Another worker has it until then.
    Busy(Timestamp),
    /// Nothing is to be done.
    Over(State),
    /// There is no such operation.
    Absent,
}

/// Which operations to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "each narrows by the operation's field of that name"
)]
pub struct OperationFilter {
    pub connection: Option<ConnectionName>,
    /// Any of these states.
    pub states: Vec<State>,
    pub object: Option<String>,
    pub record_id: Option<String>,
    pub actor: Option<String>,
    pub owner: Option<String>,
    pub submission: Option<SubmissionId>,
    /// The group, by the id of its first member.
    pub group: Option<OperationId>,
    pub client_id: Option<String>,
    /// The code of `why`.
    pub reason: Option<String>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Only these connections may be seen (the caller's scope, which nobody says himself); `None` is
    /// all.
    #[serde(skip)]
    pub visible: Option<Vec<ConnectionName>>,
}

/// One line of a summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// The state.
    pub state: State,
    /// The code of `why`, where there is one.
    pub code: Option<String>,
    /// How many.
    pub count: u64,
}

/// How many operations of a connection stand where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// How many.
    pub count: u64,
    /// Since when the oldest of them stands there.
    pub oldest: Timestamp,
}

/// What unfolding did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unfolded {
    /// Operations that became `received`.
    pub operations: u64,
    /// Whether there are more.
    pub more: bool,
}
