//! What came of a write: a second append-only record beside the decision.

use async_trait::async_trait;
use crmgate_domain::{ConnectionName, DecisionId, Object, PayloadHash, Timestamp};
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// How a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeKind {
    /// The CRM did it.
    Succeeded,
    /// The CRM refused it; nothing was written.
    Refused,
    /// It certainly did not happen: never sent, or the CRM said "try again".
    NotWritten,
    /// The record had changed since it was judged; a new decision follows.
    VersionMismatch,
    /// It may or may not have happened.
    Unknown,
    /// Reading back could not tell; a person must look.
    Uncertain,
}

impl OutcomeKind {
    /// The word used in storage and output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Refused => "refused",
            Self::NotWritten => "not_written",
            Self::VersionMismatch => "version_mismatch",
            Self::Unknown => "unknown",
            Self::Uncertain => "uncertain",
        }
    }

    /// Whether nothing more will be learned without a person.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Unknown)
    }
}

/// What came of one write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The decision that allowed it.
    pub decision: DecisionId,
    /// When it was learned.
    pub at: Timestamp,
    /// How it ended.
    pub kind: OutcomeKind,
    /// The CRM's HTTP status, where it answered.
    pub status: Option<u16>,
    /// The CRM's error code, where it gave one.
    pub code: Option<String>,
    /// The id of the written record, where it is known.
    pub record_id: Option<String>,
}

/// How to find out whether a write happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadBack {
    /// The native object.
    pub native_object: String,
    /// Where to look.
    pub locate: Locate,
    /// Native fields and the normalized values they hold if it happened. Empty for a delete.
    pub expect: Object,
    /// Whether the record should be gone.
    pub deleted: bool,
    /// The version that was judged; still standing means it did not happen.
    pub version: Option<String>,
    /// Who wrote, to tell our write from another's: the id that the CRM puts into "modified by".
    pub actor: Option<String>,
    /// Equal requests of one actor: joins a repeat to a write whose outcome is unknown.
    pub join_key: PayloadHash,
}

/// Where a record can be found again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Locate {
    /// By its id.
    Id(String),
    /// By a unique field.
    Key {
        /// The native field.
        field: String,
        /// Its value.
        value: String,
    },
    /// Nothing unique is known: reading back cannot be conclusive.
    Nowhere,
}

/// A write whose outcome is not known: the process died, or the CRM did not answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unfinished {
    /// The decision.
    pub decision: DecisionId,
    /// The connection.
    pub connection: ConnectionName,
    /// When it was decided.
    pub at: Timestamp,
    /// How to find out.
    pub read_back: ReadBack,
}

/// The append-only record of outcomes.
#[async_trait]
pub trait AttemptLog {
    /// Appends an outcome. A final one ends the write and drops its read-back.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    async fn append_outcome(&self, outcome: Outcome) -> Result<(), StoreError>;

    /// Writes allowed before `before` that have no final outcome and are this process's to settle,
    /// oldest first: its own, and those of processes that no longer live. Those of the queue are
    /// its workers' to settle and never among them.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn unfinished(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<Unfinished>, StoreError>;

    /// The newest write of that join key on the connection since `since`, without a final outcome.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn unfinished_twin(
        &self,
        connection: &ConnectionName,
        join_key: PayloadHash,
        since: Timestamp,
    ) -> Result<Option<Unfinished>, StoreError>;
}
