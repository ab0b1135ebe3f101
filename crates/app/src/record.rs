//! The record's standing work and its use cases: checkpoints, self-checks, retention, erasure.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use crmgate_domain::{Ambient, Timestamp};
use crmgate_store::checkpoint::{Signer, Verifier};
use crmgate_store::verify::Report;
use crmgate_store::{
    Cutoffs, EraseFilter, Erased, Erasure, RawEntry, Store, StoreError, StoredCheckpoint,
};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::decisions::check_limit;
use crate::{Action, AppError, Principal};

mod check;
mod checkpoints;

/// How often it is looked whether a checkpoint is due, and sinks are tried.
const TICK: Duration = Duration::from_secs(1);
/// How often it is looked whether something is old enough to go.
const PRUNE_EVERY: Duration = Duration::from_secs(60);
/// The pause between two steps of pruning: decisions go first.
const PRUNE_PAUSE: Duration = Duration::from_millis(100);
/// The longest reason of an erasure.
const MAX_REASON: usize = 500;

/// Somebody beside the database's administrator who is told how far the record reaches.
#[async_trait]
pub trait CheckpointSink: Send + Sync {
    /// Its name: in metrics, in health, and for its position.
    fn name(&self) -> &str;

    /// Hands over checkpoints, in order; they are taken for good when this returns. May be handed
    /// one twice.
    ///
    /// # Errors
    /// When it is not certain that all were taken.
    async fn hand(&self, checkpoints: &[StoredCheckpoint]) -> Result<(), String>;
}

/// How long what is kept. `None` keeps for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep {
    /// Payloads of decisions.
    pub payloads: Option<Duration>,
    /// Entries, whole.
    pub entries: Option<Duration>,
    /// What was seen at connections.
    pub sightings: Option<Duration>,
    /// Policy revisions that were replaced.
    pub revisions: Option<Duration>,
    /// Holds that ended.
    pub holds: Option<Duration>,
    /// Whether entries go although a sink of the decision log has not taken them.
    pub past_sinks: bool,
}

/// How the record is looked after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordSettings {
    /// A checkpoint is due after this time, when there is something new.
    pub checkpoint_every: Duration,
    /// And after so many entries.
    pub checkpoint_entries: u64,
    /// How often the whole record is verified.
    pub check_every: Duration,
    /// How long what is kept.
    pub keep: Keep,
}

impl Default for RecordSettings {
    fn default() -> Self {
        Self {
            checkpoint_every: Duration::from_secs(60),
            checkpoint_entries: 10_000,
            check_every: Duration::from_secs(24 * 3_600),
            keep: Keep::default(),
        }
    }
}

/// The key that signs checkpoints.
pub struct CheckpointKey {
    /// Signs.
    pub signer: Signer,
    /// Verifies.
    pub verifier: Verifier,
    /// The public key, PEM.
    pub public_pem: String,
}

/// What the record's care is made of.
#[derive(Default)]
pub struct RecordParts {
    /// How.
    pub settings: RecordSettings,
    /// The key; without one there are no checkpoints.
    pub key: Option<CheckpointKey>,
    /// Who is handed checkpoints.
    pub sinks: Vec<Arc<dyn CheckpointSink>>,
}

/// How a sink stands.
#[derive(Debug, Clone, Default)]
struct SinkState {
    /// Since when it lacks something.
    behind_since: Option<Timestamp>,
    /// What went wrong last.
    problem: Option<String>,
    /// When it is tried again.
    again_at: Option<Timestamp>,
    /// How often it failed in a row.
    failures: u32,
}

/// What is known about the record's state.
#[derive(Debug, Default)]
struct Known {
    sinks: Vec<SinkState>,
    /// The last position that a checkpoint covers.
    covered: u64,
    checkpoint_at: Option<Timestamp>,
    checkpoint_problem: Option<String>,
    report: Option<Report>,
    check_problem: Option<String>,
}

/// Looks after the record.
pub struct Record {
    store: Arc<dyn Store>,
    ambient: Arc<dyn Ambient>,
    parts: RecordParts,
    known: Mutex<Known>,
    /// One checkpoint is made at a time.
    making: tokio::sync::Mutex<()>,
}

impl Record {
    /// Over a store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, ambient: Arc<dyn Ambient>, parts: RecordParts) -> Self {
        let known = Known {
            sinks: vec![SinkState::default(); parts.sinks.len()],
            ..Known::default()
        };
        Self {
            store,
            ambient,
            parts,
            known: Mutex::new(known),
            making: tokio::sync::Mutex::new(()),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does the standing work until `stop` is cancelled. No decision ever waits for it.
    pub async fn run(&self, stop: CancellationToken) {
        self.checkpoint_now().await;
        let every = |period: Duration| {
            let mut ticks = tokio::time::interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        let (mut tick, mut prune) = (every(TICK), every(PRUNE_EVERY));
        let pointing = async {
            loop {
                tick.tick().await;
                self.checkpoint_if_due().await;
                self.hand_all(false).await;
            }
        };
        let pruning = async {
            loop {
                prune.tick().await;
                if let Err(error) = self.prune().await {
                    tracing::warn!(%error, "what is old enough could not be removed");
                }
            }
        };
        tokio::select! {
            () = async { tokio::join!(pointing, pruning, self.check_always()); } => {}
            () = stop.cancelled() => {}
        }
    }

    /// The last checkpoint, before the store closes.
    pub async fn close(&self) {
        self.checkpoint_now().await;
        self.hand_all(true).await;
    }

    async fn prune(&self) -> Result<(), StoreError> {
        let now = self.ambient.now();
        let keep = self.parts.settings.keep;
        let before = |time: Option<Duration>| time.and_then(|time| now.checked_sub(time).ok());
        let cutoffs = Cutoffs {
            payloads: before(keep.payloads),
            entries: before(keep.entries),
            sightings: before(keep.sightings),
            revisions: before(keep.revisions),
            holds: before(keep.holds),
            past_sinks: keep.past_sinks,
        };
        if cutoffs == Cutoffs::default() {
            return Ok(());
        }
        loop {
            let pruned = self.store.prune(&cutoffs, now).await?;
            for (what, count) in [
                ("payloads", pruned.payloads),
                ("entries", pruned.entries),
                ("sightings", pruned.sightings),
                ("revisions", pruned.revisions),
                ("holds", pruned.holds),
            ] {
                metrics::counter!("crmgate_record_pruned_total", "what" => what).increment(count);
            }
            if pruned.held_by_sink {
                tracing::warn!("entries are old enough to go, but a sink has not taken them yet");
            }
            if !pruned.more {
                return Ok(());
            }
            tokio::time::sleep(PRUNE_PAUSE).await;
        }
    }

    /// What is wrong with the record, for health.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let known = self.known();
        let broken = known.report.as_ref().filter(|report| !report.whole);
        let broken = broken.map(|report| {
            let first = report.faults.first();
            let first = first.map_or("a payload is missing", |fault| fault.message.as_str());
            format!("the record is not as it was written: {first}")
        });
        let sinks = self.parts.sinks.iter().zip(&known.sinks);
        let failing = sinks.filter_map(|(sink, state)| {
            let problem = state.problem.as_ref()?;
            Some(format!(
                "checkpoints do not reach `{}`: {problem}",
                sink.name()
            ))
        });
        let all: Vec<String> = broken
            .into_iter()
            .chain(known.checkpoint_problem.clone())
            .chain(known.check_problem.clone())
            .chain(failing)
            .collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// What the last self-check found out about the whole record.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound` before the first one ended.
    pub fn checked(&self, by: &Principal) -> Result<Report, AppError> {
        whole(by)?;
        let report = self.known().report.clone();
        report.ok_or_else(|| AppError::not_found("self-check", "last"))
    }

    /// Entries after a position, in the order of commits.
    ///
    /// # Errors
    /// `Forbidden`, also for a token that may not see all connections; `Invalid`; `Unavailable`.
    pub async fn entries(
        &self,
        by: &Principal,
        after: u64,
        limit: usize,
    ) -> Result<Vec<RawEntry>, AppError> {
        whole(by)?;
        check_limit(limit)?;
        Ok(self.store.entries(after, limit).await?)
    }

    /// Checkpoints after a number.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`, `Unavailable`.
    pub async fn checkpoints(
        &self,
        by: &Principal,
        after: u64,
        limit: usize,
    ) -> Result<Vec<StoredCheckpoint>, AppError> {
        whole(by)?;
        check_limit(limit)?;
        Ok(self.store.checkpoints(after, limit).await?)
    }

    /// The public key that verifies checkpoints, PEM.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound` where there are no checkpoints.
    pub fn public_key(&self, by: &Principal) -> Result<&str, AppError> {
        by.demand(Action::ReadRecord)?;
        let key = self.parts.key.as_ref();
        key.map(|key| key.public_pem.as_str())
            .ok_or_else(|| AppError::not_found("key", "checkpoints"))
    }

    /// Erases payloads; recorded with who, when and why. With `dry_run` only counts.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`, `Unavailable`.
    pub async fn erase(
        &self,
        by: &Principal,
        wanted: &EraseFilter,
        reason: &str,
        dry_run: bool,
    ) -> Result<Erased, AppError> {
        by.demand(Action::Erase)?;
        if wanted.is_empty() {
            let problem = "expected at least one of `decision`, `record_id`, `actor`, \
                           `connection`, `before`";
            return Err(AppError::invalid("wanted", problem));
        }
        if by.visible().is_some() {
            let scoped = wanted.connection.as_ref().is_some_and(|c| by.sees(c));
            if !scoped {
                return Err(AppError::Forbidden(format!(
                    "token `{}` may touch some connections only: name one of them",
                    by.token.name
                )));
            }
        }
        let reason = reason.trim();
        if reason.is_empty() || reason.len() > MAX_REASON {
            let problem = format!("expected 1 to {MAX_REASON} bytes: it stays in the record");
            return Err(AppError::invalid("reason", problem));
        }
        if dry_run {
            return Ok(self.store.erasable(wanted).await?);
        }
        let erasure = Erasure {
            by: by.token.name.clone(),
            at: self.ambient.now(),
            reason: reason.to_owned(),
        };
        let erased = self.store.erase(wanted, &erasure).await?;
        metrics::counter!("crmgate_record_erased_total").increment(erased.decisions);
        tracing::warn!(
            by = by.token.name,
            decisions = erased.decisions,
            "payloads were erased on request; what sinks took before is theirs to erase"
        );
        Ok(erased)
    }
}

/// Demands the right to read the record as a whole.
fn whole(by: &Principal) -> Result<(), AppError> {
    by.demand(Action::ReadRecord)?;
    if by.visible().is_none() {
        return Ok(());
    }
    Err(AppError::Forbidden(format!(
        "token `{}` may see some connections only, and the record is of all",
        by.token.name
    )))
}
