//! How many queued operations are taken in and moved, and how many jobs are claimed and settled,
//! with nothing and with a hundred thousand waiting.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails, fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crmgate_domain::{
    Actor, Ambient as _, Effect, OperationId, PayloadHash, ProcessId, State, SubmissionId,
};
use crmgate_store::suite::{Ticking, full_record};
use crmgate_store::{
    Begun, By, Jobs as _, Move, NewJob, NewOperation, OperationLog as _, RowLease, Settlement,
    Submission, Verdict,
};
use crmgate_store_sql::{Settings, SqliteStore};
use tokio::runtime::Runtime;

const LONG: Duration = Duration::from_secs(1 << 20);

struct World {
    store: SqliteStore,
    ambient: Arc<Ticking>,
    made: AtomicU64,
}

impl World {
    async fn open(dir: &std::path::Path) -> Self {
        let ambient = Arc::new(Ticking::default());
        let shared = Arc::clone(&ambient) as _;
        let store = SqliteStore::open(dir, &Settings::default(), shared).await;
        Self {
            store: store.unwrap(),
            ambient,
            made: AtomicU64::new(0),
        }
    }

    fn operation(&self, connection: &str, line: u64) -> NewOperation {
        let nth = self.made.fetch_add(1, Ordering::Relaxed);
        NewOperation {
            id: OperationId::fresh(self.ambient.as_ref()),
            connection: connection.parse().unwrap(),
            client_id: Some(format!("n{nth}")),
            line,
            actor: Actor::default(),
            kind: "update".to_owned(),
            object: "contact".to_owned(),
            record_id: Some(format!("003{nth}")),
            lane: Some(format!("contact/003{nth}")),
            group: None,
            depends_on: Vec::new(),
            priority: 0,
            not_before: None,
            expires_at: None,
            purpose: None,
            callback: None,
            request: "{\"record\":{\"email\":\"ada@example.com\"}}".to_owned(),
            content: PayloadHash::of(&[&nth.to_be_bytes()]),
            trace: None,
        }
    }

    async fn submit(&self, connection: &str, count: u64) -> Vec<OperationId> {
        let at = self.ambient.now();
        let submission = Submission {
            id: SubmissionId::fresh(self.ambient.as_ref()),
            owner: "importer".to_owned(),
            key: None,
            at,
            accepted_at: Some(at),
            content: None,
            count,
            repeated: 0,
            refused: 0,
            answer: None,
        };
        self.store.open_submission(&submission).await.unwrap();
        let mut ids = Vec::new();
        let mut line = 0;
        while line < count {
            let part: Vec<_> = (line..count.min(line + 500))
                .map(|line| self.operation(connection, line + 1))
                .collect();
            line += part.len() as u64;
            ids.extend(part.iter().map(|new| new.id));
            self.store.stage(submission.id, part).await.unwrap();
        }
        self.store.accept(&submission).await.unwrap();
        while self.store.unfold(at, 10_000).await.unwrap().more {}
        ids
    }

    /// From being begun with to its end.
    async fn live(&self, id: OperationId, worker: ProcessId) {
        let at = self.ambient.now();
        let lease = RowLease {
            owner: worker,
            until: at + LONG,
        };
        let by = By("worker w".into());
        let begun = self.store.begin(id, &by, lease.clone(), at).await.unwrap();
        let Begun::Decide(mut taken) = begun else {
            return;
        };
        let mut operation = taken.remove(0);
        let mut record = full_record(self.ambient.as_ref());
        record.decision.judgement.effect = Effect::Allow;
        record.read_back = None;
        let mut to = Move::new(&operation, State::Permitted, at, by.clone());
        to.lease = Some(lease.clone());
        self.store.decide(record, to).await.unwrap().unwrap();
        for (state, version) in [(State::Writing, 3), (State::Succeeded, 4)] {
            operation.version = version;
            let mut to = Move::new(&operation, state, at, by.clone());
            to.lease = state.is_worked_on().then(|| lease.clone());
            self.store.shift(vec![to]).await.unwrap();
        }
    }
}

async fn lives(world: Arc<World>, ids: Vec<OperationId>, workers: usize) -> Duration {
    let worker = ProcessId::fresh(world.ambient.as_ref());
    let each = ids.len().div_ceil(workers).max(1);
    let started = Instant::now();
    let tasks: Vec<_> = ids
        .chunks(each)
        .map(|part| {
            let (world, part) = (Arc::clone(&world), part.to_vec());
            tokio::spawn(async move {
                for id in part {
                    world.live(id, worker).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    started.elapsed()
}

async fn claims(world: &World, rounds: u64) -> Duration {
    let now = world.ambient.now();
    let jobs = (0..rounds).map(|n| NewJob {
        queue: "bench".to_owned(),
        id: format!("b{n}"),
        due: now,
        priority: 1,
        most_attempts: 3,
    });
    world.store.push(jobs.collect()).await.unwrap();
    let started = Instant::now();
    let mut left = rounds;
    while left > 0 {
        let claimed = world.store.claim("bench", "w", 32, LONG).await.unwrap();
        left = left.saturating_sub(claimed.len() as u64);
        let settled = claimed.into_iter().map(|job| Settlement {
            id: job.id,
            lease: job.lease,
            verdict: Verdict::Done,
        });
        world
            .store
            .settle("bench", settled.collect())
            .await
            .unwrap();
    }
    started.elapsed()
}

async fn backlog(world: &World, count: u64) {
    world.submit("waiting", count).await;
    let later = world.ambient.now() + LONG;
    for part in 0..count / 1_000 {
        let jobs = (0..1_000).map(|n| NewJob {
            queue: "bench".to_owned(),
            id: format!("w{part}-{n}"),
            // Half of them could be claimed, behind those that are.
            due: if n % 2 == 0 {
                later
            } else {
                world.ambient.now()
            },
            priority: 0,
            most_attempts: 3,
        });
        world.store.push(jobs.collect()).await.unwrap();
    }
}

fn queued(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut group = criterion.benchmark_group("queued");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(5));
    for waiting in [0, 100_000] {
        let dir = dir.path().join(waiting.to_string());
        let world = Arc::new(runtime.block_on(World::open(&dir)));
        runtime.block_on(backlog(&world, waiting));
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("lives", waiting), |bencher| {
            bencher.iter_custom(|each| {
                runtime.block_on(async {
                    let ids = world.submit("bench", each).await;
                    lives(Arc::clone(&world), ids, 64).await
                })
            });
        });
        group.bench_function(BenchmarkId::new("claim and settle", waiting), |bencher| {
            bencher.iter_custom(|each| runtime.block_on(claims(&world, each)));
        });
        group.throughput(Throughput::Elements(10_000));
        group.bench_function(BenchmarkId::new("submit 10000", waiting), |bencher| {
            bencher.iter_custom(|each| {
                runtime.block_on(async {
                    let started = Instant::now();
                    for _ in 0..each {
                        world.submit("taken-in", 10_000).await;
                    }
                    started.elapsed()
                })
            });
        });
        runtime.block_on(world.store.close());
    }
    group.finish();
}

criterion_group!(benches, queued);
criterion_main!(benches);
