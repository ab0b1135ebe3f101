//! How a queue is worked on.

use std::sync::Arc;
use std::time::Duration;

/// How one process works on one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSpec {
    /// The queue: `operations/acme-sf`.
    pub name: Arc<str>,
    /// How many jobs are looked at at the same time.
    pub concurrency: usize,
    /// How many are claimed at once, at most.
    pub batch: usize,
    /// How long a claimed job is safe without a sign of life. A process that dies holds its jobs for
    /// so long.
    pub lease: Duration,
    /// How often to look where nothing wakes: the longest time that a lost wake-up costs.
    pub poll: Duration,
    /// After so many tries that came to nothing a job is looked at with no other such job beside
    /// it: it may be what takes processes down. `None` where tries fail in the usual course, too.
    pub suspect_after: Option<u32>,
}

impl QueueSpec {
    /// A queue with the usual settings.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            concurrency: 64,
            batch: 64,
            lease: Duration::from_secs(30),
            poll: Duration::from_secs(1),
            suspect_after: None,
        }
    }
}
