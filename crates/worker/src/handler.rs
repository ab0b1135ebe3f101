//! Jobs of all queues find those who look at them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crmgate_queue::{Handler, Job};
use crmgate_store::Verdict;

use crate::line::Line;

/// How long a job waits whose queue nobody here works on.
const NOBODY: Duration = Duration::from_secs(60);

/// Who looks at the jobs of which queue.
pub(crate) struct Hands {
    pub(crate) lines: BTreeMap<Arc<str>, Arc<Line>>,
    pub(crate) others: BTreeMap<Arc<str>, Arc<dyn Handler>>,
    pub(crate) jobs: Arc<dyn crmgate_store::Jobs>,
}

#[async_trait]
impl Handler for Hands {
    async fn handle(&self, job: Job) -> Verdict {
        // It waited here for so long that somebody else may be at it: nothing is done twice.
        if job.lost.is_cancelled() {
            return Verdict::HandedBack;
        }
        if let Some(line) = self.lines.get(&job.queue) {
            return line.look_at(&job.id).await;
        }
        match self.others.get(&job.queue) {
            Some(other) => other.handle(job).await,
            None => Verdict::Again(NOBODY),
        }
    }

    async fn died(&self, queue: &str, ids: Vec<String>) {
        if let Some(line) = self.lines.get(queue) {
            line.bury(self.jobs.as_ref(), &ids).await;
        } else if let Some(other) = self.others.get(queue) {
            other.died(queue, ids).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use crmgate_testkit::MemoryJobs;
    use tokio_util::sync::CancellationToken;

    use super::*;

    struct Looks;

    #[async_trait]
    impl Handler for Looks {
        async fn handle(&self, _: Job) -> Verdict {
            Verdict::Done
        }
    }

    #[tokio::test]
    async fn nobody_looks_at_what_may_be_anothers_already() {
        let queue: Arc<str> = "callbacks".into();
        let looks: Arc<dyn Handler> = Arc::new(Looks);
        let hands = Hands {
            lines: BTreeMap::new(),
            others: BTreeMap::from([(Arc::clone(&queue), looks)]),
            jobs: Arc::new(MemoryJobs::default()),
        };
        let job = Job {
            queue,
            id: "a".to_owned(),
            attempts: 0,
            lost: CancellationToken::new(),
        };
        assert_eq!(hands.handle(job.clone()).await, Verdict::Done);
        job.lost.cancel();
        assert_eq!(hands.handle(job).await, Verdict::HandedBack);
    }
}
