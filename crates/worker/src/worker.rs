//! The worker of one process.

use std::collections::BTreeMap;
use std::sync::Arc;

use crmgate_domain::{Ambient, ProcessId};
use crmgate_enforce::Gate;
use crmgate_enforce::queued::Desk;
use crmgate_queue::{Drained, Handler, QueueSpec, Workers};
use crmgate_store::{By, Cells, Jobs, OperationLog, queue_of};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::batch::Batches;
use crate::fair::Rules;
use crate::handler::Hands;
use crate::leases::Leases;
use crate::line::{Coming, Line};
use crate::meters::WorkerMeters;
use crate::sweep::Sweeper;
use crate::{Drafts, Governor, Settings};

/// So many processes that broke off over an operation make it a suspect. One that dies once, as
/// machines do, slows nothing down.
const SUSPECT_AFTER: u32 = 2;

/// What a worker is made of.
pub struct Parts {
    /// The process, in leases and histories.
    pub process: ProcessId,
    /// The rows.
    pub operations: Arc<dyn OperationLog>,
    /// The jobs.
    pub jobs: Arc<dyn Jobs>,
    /// What processes share.
    pub cells: Arc<dyn Cells>,
    /// Time and randomness.
    pub ambient: Arc<dyn Ambient>,
    /// How requests become drafts.
    pub drafts: Arc<dyn Drafts>,
    /// The connections.
    pub lines: Vec<LineParts>,
    /// Other queues that this process works on, such as callbacks.
    pub others: Vec<(QueueSpec, Arc<dyn Handler>)>,
}

/// One connection of a worker.
pub struct LineParts {
    /// Its gate, the same as the gateway's.
    pub gate: Arc<Gate>,
    /// How fair it is to the org.
    pub rules: Rules,
}

/// Works on the queues of operations, for as long as [`Worker::run`] runs.
pub struct Worker {
    hands: Arc<Hands>,
    specs: Vec<QueueSpec>,
    sweeper: Sweeper,
    leases: Arc<Leases>,
    desk: Desk,
    tasks: TaskTracker,
    settings: Settings,
    meters: WorkerMeters,
}

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// What became of the jobs it held.
    pub jobs: Drained,
    /// Whether all calls to CRMs came to their end; those that did not are read back by the next
    /// worker.
    pub calls_ended: bool,
}

impl Worker {
    /// Puts the parts together. Nothing runs yet.
    #[must_use]
    pub fn new(parts: Parts, settings: Settings) -> Self {
        let by = By(format!("worker {}", parts.process).into());
        let desk = Desk {
            operations: Arc::clone(&parts.operations),
            by: by.clone(),
            process: parts.process,
            lease: settings.row_lease,
            tries: settings.tries,
        };
        let (leases, tasks) = (Arc::<Leases>::default(), TaskTracker::new());
        let mut lines = BTreeMap::new();
        let mut specs = Vec::new();
        for one in &parts.lines {
            let queue: Arc<str> = queue_of(one.gate.connection()).into();
            specs.push(QueueSpec {
                concurrency: settings.concurrency,
                batch: settings.claim,
                lease: settings.job_lease,
                poll: settings.poll,
                // Operations do not fail: their rows say when they are looked at again.
                suspect_after: Some(SUSPECT_AFTER),
                ..QueueSpec::new(Arc::clone(&queue))
            });
            let line = line(one, &parts, (&desk, settings), (&leases, &tasks));
            lines.insert(queue, Arc::new(line));
        }
        let meters = WorkerMeters::new();
        let sweeper = Sweeper {
            operations: parts.operations,
            jobs: Arc::clone(&parts.jobs),
            cells: parts.cells,
            ambient: parts.ambient,
            lines: lines.clone(),
            by,
            settings,
            meters: meters.clone(),
        };
        let mut others = BTreeMap::new();
        for (spec, handler) in parts.others {
            others.insert(Arc::clone(&spec.name), handler);
            specs.push(spec);
        }
        let hands = Arc::new(Hands {
            lines,
            others,
            jobs: parts.jobs,
        });
        Self {
            hands,
            specs,
            sweeper,
            leases,
            desk,
            tasks,
            settings,
            meters,
        }
    }

    /// Works until `stop` is cancelled; then ends what is in hand, or hands it back, within the
    /// deadline of the settings.
    pub async fn run(self, stop: CancellationToken) -> Ended {
        let process = self.desk.process.to_string();
        let jobs = Arc::clone(&self.hands.jobs);
        let hands: Arc<dyn Handler> = Arc::<Hands>::clone(&self.hands);
        let workers = Workers::start(jobs, &process, self.specs.clone(), hands);
        // Leases are kept until the last call has ended, which is after all else.
        let done = CancellationToken::new();
        let ambient = Arc::clone(&self.sweeper.ambient);
        let lease = || self.desk.lease_from(ambient.now());
        let keeping = self
            .leases
            .keep(&self.desk, lease, (&self.meters, done.clone()));
        let working = async {
            tokio::select! {
                () = self.sweeper.run(stop.clone()) => {}
                // A step may be one of many thousands; whoever sweeps next goes on.
                () = stop.cancelled() => {}
            }
            let until = Instant::now() + self.settings.drain;
            let jobs = workers.drain(self.settings.drain).await;
            self.tasks.close();
            let ending = tokio::time::timeout_at(until, self.tasks.wait());
            let calls_ended = ending.await.is_ok();
            for line in self.hands.lines.values() {
                line.governor.leave().await;
            }
            done.cancel();
            Ended { jobs, calls_ended }
        };
        let ((), ended) = tokio::join!(keeping, working);
        ended
    }
}

fn line(
    one: &LineParts,
    parts: &Parts,
    (desk, settings): (&Desk, Settings),
    (leases, tasks): (&Arc<Leases>, &TaskTracker),
) -> Line {
    let governor = Governor::new(
        Arc::clone(one.gate.connector()),
        Arc::clone(&parts.cells),
        Arc::clone(&parts.ambient),
        parts.process,
        one.rules.clone(),
    );
    Line {
        gate: Arc::clone(&one.gate),
        governor: Arc::new(governor),
        desk: desk.clone(),
        drafts: Arc::clone(&parts.drafts),
        ambient: Arc::clone(&parts.ambient),
        settings,
        leases: Arc::clone(leases),
        batches: Batches::default(),
        coming: Coming::default(),
        tasks: tasks.clone(),
    }
}
