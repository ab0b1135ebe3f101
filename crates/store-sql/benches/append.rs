//! How many decisions reach the disk, by how many callers wait at once: in a file, and in a
//! Postgres on the same disk that flushes as it must.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails, fails")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crmgate_domain::{Ambient as _, ProcessId};
use crmgate_store::suite::{Ticking, full_record};
use crmgate_store::{Outcome, OutcomeKind, Store};
use crmgate_store_sql::{PostgresSettings, PostgresStore, Settings, SqliteStore};
use crmgate_testkit::Postgres;
use tokio::runtime::Runtime;

async fn writes<S: Store>(
    store: Arc<S>,
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

fn measure<S: Store>(
    criterion: &mut Criterion,
    (name, callers): (&str, &[u64]),
    runtime: &Runtime,
    (store, ambient): (&Arc<S>, &Arc<Ticking>),
) {
    let mut group = criterion.benchmark_group(name);
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(4));
    for callers in callers {
        group.throughput(Throughput::Elements(*callers));
        group.bench_function(BenchmarkId::from_parameter(callers), |bencher| {
            bencher.iter_custom(|each| {
                runtime.block_on(writes(
                    Arc::clone(store),
                    Arc::clone(ambient),
                    *callers,
                    each,
                ))
            });
        });
    }
    group.finish();
}

fn sqlite(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let ambient = Arc::new(Ticking::default());
    let shared = Arc::clone(&ambient) as _;
    let store = runtime.block_on(SqliteStore::open(dir.path(), &Settings::default(), shared));
    let store = Arc::new(store.unwrap());
    let what = ("append", [1, 8, 64, 256].as_slice());
    measure(criterion, what, &runtime, (&store, &ambient));
    runtime.block_on(store.close());
}

fn postgres(criterion: &mut Criterion) {
    // What a database of records must not do without.
    let Some(server) = Postgres::with(&["fsync=on", "full_page_writes=on"]) else {
        return;
    };
    let runtime = Runtime::new().unwrap();
    let ambient = Arc::new(Ticking::default());
    let settings = PostgresSettings {
        url: server.database().into(),
        connections: 4,
    };
    let process = ProcessId::fresh(ambient.as_ref());
    let shared = Arc::clone(&ambient) as _;
    let store = runtime.block_on(PostgresStore::open(&settings, process, shared));
    let store = Arc::new(store.unwrap());
    let what = ("append-postgres", [1, 8, 64, 256].as_slice());
    measure(criterion, what, &runtime, (&store, &ambient));
    runtime.block_on(store.close());
}

criterion_group!(benches, sqlite, postgres);
criterion_main!(benches);
