//! The queues in memory do what every store of jobs must.

use std::time::Duration;

use crmgate_domain::Timestamp;
use crmgate_store::suite::{Clock, run_jobs};
use crmgate_testkit::MemoryJobs;

/// The clock of the queues.
struct Ticking(Timestamp, tokio::time::Instant);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        self.0 + self.1.elapsed()
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

#[tokio::test]
async fn jobs_in_memory_behave() {
    run_jobs(|| async {
        let jobs = MemoryJobs::default();
        let clock = Ticking(jobs.now(), tokio::time::Instant::now());
        (jobs, clock)
    })
    .await;
}
