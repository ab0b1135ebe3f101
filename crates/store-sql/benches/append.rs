//! How many decisions reach the disk, by how many callers wait at once.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails, fails")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crmgate_domain::Ambient as _;
use crmgate_store::suite::{Ticking, full_record};
use crmgate_store::{AttemptLog as _, DecisionLog as _, Outcome, OutcomeKind};
use crmgate_store_sql::{Settings, SqliteStore};
use tokio::runtime::Runtime;

async fn writes(
    store: Arc<SqliteStore>,
    ambient: Arc<Ticking>,
    callers: u64,
    each: u64,
) -> Duration {
    let started = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let (store, ambient) = (Arc::clone(&store), Arc::clone(&ambient));
            tokio::spawn(async move {
                for _ in 0..each {
                    let record = full_record(ambient.as_ref());
                    let outcome = Outcome {
                        decision: record.decision.id,
                        at: ambient.now(),
                        kind: OutcomeKind::Succeeded,
                        status: Some(201),
                        code: None,
                        record_id: None,
                    };
                    store.append_decision(record).await.unwrap();
                    let store = Arc::clone(&store);
                    tokio::spawn(async move { store.append_outcome(outcome).await });
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    started.elapsed()
}

fn append(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let ambient = Arc::new(Ticking::default());
    let shared = Arc::clone(&ambient) as _;
    let store = runtime.block_on(SqliteStore::open(dir.path(), &Settings::default(), shared));
    let store = Arc::new(store.unwrap());
    let mut group = criterion.benchmark_group("append");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(4));
    for callers in [1, 8, 64, 256] {
        group.throughput(Throughput::Elements(callers));
        group.bench_function(BenchmarkId::from_parameter(callers), |bencher| {
            bencher.iter_custom(|each| {
                runtime.block_on(writes(
                    Arc::clone(&store),
                    Arc::clone(&ambient),
                    callers,
                    each,
                ))
            });
        });
    }
    group.finish();
    runtime.block_on(store.close());
}

criterion_group!(benches, append);
criterion_main!(benches);
