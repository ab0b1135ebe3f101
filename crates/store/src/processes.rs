//! Which processes share the store.

use std::time::Duration;

use async_trait::async_trait;
use crmgate_domain::{ProcessId, RevisionId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// After how long of silence a process counts as gone.
pub const GONE_AFTER: Duration = Duration::from_secs(30);

/// After how long of silence others may take over what a process began and nobody was answered of.
/// Less than [`GONE_AFTER`]: a caller waits for it, and a mistake costs a request that is made again.
pub const SILENT_AFTER: Duration = Duration::from_secs(6);

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessKind {
    /// Listens, and works where it is configured to.
    Serve,
    /// Works only.
    Worker,
}

/// One run of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its id.
    pub id: ProcessId,
    /// What it does.
    pub kind: ProcessKind,
    /// The machine's name.
    pub host: String,
    /// The version of crmgate.
    pub version: String,
    /// When it started.
    pub started_at: Timestamp,
    /// When it last said that it lives.
    pub beat_at: Timestamp,
    /// The policies that are in force there.
    pub revision: RevisionId,
    /// Whether it ends what it has and takes nothing new.
    pub draining: bool,
}

/// The processes that share the store.
#[async_trait]
pub trait Processes: Send + Sync {
    /// Says that a process lives, and how it is.
    ///
    /// # Errors
    /// When it is not certainly stored.
    async fn beat_process(&self, process: &Process) -> Result<(), StoreError>;

    /// Takes a process out that ends well.
    ///
    /// # Errors
    /// When it is not certainly stored.
    async fn leave(&self, id: ProcessId) -> Result<(), StoreError>;

    /// The processes that said they live at `since` or later, the oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn processes(&self, since: Timestamp) -> Result<Vec<Process>, StoreError>;
}
