//! Workers for any number of queues.

use std::sync::Arc;
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
pub struct Workers(Vec<Running>);

impl Workers {
    /// Starts to work on queues, each named once; `process` names this process among all that share
    /// them. Must be called inside a runtime.
    #[must_use]
    pub fn start(
        jobs: Arc<dyn Jobs>,
        process: &str,
        queues: Vec<QueueSpec>,
        handler: Arc<dyn Handler>,
    ) -> Self {
        let with = std::iter::repeat_n((jobs, handler), queues.len());
        let lines = queues.into_iter().zip(with);
        let start = |(spec, (jobs, handler)): (QueueSpec, _)| {
            let name = format!("{process}/{}", spec.name);
            Running::start(jobs, handler, name, spec)
        };
        Self(lines.map(start).collect())
    }

    /// Stops to take jobs, hands back what was not begun, lets handlers end for so long, then cuts
    /// them off and hands back theirs, too. What came of the jobs may take two seconds more to
    /// reach the store.
    pub async fn drain(self, within: Duration) -> Drained {
        let until = Instant::now() + within;
        let ends: FuturesUnordered<_> = self.0.into_iter().map(|line| line.drain(until)).collect();
        ends.fold(Drained::default(), |sum, one| async move { sum.and(one) })
            .await
    }
}
