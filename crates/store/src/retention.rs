//! What is taken out of the record: on request, and by age.

use async_trait::async_trait;
use crmgate_domain::{ConnectionName, DecisionId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// Whose payloads to erase. All that is given must hold; with nothing given, nothing is erased.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EraseFilter {
    /// Of one decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionId>,
    /// About one record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_id: Option<String>,
    /// Asked for by one actor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Of one connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionName>,
    /// Decided before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Timestamp>,
}

impl EraseFilter {
    /// Whether nothing is given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Who erases, when and why: it stays in the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// A token's name.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why. It stays for as long as the entry: it should not name a person.
    pub reason: String,
}

/// What an erasure reached, or would reach.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// Decisions whose payload was erased.
    pub decisions: u64,
    /// What was kept to find out what came of a write; the write is then `uncertain`.
    pub read_backs: u64,
    /// Holds whose content was erased; those that waited have expired.
    pub holds: u64,
    /// Queued operations whose request was erased; those that had not been sent are cancelled,
    /// those that were being sent are `uncertain`.
    #[serde(default)]
    pub operations: u64,
}

/// Removes payloads that a person asked to have removed.
#[async_trait]
pub trait Erasing {
    /// Counts what [`Self::erase`] would reach.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn erasable(&self, wanted: &EraseFilter) -> Result<Erased, StoreError>;

    /// Erases payloads with their keys and appends erasure entries, part by part, so that no
    /// decision waits for long. What was erased before a failure stays erased and is recorded.
    ///
    /// # Errors
    /// When the last part is not certainly on disk.
    async fn erase(&self, wanted: &EraseFilter, erasure: &Erasure) -> Result<Erased, StoreError>;
}

/// What is old enough to go. `None` keeps for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cutoffs {
    /// Payloads of entries made before this.
    pub payloads: Option<Timestamp>,
    /// Entries made before this.
    pub entries: Option<Timestamp>,
    /// Sightings not seen since.
    pub sightings: Option<Timestamp>,
    /// Policy revisions not in force since, the last one apart.
    pub revisions: Option<Timestamp>,
    /// Holds that ended before this.
    pub holds: Option<Timestamp>,
    /// Whether entries go although a sink has not taken them.
    pub past_sinks: bool,
}

/// What one step of pruning removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// Payloads.
    pub payloads: u64,
    /// Entries.
    pub entries: u64,
    /// Rows of sightings.
    pub sightings: u64,
    /// Policy revisions.
    pub revisions: u64,
    /// Holds.
    pub holds: u64,
    /// Whether there may be more to remove.
    pub more: bool,
    /// Whether entries stay only because a sink has not taken them.
    pub held_by_sink: bool,
}

/// Removes what was kept long enough.
#[async_trait]
pub trait Retention {
    /// Takes one small step, so that no decision waits for long. Removed entries and payloads
    /// leave a pruning entry, from which verification goes on.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    async fn prune(&self, cutoffs: &Cutoffs, now: Timestamp) -> Result<Pruned, StoreError>;
}
