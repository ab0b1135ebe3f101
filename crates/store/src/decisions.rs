//! The record of decisions: append-only.

use std::collections::BTreeMap;

use async_trait::async_trait;
use crmgate_domain::{
    ConnectionName, Decision, DecisionId, Effect, HoldId, Mode, Operation, PayloadHash, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{Basis, ChainRef, Outcome, OutcomeKind, Payload, ReadBack, StoreError, TraceRef};

/// One decision as it is recorded: what was asked, what was decided and why. No record values but
/// those that patches and reasons quote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// The operation, without the record itself. `None` in observe mode for a request that the
    /// gate does not understand; then `opaque` tells what was seen.
    pub operation: Option<Operation>,
    /// The connection.
    pub connection: ConnectionName,
    /// The decision.
    pub decision: Decision,
    /// SHA-256 over the policy input, canonical JSON; `None` once the payload is gone.
    pub input_hash: Option<PayloadHash>,
    /// What would be sent, when something would be.
    pub payload_hash: Option<PayloadHash>,
    /// What was asked for, where an equal request may wait for people and be written by the gate:
    /// only what passed has one. Never shown; it goes with the payload.
    #[serde(skip)]
    pub asked: Option<PayloadHash>,
    /// What lets it pass; `None` when it does not pass.
    pub basis: Option<Basis>,
    /// Under whose name it is written; `None` for the caller's own token, and for what is not
    /// written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_as: Option<WrittenAs>,
    /// Names of the fields that patches changed, native.
    #[serde(default)]
    pub changed: Vec<String>,
    /// The hold it made or joined.
    pub hold: Option<HoldId>,
    /// Method and path of a request that is not understood.
    pub opaque: Option<String>,
    /// The actor's id, where there is no operation to tell it.
    #[serde(default)]
    pub asked_by: Option<String>,
    /// How to find out later whether the write happened. Kept until the outcome is known.
    pub read_back: Option<ReadBack>,
    /// Zero-based number of the judgement of this operation: re-judged after a version mismatch.
    #[serde(default)]
    pub round: u32,
    /// What was judged, masked. INVARIANT: `decision.judgement` and `operation` are masked by the
    /// same rules before they come here.
    #[serde(default)]
    pub payload: Payload,
    /// The trace it belongs to, where there is one.
    #[serde(default)]
    pub trace: Option<TraceRef>,
    /// Durations in nanoseconds, under the names OPA's decision log uses where it has one
    /// (`timer_rego_query_eval_ns`).
    #[serde(default)]
    pub metrics: BTreeMap<String, u64>,
}

/// Under whose name a write goes to the CRM, where it is not the caller's own token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WrittenAs {
    /// The connection's own user.
    Service,
    /// This user of the CRM, by the CRM's id, on whose behalf the connection's own acts.
    User(String),
}

impl std::fmt::Display for WrittenAs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Service => f.write_str("the connection's own user"),
            Self::User(id) => write!(f, "the caller, as user {id}"),
        }
    }
}

/// What to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "each narrows by the record's field of that name"
)]
pub struct DecisionFilter {
    pub connection: Option<ConnectionName>,
    pub object: Option<String>,
    pub record_id: Option<String>,
    pub actor: Option<String>,
    pub effect: Option<Effect>,
    pub package: Option<String>,
    pub reason: Option<String>,
    pub mode: Option<Mode>,
    /// The newest outcome's kind.
    pub outcome: Option<OutcomeKind>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Only those behind this place in the order of commits.
    pub after: Option<u64>,
    /// Only those before this place in the order of commits.
    #[serde(default)]
    pub before: Option<u64>,
    /// Only these connections may be seen (the caller's scope); `None` is all.
    pub visible: Option<Vec<ConnectionName>>,
}

/// One page of a listing, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<String>,
}

/// A stored decision with what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredDecision {
    /// Its place in the order of commits. Other entries of the record lie between decisions.
    pub sequence: u64,
    /// What was decided.
    #[serde(flatten)]
    pub record: DecisionRecord,
    /// What came of the write; `None` when nothing was sent or it is not known yet.
    pub outcome: Option<Outcome>,
    /// Where it stands in the record's chain; `None` from a store that keeps none.
    #[serde(default)]
    pub chained: Option<ChainRef>,
}

/// The append-only record of decisions.
#[async_trait]
pub trait DecisionLog {
    /// Appends and returns once it is on disk: the sequence number.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    async fn append_decision(&self, record: DecisionRecord) -> Result<u64, StoreError>;

    /// One decision.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn decision(&self, id: DecisionId) -> Result<Option<StoredDecision>, StoreError>;

    /// Decisions, newest first.
    ///
    /// # Errors
    /// When the store cannot be read or the cursor is not one of its own.
    async fn decisions(
        &self,
        filter: &DecisionFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<StoredDecision>, StoreError>;
}
