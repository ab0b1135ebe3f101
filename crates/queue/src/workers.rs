//! Workers for any number of queues.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crmgate_store::Jobs;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::time::Instant;

use crate::handler::Handler;
use crate::line::Running;
use crate::spec::QueueSpec;

/// What became of the jobs that a process held when it was told to stop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drained {
    /// Looked at to the end.
    pub finished: u64,
    /// Handed back before anybody looked.
    pub handed_back: u64,
    /// Cut off in the middle and handed back.
    pub cut: u64,
}

impl Drained {
    pub(crate) const fn since(self, before: Self) -> Self {
        Self {
            finished: self.finished - before.finished,
            handed_back: self.handed_back - before.handed_back,
            cut: self.cut - before.cut,
        }
    }

    const fn and(self, other: Self) -> Self {
        Self {
            finished: self.finished + other.finished,
            handed_back: self.handed_back + other.handed_back,
            cut: self.cut + other.cut,
        }
    }
}

/// The workers of one process. Dropped, they end at once, and what they held comes back when its
/// leases end; [`Workers::drain`] is the way to stop.
pub struct Workers {
    jobs: Arc<dyn Jobs>,
    process: Arc<str>,
    handler: Arc<dyn Handler>,
    running: Mutex<BTreeMap<Arc<str>, Running>>,
    started: AtomicU64,
}

impl Workers {
    /// Starts to work on queues; `process` names this process among all that share them. Must be
    /// called inside a runtime.
    #[must_use]
    pub fn start(
        jobs: Arc<dyn Jobs>,
        process: &str,
        queues: Vec<QueueSpec>,
        handler: Arc<dyn Handler>,
    ) -> Self {
        let workers = Self {
            jobs,
            process: process.into(),
            handler,
            running: Mutex::default(),
            started: AtomicU64::new(0),
        };
        for spec in queues {
            workers.add(spec);
        }
        workers
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts to work on another queue: `false` when it is being worked on already.
    pub fn add(&self, spec: QueueSpec) -> bool {
        let mut running = self.running();
        if running.contains_key(&spec.name) {
            return false;
        }
        let nth = self.started.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}/{}/{nth}", self.process, spec.name);
        let queue = Arc::clone(&spec.name);
        let (jobs, handler) = (Arc::clone(&self.jobs), Arc::clone(&self.handler));
        running.insert(queue, Running::start(jobs, handler, name, spec));
        true
    }

    /// Stops to work on a queue, as [`Workers::drain`] does; `None` when nobody works on it.
    pub async fn remove(&self, queue: &str, within: Duration) -> Option<Drained> {
        let line = self.running().remove(queue)?;
        Some(line.drain(Instant::now() + within).await)
    }

    /// The queues that are being worked on.
    #[must_use]
    pub fn queues(&self) -> Vec<Arc<str>> {
        self.running().keys().cloned().collect()
    }

    /// Stops to take jobs, hands back what was not begun, lets handlers end for so long, then cuts
    /// them off and hands back theirs, too. What came of the jobs may take two seconds more to
    /// reach the store.
    pub async fn drain(self, within: Duration) -> Drained {
        let until = Instant::now() + within;
        let lines = std::mem::take(&mut *self.running());
        let ends: FuturesUnordered<_> = lines.into_values().map(|line| line.drain(until)).collect();
        ends.fold(Drained::default(), |sum, one| async move { sum.and(one) })
            .await
    }
}
