//! Finds what should be moving and is not, and clears away.
//!
//! Every process sweeps, but each step is made by whoever comes first: a cell says when it was made
//! last. Made twice, a step does no harm.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crmgate_domain::{Ambient, RevisionId, Timestamp};
use crmgate_enforce::queued::Step;
use crmgate_store::{By, Cells, Jobs, NewJob, OperationLog, StoreError, Swapped, queue_of};
use tokio_util::sync::CancellationToken;

use crate::Settings;
use crate::line::Line;
use crate::meters::WorkerMeters;

/// How many operations one step looks at.
const MOST: usize = 1_000;
/// How often operations are unfolded of which nobody has told.
const UNFOLD_EVERY: Duration = Duration::from_millis(500);
/// How often what has ended is cleared away.
const PRUNE_EVERY: Duration = Duration::from_secs(60);
/// Small steps of clearing away at a time.
const PRUNE_STEPS: usize = 50;
/// How many dead jobs are looked at at a time.
const DEAD: usize = 100;
/// Tries of a job that the sweeper pushes.
const TRIES: u32 = 16;
/// A step was made when its cell says so, for so long at most.
const KEEP: Duration = Duration::from_secs(60 * 60);

/// Sweeps.
pub(crate) struct Sweeper {
    pub(crate) operations: Arc<dyn OperationLog>,
    pub(crate) jobs: Arc<dyn Jobs>,
    pub(crate) cells: Arc<dyn Cells>,
    pub(crate) ambient: Arc<dyn Ambient>,
    pub(crate) lines: BTreeMap<Arc<str>, Arc<Line>>,
    pub(crate) by: By,
    pub(crate) settings: Settings,
    pub(crate) meters: WorkerMeters,
}

impl Sweeper {
    /// Again and again until told to stop.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let unfolding = self.again(UNFOLD_EVERY, &stop, || self.unfold());
        let sweeping = self.again(self.settings.sweep, &stop, || self.sweep());
        let pruning = self.again(PRUNE_EVERY, &stop, || self.prune());
        tokio::join!(unfolding, sweeping, pruning);
    }

    async fn again<F>(&self, every: Duration, stop: &CancellationToken, step: impl Fn() -> F)
    where
        F: Future<Output = Result<(), StoreError>>,
    {
        loop {
            if let Err(error) = step().await {
                tracing::warn!(%error, "a step of sweeping failed; it is made again");
            }
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.ambient.now()
    }

    fn before(&self, age: Duration) -> Timestamp {
        let now = self.now();
        now.checked_sub(age).unwrap_or(now)
    }

    /// Accepted submissions whose process died before they were unfolded.
    async fn unfold(&self) -> Result<(), StoreError> {
        while self.operations.unfold(self.now(), MOST).await?.more {}
        Ok(())
    }

    /// All that is looked for often.
    pub(crate) async fn sweep(&self) -> Result<(), StoreError> {
        let step = Step::Sweep.start();
        if self.first("sweep/moving", self.settings.sweep).await? {
            self.expire().await?;
            self.wake().await?;
            self.judge_again().await?;
            self.bury().await;
        }
        step.stop();
        Ok(())
    }

    /// Whether this process is the one to make a step now.
    async fn first(&self, key: &str, every: Duration) -> Result<bool, StoreError> {
        let now = self.now();
        let cell = self.cells.cell(key).await?;
        let made = cell
            .as_ref()
            .and_then(|cell| cell.body.parse::<Timestamp>().ok());
        // Half of the time between: the clocks of processes differ, and a step too many is cheap.
        let recent = made.is_some_and(|made| {
            now >= made
                && Duration::try_from(now.duration_since(made)).is_ok_and(|age| age < every / 2)
        });
        if recent {
            return Ok(false);
        }
        let seen = cell.map(|cell| cell.version);
        let swapped = self
            .cells
            .swap(key, seen, now.to_string(), Some(KEEP))
            .await?;
        Ok(matches!(swapped, Swapped::Done(_)))
    }

    async fn expire(&self) -> Result<(), StoreError> {
        loop {
            let ended = self.operations.expire(self.now(), &self.by, MOST).await?;
            if ended < u64::try_from(MOST).unwrap_or(u64::MAX) {
                return Ok(());
            }
        }
    }

    /// Operations that nobody looks at get their jobs again.
    async fn wake(&self) -> Result<(), StoreError> {
        let before = self.before(self.settings.stuck_after);
        let stuck = self.operations.stuck(before, MOST).await?;
        if stuck.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let mut jobs = Vec::with_capacity(stuck.len());
        for id in &stuck {
            let Some(stored) = self.operations.operation(*id).await? else {
                continue;
            };
            // A group's job is that of its first member.
            let name = stored.group.unwrap_or(stored.id);
            jobs.push(NewJob {
                queue: queue_of(&stored.connection),
                id: name.to_string(),
                due: now,
                priority: stored.priority,
                most_attempts: TRIES,
            });
        }
        let pushed = self.jobs.push(jobs).await?;
        if pushed > 0 {
            let count = usize::try_from(pushed).unwrap_or(usize::MAX);
            self.meters.swept(count);
            tracing::info!(count, "operations stood still and were woken again");
        }
        Ok(())
    }

    /// Operations that wait for other policies are judged again once there are some.
    async fn judge_again(&self) -> Result<(), StoreError> {
        // All connections have one revision in force, as far as this process has heard of it.
        let revision: Option<RevisionId> = self
            .lines
            .values()
            .next()
            .map(|line| line.gate.policy_revision());
        let Some(revision) = revision else {
            return Ok(());
        };
        let most = u64::try_from(MOST).unwrap_or(u64::MAX);
        while self
            .operations
            .judge_again(&revision, self.now(), MOST)
            .await?
            >= most
        {}
        Ok(())
    }

    /// Operations whose jobs are dead.
    async fn bury(&self) {
        for (queue, line) in &self.lines {
            match self.jobs.dead(queue, DEAD).await {
                Ok(dead) if !dead.is_empty() => {
                    let ids: Vec<String> = dead.into_iter().map(|job| job.id).collect();
                    line.bury(self.jobs.as_ref(), &ids).await;
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%queue, %error, "dead jobs could not be listed"),
            }
        }
    }

    /// What was never accepted, and what has ended long ago.
    async fn prune(&self) -> Result<(), StoreError> {
        if !self.first("sweep/prune", PRUNE_EVERY).await? {
            return Ok(());
        }
        let keep = self.settings.keep;
        self.operations
            .drop_abandoned(self.before(keep.abandoned))
            .await?;
        let payloads = keep.payloads.map(|age| self.before(age));
        let rows = keep.rows.map(|age| self.before(age));
        if payloads.is_none() && rows.is_none() {
            return Ok(());
        }
        for _ in 0..PRUNE_STEPS {
            if !self.operations.prune_operations(payloads, rows).await? {
                break;
            }
        }
        Ok(())
    }
}
