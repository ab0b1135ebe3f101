//! The JSON of queued operations.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::bodies::{ActorBody, CanonicalBody, DecisionBody, NativeBody, bodies};

bodies! {
    /// An operation to be queued. Exactly one of `operation` and `request` is given.
    OperationRequestBody {
        /// At which connection; that of the request's query, where not given.
        connection: Option<String>,
        /// The operation by canonical names.
        operation: Option<CanonicalBody>,
        /// The operation as a client would send it to the gateway, without credentials.
        request: Option<NativeBody>,
        /// The submitter's own id for it: the same one again, with the same content, is the same
        /// operation. 1 to 200 characters.
        client_id: Option<String>,
        /// Not before this, RFC 3339.
        not_before: Option<String>,
        /// When it is not wanted any more, RFC 3339.
        expires_at: Option<String>,
        /// `low`, `normal`, `high`, or a number from -1000 to 1000; higher ones first.
        priority: Option<Value>,
        /// What must have succeeded before: `{"id": …}`, or `{"client_id": …}` of the same
        /// submitter, which may stand later in the same request.
        depends_on: Option<Vec<BTreeMap<String, String>>>,
        /// Those of one group, within one request and one connection, happen together or not at
        /// all.
        group: Option<String>,
        /// Why.
        purpose: Option<String>,
        /// Who asks; the submitter's token, where not given. Only an admin or an operator may
        /// speak for others.
        actor: Option<ActorBody>,
        /// Whom to tell of its end: `{"url": …}`.
        callback: Option<CallbackBody>,
    }

    /// Whom to tell of an operation's end.
    CallbackBody {
        /// The address, at a host that the configuration allows.
        url: String,
    }

    /// What was taken: of one operation `id`, `state` and `repeated`, of lines the counts.
    SubmittedBody {
        /// The operation, of a single one.
        id: Option<String>,
        /// The submission.
        submission: String,
        /// Where the operation stands, of a single one.
        state: Option<String>,
        /// Of a single one, whether it was there already; of lines, how many were.
        repeated: Value,
        /// Lines that became operations.
        accepted: Option<u64>,
        /// Lines that were left out.
        refused: Option<u64>,
        /// Why; the first thousand.
        errors: Option<Vec<LineErrorBody>>,
        /// Whether there are more errors than those.
        truncated: Option<bool>,
        /// Where to look: `operation`, `submission`.
        links: BTreeMap<String, String>,
    }

    /// Why a line is not taken.
    LineErrorBody {
        /// The line, from 1.
        line: u64,
        /// A stable word.
        code: String,
        /// What is wrong, and what was expected.
        message: String,
        /// The member it is about, with dots.
        field: Option<String>,
        /// The submitter's own id for the operation, where it was read.
        client_id: Option<String>,
    }

    /// A queued operation.
    QueuedBody {
        /// Its place in the order of acceptance.
        seq: u64,
        /// Its id.
        id: String,
        /// The submission it came in.
        submission: String,
        /// The id of the token that submitted it.
        owner: String,
        /// The submitter's own id for it.
        client_id: Option<String>,
        /// The connection.
        connection: String,
        /// Who asks.
        actor: ActorBody,
        /// What it does, as asked.
        kind: String,
        /// The object.
        object: String,
        /// The record, as asked or as written.
        record_id: Option<String>,
        /// Operations of one lane happen in their order.
        lane: Option<String>,
        /// Its group, by the id of the first member.
        group: Option<String>,
        /// Its priority.
        priority: i16,
        /// Where it stands: `received`, `deciding`, `denied`, `held`, `stale`, `unjudged`,
        /// `permitted`, `writing`, `succeeded`, `refused`, `rejected`, `uncertain`, `cancelled`,
        /// `expired`, `dead`.
        state: String,
        /// Whether it is at its end.
        r#final: bool,
        /// Counts its moves.
        version: u64,
        /// Why it stands there.
        why: Option<WhyBody>,
        /// When it can go on.
        due: String,
        /// When it is not wanted any more.
        expires_at: Option<String>,
        /// Operations it depends on that have not succeeded yet.
        open_dependencies: u32,
        /// Tries that came to nothing.
        attempts: u32,
        /// Which process has it, and until when: `owner`, `until`.
        lease: Option<Value>,
        /// The newest decision about it.
        decision: Option<String>,
        /// The newest hold about it.
        hold: Option<String>,
        /// Calls to the CRM that it took; shared ones count in parts.
        calls: f64,
        /// Whether it was open when a backup was put back.
        restored: bool,
        /// When it was submitted.
        created_at: String,
        /// When it last moved.
        updated_at: String,
        /// Why it was submitted.
        purpose: Option<String>,
        /// Whom to tell, without the address' query.
        callback: Option<CallbackBody>,
        /// What is asked, for whoever submitted it and for operators; not in lists.
        request: Option<Value>,
        /// The trace it was submitted in: `trace_id`, `span_id`.
        trace: Option<Value>,
    }

    /// Why an operation stands where it stands.
    WhyBody {
        /// A stable word: a policy's code, the CRM's code, or the gate's own.
        code: String,
        /// For people.
        message: String,
    }

    /// One page of operations.
    OperationPage {
        /// The operations, newest first.
        items: Vec<QueuedBody>,
        /// The next page's `cursor`; `null` at the end.
        next: Option<String>,
    }

    /// One move of an operation.
    MoveBody {
        /// The operation's version after it.
        version: u64,
        /// When.
        at: String,
        /// From where; `null` at its acceptance.
        from: Option<String>,
        /// To where.
        to: String,
        /// Who: `token …`, `worker …`, `person …`, `gate`.
        by: String,
        /// Why.
        why: Option<WhyBody>,
        /// The decision it rests on.
        decision: Option<String>,
        /// The hold it waits for.
        hold: Option<String>,
    }

    /// The whole life of an operation.
    LifeBody {
        /// Where it stands.
        operation: QueuedBody,
        /// How it came there, oldest first.
        history: Vec<MoveBody>,
        /// What was decided about it, oldest first.
        decisions: Vec<DecisionBody>,
        /// The hold it waits or waited for, as `/v1/holds/{id}`.
        hold: Option<Value>,
        /// What it depends on.
        depends_on: Vec<String>,
        /// What depends on it.
        dependants: Vec<String>,
        /// The others of its group.
        group: Vec<String>,
        /// How it went with telling its end.
        callback: Option<TriesBody>,
    }

    /// How it went with telling an operation's end.
    TriesBody {
        /// The operation's version that the receiver took.
        delivered: Option<u64>,
        /// The newest tries, oldest first.
        tries: Vec<TryBody>,
    }

    /// One try to tell an operation's end.
    TryBody {
        /// When.
        at: String,
        /// The operation's version that was told.
        version: u64,
        /// The receiver's HTTP status.
        status: Option<u16>,
        /// What happened, where it was not taken.
        problem: Option<String>,
    }

    /// What came in one request, and where it stands.
    SubmissionBody {
        /// Its id.
        id: String,
        /// The id of the token that submitted it.
        owner: String,
        /// The `Idempotency-Key`.
        key: Option<String>,
        /// When it began.
        at: String,
        /// When it was accepted.
        accepted_at: Option<String>,
        /// Not told.
        content: Option<String>,
        /// Operations that it brought.
        count: u64,
        /// Lines that named an operation which was there already.
        repeated: u64,
        /// Lines that were left out.
        refused: u64,
        /// Not told.
        answer: Option<String>,
        /// Where its operations stand, and why.
        tally: Vec<TallyBody>,
        /// How many are at their end.
        ended: u64,
        /// How many wait for people, or for other policies.
        waiting: u64,
        /// Whether nothing more happens before somebody acts.
        settled: bool,
    }

    /// How many stand in one place.
    TallyBody {
        /// The state.
        state: String,
        /// The code of why.
        code: Option<String>,
        /// How many.
        count: u64,
    }

    /// Why.
    ReasonedBody {
        /// For the record: at most 500 characters.
        reason: Option<String>,
    }

    /// Why, and whether it did not happen.
    RetryBody {
        /// For the record: at most 500 characters.
        reason: Option<String>,
        /// Of an uncertain operation: it did not happen.
        did_not_happen: Option<bool>,
    }

    /// What was found out about an uncertain operation.
    ResolveBody {
        /// `succeeded`, `not_written` (it is tried again) or `cancelled`.
        r#as: String,
        /// The written record, where it succeeded.
        record_id: Option<String>,
        /// For the record: at most 500 characters.
        reason: Option<String>,
    }

    /// Which operations, and why.
    SweepBody {
        /// As the list's parameters, with `states` as a list: at least one of them.
        filter: BTreeMap<String, Value>,
        /// For the record: at most 500 characters.
        reason: Option<String>,
    }

    /// What was done to several operations.
    SweptBody {
        /// How many were moved.
        moved: u64,
        /// How many could not be.
        missed: u64,
        /// Whether there are more.
        more: bool,
    }
}
