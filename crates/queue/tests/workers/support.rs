//! Queues to work on, and handlers that do as they are told.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use crmgate_domain::{Ambient, Timestamp};
use crmgate_queue::{Handler, Job, QueueSpec};
use crmgate_store::{
    Claimed, DeadJob, Depth, Jobs, NewJob, Reaped, Settlement, StoreError, Verdict,
};
use crmgate_store_redis::{RedisStore, Settings};
use crmgate_store_sql::SqliteStore;
use crmgate_testkit::{MemoryJobs, Redis};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tempfile::TempDir;

pub(crate) const QUEUE: &str = "operations/acme";

/// Queues, and the time by their clock.
pub(crate) struct Bench {
    pub(crate) jobs: Arc<dyn Jobs>,
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    _dir: Option<TempDir>,
}

/// The machine's clock.
pub(crate) struct Machine;

impl Ambient for Machine {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn random(&self) -> [u8; 16] {
        static DRAWN: AtomicU64 = AtomicU64::new(1);
        let drawn = u128::from(DRAWN.fetch_add(1, Ordering::Relaxed));
        (drawn << 64 | u128::from(std::process::id())).to_be_bytes()
    }
}

impl Bench {
    pub(crate) fn memory() -> Self {
        let jobs = Arc::new(MemoryJobs::default());
        let clock = Arc::clone(&jobs);
        Self {
            jobs,
            now: Box::new(move || clock.now()),
            _dir: None,
        }
    }

    pub(crate) fn redis(server: &Redis) -> Self {
        Self {
            jobs: Arc::new(redis(&server.url())),
            now: Box::new(Timestamp::now),
            _dir: None,
        }
    }

    pub(crate) async fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = crmgate_store_sql::Settings::default();
        let store = SqliteStore::open(dir.path(), &settings, Arc::new(Machine)).await;
        Self {
            jobs: Arc::new(store.unwrap()),
            now: Box::new(Timestamp::now),
            _dir: Some(dir),
        }
    }

    /// On every store of jobs that is here.
    pub(crate) async fn all() -> Vec<Self> {
        let mut all = vec![Self::memory(), Self::sqlite().await];
        all.extend(Redis::shared().map(Self::redis));
        all
    }

    pub(crate) fn job(&self, id: &str) -> NewJob {
        NewJob {
            queue: QUEUE.to_owned(),
            id: id.to_owned(),
            due: (self.now)(),
            priority: 0,
            most_attempts: 3,
        }
    }

    pub(crate) async fn push(&self, ids: &[&str]) {
        let jobs = ids.iter().map(|id| self.job(id)).collect();
        self.jobs.push(jobs).await.unwrap();
    }

    pub(crate) async fn push_many(&self, count: usize) {
        let jobs = (0..count).map(|n| self.job(&format!("job-{n:06}")));
        self.jobs.push(jobs.collect()).await.unwrap();
    }

    pub(crate) async fn depth(&self) -> Depth {
        self.jobs.depth(QUEUE).await.unwrap()
    }

    /// Waits until nothing is left of the queue but dead jobs.
    pub(crate) async fn emptied(&self) {
        until("the queue is empty", async || {
            // The store may be in trouble just now.
            let depth = self.jobs.depth(QUEUE).await;
            depth.is_ok_and(|depth| depth.due + depth.delayed + depth.claimed == 0)
        })
        .await;
    }
}

/// A store with keys of its own.
pub(crate) fn redis(url: &str) -> RedisStore {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let nth = MADE.fetch_add(1, Ordering::Relaxed);
    RedisStore::new(Settings {
        prefix: format!("t{nth}"),
        ..Settings::new(url.to_owned().into())
    })
}

/// Waits for something that must happen.
pub(crate) async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is().await {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "not in time: {what}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A queue with short times.
pub(crate) fn spec(name: &str) -> QueueSpec {
    QueueSpec {
        concurrency: 4,
        batch: 10,
        lease: Duration::from_secs(5),
        poll: Duration::from_millis(200),
        ..QueueSpec::new(name)
    }
}

pub(crate) fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

type Hands = dyn Fn(Job) -> BoxFuture<'static, Verdict> + Send + Sync;

/// Does as it is told, and remembers what it was given, in order.
pub(crate) struct Told {
    hands: Box<Hands>,
    seen: Mutex<Vec<String>>,
    died: Mutex<Vec<String>>,
}

impl Told {
    pub(crate) fn new<F: Future<Output = Verdict> + Send + 'static>(
        hands: impl Fn(Job) -> F + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            hands: Box::new(move |job| hands(job).boxed()),
            seen: Mutex::default(),
            died: Mutex::default(),
        })
    }

    /// Takes so long for each, and is done.
    pub(crate) fn after(time: Duration) -> Arc<Self> {
        Self::new(move |_| async move {
            tokio::time::sleep(time).await;
            Verdict::Done
        })
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn died(&self) -> Vec<String> {
        self.died.lock().unwrap().clone()
    }

    /// How often each was seen.
    pub(crate) fn times(&self) -> BTreeMap<String, usize> {
        let mut times = BTreeMap::new();
        for id in self.seen() {
            *times.entry(id).or_default() += 1;
        }
        times
    }

    pub(crate) async fn saw(&self, count: usize) {
        until("jobs are looked at", async || self.seen().len() >= count).await;
    }
}

#[async_trait]
impl Handler for Told {
    async fn handle(&self, job: Job) -> Verdict {
        self.seen.lock().unwrap().push(job.id.clone());
        (self.hands)(job).await
    }

    async fn died(&self, _queue: &str, ids: Vec<String>) {
        self.died.lock().unwrap().extend(ids);
    }
}

/// What a store does instead of answering.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    Fails = 1,
    Panics = 2,
}

/// A store that is in trouble when a test wants it to be.
pub(crate) struct Troubled {
    inner: Arc<dyn Jobs>,
    all: AtomicU32,
}

impl Troubled {
    pub(crate) fn new(inner: Arc<dyn Jobs>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            all: AtomicU32::new(0),
        })
    }

    pub(crate) fn all(&self, trouble: Option<Trouble>) {
        let value = trouble.map_or(0, |trouble| trouble as u32);
        self.all.store(value, Ordering::SeqCst);
    }

    fn check(&self) -> Result<(), StoreError> {
        answer(self.all.load(Ordering::SeqCst))
    }
}

fn answer(trouble: u32) -> Result<(), StoreError> {
    match trouble {
        0 => Ok(()),
        2 => panic!("a store's fault"),
        _ => Err(StoreError::Unavailable("trouble".into())),
    }
}

#[async_trait]
impl Jobs for Troubled {
    async fn push(&self, jobs: Vec<NewJob>) -> Result<u64, StoreError> {
        self.inner.push(jobs).await
    }
    async fn claim(
        &self,
        queue: &str,
        owner: &str,
        most: usize,
        lease: Duration,
    ) -> Result<Vec<Claimed>, StoreError> {
        self.check()?;
        self.inner.claim(queue, owner, most, lease).await
    }
    async fn renew(
        &self,
        queue: &str,
        held: &[(String, u64)],
        lease: Duration,
    ) -> Result<Vec<String>, StoreError> {
        self.check()?;
        self.inner.renew(queue, held, lease).await
    }
    async fn settle(
        &self,
        queue: &str,
        settled: Vec<Settlement>,
    ) -> Result<Vec<String>, StoreError> {
        self.check()?;
        self.inner.settle(queue, settled).await
    }
    async fn reap(&self, queue: &str, most: usize) -> Result<Reaped, StoreError> {
        self.check()?;
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
