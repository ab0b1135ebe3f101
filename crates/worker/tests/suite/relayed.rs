//! Jobs on their way to a queue that does not lie in the database.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use crmgate_domain::Ambient as _;
use crmgate_store::{
    Claimed, DeadJob, Depth, Jobs, NewJob, Reaped, Settlement, StoreError, Wakening as _,
};
use crmgate_testkit::{MemoryJobs, TestAmbient};
use crmgate_worker::Relay;
use tokio_util::sync::CancellationToken;

/// A queue that cannot be reached the first times.
struct Away {
    inner: MemoryJobs,
    failures: AtomicU32,
    calls: AtomicU32,
}

fn away(failures: u32) -> Arc<Away> {
    Arc::new(Away {
        inner: MemoryJobs::default(),
        failures: failures.into(),
        calls: AtomicU32::default(),
    })
}

#[async_trait]
impl Jobs for Away {
    async fn push(&self, jobs: Vec<NewJob>) -> Result<u64, StoreError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let left = self.failures.load(Ordering::SeqCst);
        if left > 0 {
            self.failures.store(left - 1, Ordering::SeqCst);
            return Err(StoreError::Unavailable("away".to_owned()));
        }
        self.inner.push(jobs).await
    }
    async fn claim(
        &self,
        queue: &str,
        owner: &str,
        most: usize,
        lease: Duration,
    ) -> Result<Vec<Claimed>, StoreError> {
        self.inner.claim(queue, owner, most, lease).await
    }
    async fn renew(
        &self,
        queue: &str,
        leases: &[(String, u64)],
        lease: Duration,
    ) -> Result<Vec<String>, StoreError> {
        self.inner.renew(queue, leases, lease).await
    }
    async fn settle(
        &self,
        queue: &str,
        settled: Vec<Settlement>,
    ) -> Result<Vec<String>, StoreError> {
        self.inner.settle(queue, settled).await
    }
    async fn reap(&self, queue: &str, most: usize) -> Result<Reaped, StoreError> {
        self.inner.reap(queue, most).await
    }
    async fn depth(&self, queue: &str) -> Result<Depth, StoreError> {
        self.inner.depth(queue).await
    }
    async fn depths(&self) -> Result<BTreeMap<String, Depth>, StoreError> {
        self.inner.depths().await
    }
    async fn dead(&self, queue: &str, most: usize) -> Result<Vec<DeadJob>, StoreError> {
        self.inner.dead(queue, most).await
    }
    async fn remove(&self, queue: &str, ids: &[String]) -> Result<u64, StoreError> {
        self.inner.remove(queue, ids).await
    }
    async fn pushed(&self, queue: &str, most: Duration) {
        self.inner.pushed(queue, most).await;
    }
}

fn job(nth: u32) -> NewJob {
    NewJob {
        queue: "q".to_owned(),
        id: format!("job-{nth}"),
        due: TestAmbient::default().now(),
        priority: 0,
        most_attempts: 3,
    }
}

/// Waits until so many calls have come to the queue.
async fn called(queue: &Away, wanted: u32) {
    let calling = async {
        while queue.calls.load(Ordering::SeqCst) < wanted {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(10), calling).await;
    assert!(waited.is_ok(), "{}", queue.calls.load(Ordering::SeqCst));
}

async fn arrived(queue: &Away) -> usize {
    let lease = Duration::from_secs(60);
    queue.claim("q", "w", 10_000, lease).await.unwrap().len()
}

#[tokio::test]
async fn what_is_on_its_way_arrives_once_the_queue_is_there_again_also_at_the_end() {
    let queue = away(3);
    let (relay, relaying) = Relay::new(Arc::<Away>::clone(&queue));
    let stop = CancellationToken::new();
    let running = tokio::spawn(relaying.run(stop.clone()));
    relay.wake(Vec::new());
    relay.wake(vec![job(1), job(2)]);
    called(&queue, 4).await;
    assert_eq!(arrived(&queue).await, 2);
    // What was woken before it was told to stop goes, too, many in one call.
    for nth in 3..=50 {
        relay.wake(vec![job(nth)]);
    }
    stop.cancel();
    running.await.unwrap();
    assert_eq!(arrived(&queue).await, 48);
    assert_eq!(queue.calls.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn a_queue_that_stays_away_keeps_nobody_waiting_and_loses_only_wake_ups() {
    let queue = away(5);
    let (relay, relaying) = Relay::new(Arc::<Away>::clone(&queue));
    let stop = CancellationToken::new();
    let running = tokio::spawn(relaying.run(stop.clone()));
    relay.wake(vec![job(1)]);
    called(&queue, 5).await;
    // Given up after five tries; what comes later goes.
    relay.wake(vec![job(2)]);
    called(&queue, 6).await;
    assert_eq!(arrived(&queue).await, 1);
    stop.cancel();
    running.await.unwrap();
    // Nobody hears any more: whoever commits goes on all the same.
    for nth in 0..3_000 {
        relay.wake(vec![job(nth)]);
    }
    assert_eq!(queue.calls.load(Ordering::SeqCst), 6);
}
