//! Raw apalis-core on the same store: its own persistence and its own acknowledgements, with the
//! same statements, and nothing else.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use apalis::layers::WorkerBuilderExt as _;
use apalis_core::backend::codec::Codec;
use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::persistence::{Persisted, Persistence, TaskEvent, TaskPersistLayer};
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::task::Task;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::data::Data;
use apalis_core::task::task_id::TaskId;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use apalis_core::worker::ext::parallelize::ParallelizeExt as _;
use crmgate_store::{Jobs, Settlement, Verdict};

use super::{BATCH, CONCURRENCY, LEASE, QUEUE, completed};

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Failed(String);

#[derive(Clone)]
struct Store {
    jobs: Arc<dyn Jobs>,
    leases: Arc<Mutex<HashMap<String, u64>>>,
}

impl Persistence for Store {
    type Compact = String;
    type Response = ();
    type Error = Failed;

    async fn register(&mut self, _: &WorkerContext) -> Result<(), Failed> {
        Ok(())
    }

    async fn heartbeat(&mut self, _: &WorkerContext) -> Result<(), Failed> {
        Ok(())
    }

    async fn fetch_next(&mut self, _: &WorkerContext) -> Result<Vec<Task<String>>, Failed> {
        loop {
            let claimed = self.jobs.claim(QUEUE, "raw", BATCH, LEASE).await;
            let claimed = claimed.map_err(|error| Failed(error.to_string()))?;
            if claimed.is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            }
            let mut leases = self.leases.lock().unwrap();
            let tasks = claimed.into_iter().map(|one| {
                leases.insert(one.id.clone(), one.lease);
                let id = TaskId::from_string(one.id.clone());
                TaskBuilder::new(one.id).task_id(id).build()
            });
            return Ok(tasks.collect());
        }
    }

    async fn reenqueue_abandoned(
        &mut self,
        tasks: Vec<Task<String>>,
        _: &WorkerContext,
    ) -> Result<u64, Failed> {
        Ok(tasks.len() as u64)
    }

    async fn handle_events(
        &mut self,
        events: Vec<TaskEvent<()>>,
        _: &WorkerContext,
    ) -> Result<(), Failed> {
        let settled: Vec<Settlement> = {
            let mut leases = self.leases.lock().unwrap();
            let ended = events.into_iter().filter_map(|event| match event {
                TaskEvent::Complete(result) => Some(result.task_id.to_string()),
                _ => None,
            });
            ended
                .filter_map(|id| {
                    let lease = leases.remove(&id)?;
                    let verdict = Verdict::Done;
                    Some(Settlement { id, lease, verdict })
                })
                .collect()
        };
        let settled = self.jobs.settle(QUEUE, settled).await;
        settled
            .map(|_| ())
            .map_err(|error| Failed(error.to_string()))
    }

    async fn push_tasks(&mut self, _: Vec<Task<String>>) -> Result<(), Failed> {
        Ok(())
    }
}

#[derive(Clone)]
struct Nothing;

impl Codec<()> for Nothing {
    type Error = Failed;
    type Compact = ();

    fn encode(&self, (): &()) -> Result<(), Failed> {
        Ok(())
    }

    fn decode(&self, (): &()) -> Result<(), Failed> {
        Ok(())
    }
}

struct Raw(Persisted<Store>);

impl Backend for Raw {
    type Task = Task<String>;
    type Error = Failed;

    fn poll_ready(&mut self, cx: &mut Context<'_>, w: &WorkerContext) -> Poll<Result<(), Failed>> {
        self.0.poll_ready(cx, w, Duration::from_secs(30))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        worker: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Failed>>> {
        self.0.poll_next(cx, worker)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, w: &WorkerContext) -> Poll<Result<(), Failed>> {
        self.0.poll_close(cx, w)
    }
}

impl BackendConfig for Raw {
    type Args = String;
    type Id = String;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = TaskPersistLayer<Nothing, ()>;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Self::Layer {
        self.0.layer(Nothing, BATCH).persist_results(true)
    }
}

async fn handle(_: String, done: Data<Arc<AtomicU64>>) {
    done.fetch_add(1, Ordering::Relaxed);
}

/// Completes so many: how long it took.
pub(super) async fn run(jobs: &Arc<dyn Jobs>, count: usize) -> Duration {
    let done = Arc::new(AtomicU64::new(0));
    let store = Store {
        jobs: Arc::clone(jobs),
        leases: Arc::default(),
    };
    let worker = WorkerBuilder::new("raw")
        .backend(Raw(Persisted::new(store)))
        .concurrency(CONCURRENCY)
        .parallelize(tokio::spawn)
        .data(Arc::clone(&done))
        .build(handle);
    let began = Instant::now();
    let running = tokio::spawn(worker.run());
    completed(jobs.as_ref(), &done, count, 0).await;
    let took = began.elapsed();
    running.abort();
    took
}
