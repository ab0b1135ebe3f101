//! One queue at work: its apalis worker, and what goes on beside it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use apalis::layers::WorkerBuilderExt as _;
use apalis_core::backend::persistence::Persisted;
use apalis_core::monitor::Monitor;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::ext::parallelize::ParallelizeExt as _;
use crmgate_store::{Jobs, Settlement, StoreError, Verdict};
use futures::FutureExt as _;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::claim::Appetite;
use crate::handler::Handler;
use crate::held::{Held, patience};
use crate::meters::Meters;
use crate::source::{Hands, Line, Source};
use crate::spec::QueueSpec;
use crate::workers::Drained;
use crate::{settle, tend};

/// How long what is left may take to reach the store once handlers have ended.
const FLUSH: Duration = Duration::from_secs(2);
/// How often one monitor restarts a worker at once.
const RESTARTS: usize = 3;

/// What all parts of a line share.
pub(crate) struct Shared {
    pub(crate) spec: QueueSpec,
    pub(crate) jobs: Arc<dyn Jobs>,
    pub(crate) handler: Arc<dyn Handler>,
    /// Who claims, for those who look into the store.
    pub(crate) owner: String,
    pub(crate) held: Held,
    pub(crate) appetite: Appetite,
    /// Jobs that a handler looks at now.
    pub(crate) running: AtomicUsize,
    pub(crate) counts: Counts,
    pub(crate) meters: Meters,
    /// Claims that are on their way.
    pub(crate) claims: TaskTracker,
    /// Told when jobs were put back for later: whoever waits may wait for too long.
    pub(crate) put_back: Notify,
    pub(crate) stopping: CancellationToken,
    /// Spreads waits, so that processes do not come back in step.
    pub(crate) salt: u64,
    settlements: UnboundedSender<Settlement>,
}

impl Shared {
    /// How many more jobs could be begun at once.
    pub(crate) fn free(&self) -> usize {
        let running = self.running.load(Ordering::Relaxed);
        self.spec.concurrency.saturating_sub(running)
    }

    /// More than this is not claimed: verdicts that the store does not take would pile up.
    pub(crate) const fn most_held(&self) -> usize {
        self.spec.concurrency + 2 * self.spec.batch
    }

    pub(crate) fn settle(&self, settlement: Settlement) {
        // It ends only with the process; then leases tell the rest.
        let _ = self.settlements.send(settlement);
    }

    /// Asks the store: counts and tells failures. One that panics has failed, too.
    pub(crate) async fn guarded<T>(
        &self,
        call: &'static str,
        asked: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let panicked = || Err(StoreError::Unavailable("it panicked".into()));
        let answer = AssertUnwindSafe(asked).catch_unwind().await;
        let answer = answer.unwrap_or_else(|_| panicked());
        if let Err(error) = &answer {
            self.meters.failed(call);
            tracing::warn!(
                queue = &*self.spec.name,
                call,
                "a queue's store failed: {error}"
            );
        }
        answer
    }

    /// Waits for something that must not take its caller down; `None` when it panicked.
    pub(crate) async fn caught<T>(
        &self,
        call: &'static str,
        asked: impl Future<Output = T>,
    ) -> Option<T> {
        let answer = AssertUnwindSafe(asked).catch_unwind().await;
        if answer.is_err() {
            self.meters.failed(call);
            tracing::error!(queue = &*self.spec.name, call, "a call of a queue panicked");
        }
        answer.ok()
    }
}

/// What became of jobs here, for the report of a drain.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    finished: AtomicU64,
    handed_back: AtomicU64,
    cut: AtomicU64,
}

impl Counts {
    pub(crate) fn ended(&self, verdict: &Verdict, begun: bool) {
        let count = match (verdict, begun) {
            (Verdict::HandedBack, true) => &self.cut,
            (_, false) => &self.handed_back,
            _ => &self.finished,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    fn now(&self) -> Drained {
        Drained {
            finished: self.finished.load(Ordering::Relaxed),
            handed_back: self.handed_back.load(Ordering::Relaxed),
            cut: self.cut.load(Ordering::Relaxed),
        }
    }
}

/// One queue at work, until it is dropped.
pub(crate) struct Running {
    shared: Arc<Shared>,
    worker: AbortOnDropHandle<()>,
    /// They end with what they serve.
    _beside: [AbortOnDropHandle<()>; 3],
}

impl Running {
    /// Starts to work. `name` is the worker's, and no other's ever.
    pub(crate) fn start(
        jobs: Arc<dyn Jobs>,
        handler: Arc<dyn Handler>,
        name: String,
        spec: QueueSpec,
    ) -> Self {
        let (settlements, said) = unbounded_channel();
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let shared = Arc::new(Shared {
            meters: Meters::new(&spec.name),
            spec: usable(spec),
            jobs,
            handler,
            owner: name,
            held: Held::default(),
            appetite: Appetite::default(),
            running: AtomicUsize::new(0),
            counts: Counts::default(),
            claims: TaskTracker::new(),
            put_back: Notify::new(),
            stopping: CancellationToken::new(),
            salt: hasher.finish(),
            settlements,
        });
        let on = |task| AbortOnDropHandle::new(task);
        Self {
            _beside: [
                on(tokio::spawn(settle::settle(Arc::clone(&shared), said))),
                on(tokio::spawn(tend::renew(Arc::clone(&shared)))),
                on(tokio::spawn(tend::reap(Arc::clone(&shared)))),
            ],
            worker: on(tokio::spawn(work(Arc::clone(&shared)))),
            shared,
        }
    }

    /// Stops to take jobs, lets handlers end until then, hands everything else back.
    pub(crate) async fn drain(self, until: Instant) -> Drained {
        let Self {
            shared,
            worker,
            _beside: beside,
        } = self;
        let before = shared.counts.now();
        shared.stopping.cancel();
        // Past the deadline the worker is dropped, and with it handlers and their tickets.
        let in_time = tokio::time::timeout_at(until, worker).await.is_ok();
        shared.claims.close();
        let settled = async {
            shared.claims.wait().await;
            shared.held.at_most(0).await;
        };
        let left = match tokio::time::timeout(FLUSH, settled).await {
            Ok(()) => 0,
            Err(_) => shared.held.count(),
        };
        drop(beside);
        if !in_time || left > 0 {
            let queue = &*shared.spec.name;
            tracing::warn!(
                queue,
                in_time,
                left,
                "a queue did not end in time; what is left comes back when its leases end"
            );
        }
        shared.counts.now().since(before)
    }
}

/// A spec that works: nothing of it is zero.
fn usable(spec: QueueSpec) -> QueueSpec {
    let shortest = Duration::from_millis(10);
    QueueSpec {
        concurrency: spec.concurrency.max(1),
        batch: spec.batch.max(1),
        lease: spec.lease.max(shortest * 3),
        poll: spec.poll.max(shortest),
        ..spec
    }
}

/// Works until told to stop. The monitor restarts a worker that ends; should the monitor itself
/// end, there is another one.
async fn work(shared: Arc<Shared>) {
    let mut monitors = 0;
    while !shared.stopping.is_cancelled() {
        let monitor = monitor(&shared, monitors);
        let context = monitor.context();
        let run = AssertUnwindSafe(monitor.run()).catch_unwind();
        tokio::pin!(run);
        tokio::select! {
            ended = &mut run => {
                let queue = &*shared.spec.name;
                tracing::error!(queue, "a queue's monitor ended and is started again: {ended:?}");
                tokio::time::sleep(patience(monitors, shared.salt)).await;
            }
            () = shared.stopping.cancelled() => {
                if let Err(error) = context.shutdown() {
                    tracing::error!("a queue's monitor cannot be told to stop: {error}");
                }
                // Nothing is to be done about how it ended.
                let _ = run.await;
            }
        }
        monitors += 1;
    }
}

fn monitor(shared: &Arc<Shared>, monitors: u32) -> Monitor {
    let line = Arc::clone(shared);
    let make = move |restarts: usize| {
        let concurrency = line.spec.concurrency;
        WorkerBuilder::new(format!("{}#{monitors}.{restarts}", line.owner))
            .backend(Line(Persisted::new(Source(Arc::clone(&line)))))
            .catch_panic()
            .concurrency(concurrency)
            // A handler that does not yield holds one thread, not the worker; one whose worker is
            // gone ends with it.
            .parallelize(|handling| AbortOnDropHandle::new(tokio::spawn(handling)))
            .build(Hands(Arc::clone(&line)))
    };
    // One that fails again and again is left to the next monitor, which waits longer each time.
    Monitor::new()
        .register(make)
        .should_restart(|worker, _| worker.restarts() < RESTARTS)
}
