//! How many queued operations are taken in and moved, and how many jobs are claimed and settled,
//! with nothing and with a hundred thousand waiting: in a file, and in a Postgres on the same disk
//! that flushes as it must.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails, fails")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use crmgate_domain::{Ambient as _, ProcessId};
use crmgate_store::suite::{Lives, QueuedStore, Ticking};
use crmgate_store::{NewJob, Settlement, Verdict};
use crmgate_store_sql::{PostgresSettings, PostgresStore, Settings, SqliteStore};
use crmgate_testkit::Postgres;
use tokio::runtime::Runtime;

const LONG: Duration = Duration::from_secs(1 << 20);
/// Workers that move operations at once.
const WORKERS: usize = 64;

async fn claims(store: &impl QueuedStore, ambient: &Ticking, rounds: u64) -> Duration {
    let now = ambient.now();
    let jobs = (0..rounds).map(|n| NewJob {
        queue: "bench".to_owned(),
        id: format!("b{n}"),
        due: now,
        priority: 1,
        most_attempts: 3,
    });
    store.push(jobs.collect()).await.unwrap();
    let started = Instant::now();
    let mut left = rounds;
    while left > 0 {
        let claimed = store.claim("bench", "w", 32, LONG).await.unwrap();
        left = left.saturating_sub(claimed.len() as u64);
        let settled = claimed.into_iter().map(|job| Settlement {
            id: job.id,
            lease: job.lease,
            verdict: Verdict::Done,
        });
        store.settle("bench", settled.collect()).await.unwrap();
    }
    started.elapsed()
}

async fn backlog<S: QueuedStore>(lives: &Lives<S>, ambient: &Ticking, count: u64) {
    lives.submit("waiting", count).await;
    let later = ambient.now() + LONG;
    for part in 0..count / 1_000 {
        let jobs = (0..1_000).map(|n| NewJob {
            queue: "bench".to_owned(),
            id: format!("w{part}-{n}"),
            // Half of them could be claimed, behind those that are.
            due: if n % 2 == 0 { later } else { ambient.now() },
            priority: 0,
            most_attempts: 3,
        });
        lives.store().push(jobs.collect()).await.unwrap();
    }
}

fn measure<S: QueuedStore>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    runtime: &Runtime,
    (name, waiting): (&str, u64),
    (lives, ambient): (&Lives<S>, &Ticking),
) {
    runtime.block_on(backlog(lives, ambient, waiting));
    group.throughput(Throughput::Elements(1));
    let id = |what: &str| BenchmarkId::new(format!("{name}/{what}"), waiting);
    group.bench_function(id("lives"), |bencher| {
        bencher.iter_custom(|each| {
            runtime.block_on(async {
                let ids = lives.submit("bench", each).await;
                let started = Instant::now();
                lives.all_live(ids, WORKERS).await;
                started.elapsed()
            })
        });
    });
    group.bench_function(id("claim and settle"), |bencher| {
        bencher.iter_custom(|each| runtime.block_on(claims(lives.store().as_ref(), ambient, each)));
    });
    group.throughput(Throughput::Elements(10_000));
    group.bench_function(id("submit 10000"), |bencher| {
        bencher.iter_custom(|each| {
            runtime.block_on(async {
                let started = Instant::now();
                for _ in 0..each {
                    lives.submit("taken-in", 10_000).await;
                }
                started.elapsed()
            })
        });
    });
}

fn queued(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    // What a database of records must not do without.
    let server = Postgres::with(&["fsync=on", "full_page_writes=on"]);
    let mut group = criterion.benchmark_group("queued");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(5));
    for waiting in [0, 100_000] {
        let ambient = Arc::new(Ticking::after(waiting << 32));
        let dir = dir.path().join(waiting.to_string());
        let shared = Arc::clone(&ambient) as _;
        let store = runtime.block_on(SqliteStore::open(&dir, &Settings::default(), shared));
        let lives = Lives::new(Arc::new(store.unwrap()), Arc::clone(&ambient) as _);
        measure(
            &mut group,
            &runtime,
            ("sqlite", waiting),
            (&lives, &ambient),
        );
        runtime.block_on(lives.store().close());
        let Some(server) = &server else {
            continue;
        };
        let settings = PostgresSettings {
            url: server.database().into(),
            connections: 4,
        };
        let process = ProcessId::fresh(ambient.as_ref());
        let shared = Arc::clone(&ambient) as _;
        let store = runtime.block_on(PostgresStore::open(&settings, process, shared));
        let lives = Lives::new(Arc::new(store.unwrap()), Arc::clone(&ambient) as _);
        let what = ("postgres", waiting);
        measure(&mut group, &runtime, what, (&lives, &ambient));
        runtime.block_on(lives.store().close());
    }
    group.finish();
}

criterion_group!(benches, queued);
criterion_main!(benches);
