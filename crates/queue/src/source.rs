//! The seam to apalis: a queue as its source of tasks, and what it does with what comes of them.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::persistence::{Persisted, Persistence, TaskEvent};
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::error::BoxDynError;
use apalis_core::task::Task;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::task_id::TaskId;
use apalis_core::worker::context::WorkerContext;
use crmgate_store::Verdict;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tower::{Layer, Service};

use crate::claim;
use crate::line::Shared;
use crate::spec::QueueSpec;
use crate::ticket::Ticket;

/// Apalis' heartbeat does nothing here: leases are kept outside of its poll loop.
const HEARTBEAT: Duration = Duration::from_secs(3_600);
/// The longest wait after a handler that panicked.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Nothing fails here: a store that does is waited for.
#[derive(Debug, thiserror::Error)]
#[error("a queue's source does not fail")]
pub(crate) struct Never;

/// A queue, as apalis' persistence.
#[derive(Clone)]
pub(crate) struct Source(pub(crate) Arc<Shared>);

impl Persistence for Source {
    type Compact = Ticket;
    type Response = ();
    type Error = Never;

    async fn register(&mut self, _: &WorkerContext) -> Result<(), Never> {
        Ok(())
    }

    async fn heartbeat(&mut self, _: &WorkerContext) -> Result<(), Never> {
        Ok(())
    }

    async fn fetch_next(&mut self, _: &WorkerContext) -> Result<Vec<Task<Ticket>>, Never> {
        let tickets = claim::next(&self.0).await;
        Ok(tickets.into_iter().map(task).collect())
    }

    async fn reenqueue_abandoned(
        &mut self,
        tasks: Vec<Task<Ticket>>,
        _: &WorkerContext,
    ) -> Result<u64, Never> {
        // Dropped tickets hand their jobs back.
        Ok(tasks.len() as u64)
    }

    async fn handle_events(
        &mut self,
        _: Vec<TaskEvent<()>>,
        _: &WorkerContext,
    ) -> Result<(), Never> {
        Ok(())
    }

    async fn push_tasks(&mut self, _: Vec<Task<Ticket>>) -> Result<(), Never> {
        // A ticket is there because its job was claimed: dropped, it goes back to where it was.
        Ok(())
    }
}

fn task(ticket: Ticket) -> Task<Ticket> {
    let claimed = ticket.claimed();
    let (id, attempts) = (claimed.id.clone(), claimed.attempts);
    let most = claimed.most_attempts;
    TaskBuilder::new(ticket)
        .task_id(TaskId::from_string(id))
        .attempt(attempts as usize)
        .max_attempts(most as usize)
        .build()
}

/// The queue as apalis' backend.
pub(crate) struct Line(pub(crate) Persisted<Source>);

impl Backend for Line {
    type Task = Task<Ticket>;
    type Error = Never;

    fn poll_ready(&mut self, cx: &mut Context<'_>, w: &WorkerContext) -> Poll<Result<(), Never>> {
        self.0.poll_ready(cx, w, HEARTBEAT)
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        worker: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Never>>> {
        self.0.poll_next(cx, worker)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, w: &WorkerContext) -> Poll<Result<(), Never>> {
        self.0.poll_close(cx, w)
    }
}

impl BackendConfig for Line {
    type Args = Ticket;
    type Id = String;
    type Kind = Ephemeral;
    type Config = QueueSpec;
    type Layer = SettleLayer;

    fn config(&self) -> &QueueSpec {
        &self.0.0.spec
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> SettleLayer {
        SettleLayer
    }
}

/// The outermost layer: sees what came of a task, whatever layers did to it, and settles its job.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SettleLayer;

impl<S> Layer<S> for SettleLayer {
    type Service = Settling<S>;

    fn layer(&self, inner: S) -> Settling<S> {
        Settling(inner)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Settling<S>(S);

impl<S> Service<Task<Ticket>> for Settling<S>
where
    S: Service<Task<Ticket>, Response = Verdict>,
    S::Error: Into<BoxDynError>,
    S::Future: Send + 'static,
{
    type Response = ();
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<(), BoxDynError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, task: Task<Ticket>) -> Self::Future {
        let ticket = Arc::clone(&task.args);
        let said = self.0.call(task);
        async move {
            let verdict = match said.await {
                Ok(verdict) => verdict,
                Err(error) => failed(&ticket, &error.into()),
            };
            ticket.settle(verdict);
            Ok(())
        }
        .boxed()
    }
}

/// A handler ends in an error only by a panic.
fn failed(ticket: &Ticket, error: &BoxDynError) -> Verdict {
    let claimed = ticket.claimed();
    tracing::error!(id = claimed.id, "a handler failed: {error}");
    let wait = Duration::from_secs(1 << claimed.attempts.min(16)).min(LONGEST_WAIT);
    Verdict::Failed(wait, format!("its handler failed: {error}"))
}

/// The innermost service: gives the job to the handler.
#[derive(Clone)]
pub(crate) struct Hands(pub(crate) Arc<Shared>);

impl Service<Task<Ticket>> for Hands {
    type Response = Verdict;
    type Error = Never;
    type Future = BoxFuture<'static, Result<Verdict, Never>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Never>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, task: Task<Ticket>) -> Self::Future {
        let line = Arc::clone(&self.0);
        async move {
            let job = task.args.begin();
            Ok(line.handler.handle(job).await)
        }
        .boxed()
    }
}
