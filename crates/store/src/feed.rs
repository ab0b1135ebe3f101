//! The record in the order of commits, for those who pass it on.

use std::collections::BTreeMap;

use async_trait::async_trait;
use crmgate_domain::ConnectionName;

use crate::{ChainRef, DecisionRecord, Outcome, StoreError};

/// What the names of sinks begin with that take checkpoints: their positions count checkpoints.
pub const CHECKPOINT_SINKS: &str = "checkpoint:";

/// Something that a sink is told.
#[derive(Debug, Clone, PartialEq)]
pub enum FeedItem {
    /// A decision, with its payload while it has one and without its read-back.
    Decision(Box<DecisionRecord>),
    /// What came of a write.
    Outcome {
        /// What came of it.
        outcome: Outcome,
        /// The connection of its decision; `None` when the decision is gone.
        connection: Option<ConnectionName>,
    },
}

/// One item with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedEntry {
    /// Its place in the order of commits: what a sink remembers once it has the item for good.
    pub position: u64,
    /// Where it stands in its chain.
    pub chained: ChainRef,
    /// What it is.
    pub item: FeedItem,
}

/// The record as a feed, and how far each sink has taken it.
#[async_trait]
pub trait RecordFeed {
    /// Decisions and outcomes after a position, in the order of commits: at most `limit`, fewer
    /// only at the end. Positions have gaps.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn feed(&self, after: u64, limit: usize) -> Result<Vec<FeedEntry>, StoreError>;

    /// The position of the last entry, of whatever kind; 0 for an empty record.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn feed_end(&self) -> Result<u64, StoreError>;

    /// How far a sink has come; 0 for one that never said.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn sink_position(&self, sink: &str) -> Result<u64, StoreError>;

    /// Remembers how far a sink has come. Entries that a known sink has not taken are not pruned;
    /// names that begin with [`CHECKPOINT_SINKS`] count checkpoints and hold up nothing.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    async fn set_sink_position(&self, sink: &str, position: u64) -> Result<(), StoreError>;

    /// All sinks that ever said how far they came.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn sink_positions(&self) -> Result<BTreeMap<String, u64>, StoreError>;

    /// Forgets a sink that is no longer configured, so that it holds up no pruning.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    async fn forget_sink(&self, sink: &str) -> Result<(), StoreError>;
}
