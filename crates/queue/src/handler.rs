//! What users of the queue write.

use std::sync::Arc;

use async_trait::async_trait;
use crmgate_store::Verdict;
use tokio_util::sync::CancellationToken;

/// A job to be looked at.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its queue.
    pub queue: Arc<str>,
    /// Its name: that of the row which says what is to be done.
    pub id: String,
    /// Tries that came to nothing before this one, run-out leases included.
    pub attempts: u32,
    /// Cancelled once its lease was lost, or may have been: somebody else may have it now. What the
    /// handler says then counts only if nobody took it.
    pub lost: CancellationToken,
}

/// Looks at jobs. One that panics has failed; one that is dropped in the middle (its process drains,
/// and the time is up) hands its job back.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Looks at a job: what becomes of it.
    async fn handle(&self, job: Job) -> Verdict;

    /// Told of jobs that died because their leases ran out too often, so that nobody can say why:
    /// their processes are gone. Each is told to one process, once; one that dies meanwhile tells
    /// nobody.
    async fn died(&self, queue: &str, ids: Vec<String>) {
        let _ = (queue, ids);
    }
}
