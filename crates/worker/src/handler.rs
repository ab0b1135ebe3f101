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
