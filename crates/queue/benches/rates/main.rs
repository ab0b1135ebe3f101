//! What the adapter costs: jobs pushed and completed in a second, beside raw apalis-core with the
//! same statements on the same store, and beside a bare loop of those statements; how rates and
//! memory hold at a backlog of 100,000; how soon an idle worker begins.
//!
//! `cargo bench -p crmgate-queue --bench rates`

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a benchmark"
)]

mod raw;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use crmgate_domain::{Ambient, Timestamp};
use crmgate_queue::{Handler, Job, QueueSpec, Workers};
use crmgate_store::{Jobs, NewJob, Settlement, Verdict};
use crmgate_store_redis::RedisStore;
use crmgate_store_sql::SqliteStore;
use crmgate_testkit::Redis;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

const QUEUE: &str = "operations/bench";
const LEASE: Duration = Duration::from_secs(60);
/// As many as one measurement completes.
const COUNT: usize = 5_000;
const CONCURRENCY: usize = 64;
const BATCH: usize = 100;

struct Machine;

impl Ambient for Machine {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn random(&self) -> [u8; 16] {
        static DRAWN: AtomicU64 = AtomicU64::new(1);
        u128::from(DRAWN.fetch_add(1, Ordering::Relaxed)).to_be_bytes()
    }
}

/// Counts, and tells when.
struct Counts {
    done: AtomicU64,
    starts: UnboundedSender<Instant>,
    telling: bool,
}

#[async_trait]
impl Handler for Counts {
    async fn handle(&self, _: Job) -> Verdict {
        self.done.fetch_add(1, Ordering::Relaxed);
        if self.telling {
            self.starts.send(Instant::now()).unwrap();
        }
        Verdict::Done
    }
}

fn job(id: String) -> NewJob {
    NewJob {
        queue: QUEUE.to_owned(),
        id,
        due: Timestamp::now(),
        priority: 0,
        most_attempts: 25,
    }
}

async fn push(jobs: &dyn Jobs, count: usize) -> Duration {
    static NAMED: AtomicU64 = AtomicU64::new(0);
    let began = Instant::now();
    let mut left = count;
    while left > 0 {
        let some = left.min(500);
        let name = || format!("job-{:012}", NAMED.fetch_add(1, Ordering::Relaxed));
        jobs.push((0..some).map(|_| job(name())).collect())
            .await
            .unwrap();
        left -= some;
    }
    began.elapsed()
}

async fn left(jobs: &dyn Jobs) -> u64 {
    let depth = jobs.depth(QUEUE).await.unwrap();
    depth.due + depth.claimed + depth.delayed
}

/// Waits until so many are completed: settled, not only looked at.
async fn completed(jobs: &dyn Jobs, done: &AtomicU64, count: usize, rest: u64) {
    while done.load(Ordering::Relaxed) < count as u64 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    if rest == 0 {
        while left(jobs).await > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

fn spec() -> QueueSpec {
    QueueSpec {
        concurrency: CONCURRENCY,
        batch: BATCH,
        lease: LEASE,
        ..QueueSpec::new(QUEUE)
    }
}

fn counts(telling: bool) -> (Arc<Counts>, tokio::sync::mpsc::UnboundedReceiver<Instant>) {
    let (starts, heard) = unbounded_channel();
    let done = AtomicU64::new(0);
    (
        Arc::new(Counts {
            done,
            starts,
            telling,
        }),
        heard,
    )
}

async fn ours(jobs: &Arc<dyn Jobs>, count: usize, rest: u64) -> Duration {
    let (handler, _heard) = counts(false);
    let began = Instant::now();
    let workers = Workers::start(Arc::clone(jobs), "bench", vec![spec()], handler.clone());
    completed(jobs.as_ref(), &handler.done, count, rest).await;
    let took = began.elapsed();
    workers.drain(Duration::from_secs(5)).await;
    took
}

/// The statements, one batch after the other.
async fn bare(jobs: &dyn Jobs) -> Duration {
    let began = Instant::now();
    loop {
        let claimed = jobs.claim(QUEUE, "bare", BATCH, LEASE).await.unwrap();
        if claimed.is_empty() {
            return began.elapsed();
        }
        let done = claimed.into_iter().map(|claimed| Settlement {
            id: claimed.id,
            lease: claimed.lease,
            verdict: Verdict::Done,
        });
        jobs.settle(QUEUE, done.collect()).await.unwrap();
    }
}

fn rate(count: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap()) / took.as_secs_f64()
}

/// Resident memory, in MiB.
fn memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib: Option<f64> = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    kib.unwrap_or_default() / 1024.0
}

fn middle(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all[all.len() / 2]
}

async fn measure(name: &str, jobs: Arc<dyn Jobs>) {
    let pushed = push(jobs.as_ref(), COUNT).await;
    println!("{name}: push {:.0}/s (500 in a call)", rate(COUNT, pushed));
    bare(jobs.as_ref()).await;

    // In turn, so that whatever slows the machine down slows all of them down.
    let mut took: [Vec<Duration>; 3] = Default::default();
    for _ in 0..5 {
        push(jobs.as_ref(), COUNT).await;
        took[0].push(ours(&jobs, COUNT, 0).await);
        push(jobs.as_ref(), COUNT).await;
        took[1].push(raw::run(&jobs, COUNT).await);
        push(jobs.as_ref(), COUNT).await;
        took[2].push(bare(jobs.as_ref()).await);
    }
    let [ours_took, raw_took, bare_took] = took.map(middle);
    println!(
        "{name}: complete {:.0}/s; raw apalis-core {:.0}/s; bare {:.0}/s; ours to raw {:.2}, to bare {:.2}",
        rate(COUNT, ours_took),
        rate(COUNT, raw_took),
        rate(COUNT, bare_took),
        raw_took.as_secs_f64() / ours_took.as_secs_f64(),
        bare_took.as_secs_f64() / ours_took.as_secs_f64(),
    );
    backlog(name, &jobs).await;
    latency(name, &jobs).await;
}

async fn backlog(name: &str, jobs: &Arc<dyn Jobs>) {
    let mut depth = 0;
    for wanted in [10_000, 50_000, 100_000] {
        push(jobs.as_ref(), wanted - depth).await;
        let before = memory();
        let took = ours(jobs, COUNT, 1).await;
        println!(
            "{name}: {wanted} queued: complete {:.0}/s, memory {before:.1} -> {:.1} MiB",
            rate(COUNT, took),
            memory()
        );
        depth = usize::try_from(left(jobs.as_ref()).await).unwrap();
    }
    let began = Instant::now();
    ours(jobs, depth, 0).await;
    println!(
        "{name}: the last {depth} at {:.0}/s",
        rate(depth, began.elapsed())
    );
}

async fn latency(name: &str, jobs: &Arc<dyn Jobs>) {
    let (handler, mut heard) = counts(true);
    let workers = Workers::start(Arc::clone(jobs), "bench", vec![spec()], handler);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut waits = Vec::new();
    for _ in 0..300 {
        tokio::time::sleep(Duration::from_millis(3)).await;
        let began = Instant::now();
        push(jobs.as_ref(), 1).await;
        waits.push(heard.recv().await.unwrap().saturating_duration_since(began));
    }
    waits.sort();
    println!(
        "{name}: idle, push to start: p50 {:?}, p99 {:?}",
        waits[150], waits[296]
    );
    workers.drain(Duration::from_secs(1)).await;
}

#[tokio::main]
async fn main() {
    let dir = tempfile::tempdir().unwrap();
    let settings = crmgate_store_sql::Settings::default();
    let sqlite = SqliteStore::open(dir.path(), &settings, Arc::new(Machine)).await;
    measure("sqlite", Arc::new(sqlite.unwrap())).await;
    if let Some(server) = Redis::start() {
        let settings = crmgate_store_redis::Settings::new(server.url().into());
        measure("redis", Arc::new(RedisStore::new(settings))).await;
    }
}
