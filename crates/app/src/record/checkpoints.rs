//! Making checkpoints and handing them on.

use std::time::Duration;

use crmgate_domain::Timestamp;
use crmgate_store::checkpoint::Checkpoint;
use crmgate_store::{CHECKPOINT_SINKS, StoreError, StoredCheckpoint};

use super::{CheckpointSink, Record, SinkState};

/// Most checkpoints of one handing.
const MOST: usize = 100;
/// How long a sink may take.
const HAND_WITHIN: Duration = Duration::from_secs(20);
/// The longest pause before a failing sink is tried again.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// The name under which a sink's position is kept.
fn position(sink: &dyn CheckpointSink) -> String {
    format!("{CHECKPOINT_SINKS}{}", sink.name())
}

impl Record {
    /// Makes a checkpoint when enough is new.
    pub(super) async fn checkpoint_if_due(&self) {
        if self.parts.key.is_none() {
            return;
        }
        let settings = &self.parts.settings;
        let Ok(last) = self.store.feed_end().await else {
            return;
        };
        let now = self.ambient.now();
        let (covered, at) = {
            let known = self.known();
            (known.covered, known.checkpoint_at)
        };
        let age = at.and_then(|at| Duration::try_from(now.duration_since(at)).ok());
        let old = age.is_none_or(|age| age >= settings.checkpoint_every);
        let new = last.saturating_sub(covered);
        if new >= settings.checkpoint_entries || (old && new > 0) {
            self.checkpoint_now().await;
        }
    }

    /// Makes a checkpoint, unless nothing is new since the last one that this process made.
    pub(super) async fn checkpoint_now(&self) {
        let problem = match self.checkpoint().await {
            Ok(()) => None,
            Err(error) => {
                tracing::warn!(error, "no checkpoint of the record could be made");
                Some(format!("no checkpoint could be made: {error}"))
            }
        };
        self.known().checkpoint_problem = problem;
    }

    async fn checkpoint(&self) -> Result<(), String> {
        let Some(key) = &self.parts.key else {
            return Ok(());
        };
        let _one = self.making.lock().await;
        let text = |error: StoreError| error.to_string();
        let now = self.ambient.now();
        // The first write of a process begins its chain.
        self.store.beat(now).await.map_err(text)?;
        // Before the extent: a later number never stands for a shorter record.
        let previous = self.store.last_checkpoint().await.map_err(text)?;
        let extent = self.store.extent().await.map_err(text)?;
        if extent.last == 0 || extent.last <= self.known().covered {
            return Ok(());
        }
        let previous = previous
            .as_ref()
            .map(|previous| (previous.number, previous.jws.as_str()));
        let last = extent.last;
        let checkpoint = Checkpoint::next(previous, extent, now);
        let jws = key
            .signer
            .sign(&checkpoint)
            .map_err(|error| error.to_string())?;
        let stored = StoredCheckpoint {
            number: checkpoint.number,
            at: now,
            jws,
        };
        match self.store.add_checkpoint(stored).await {
            // Another process made that one at the same time; what it lacks is due soon again.
            Err(StoreError::Exists(_)) => return Ok(()),
            added => added.map_err(text)?,
        }
        let mut known = self.known();
        known.covered = last;
        known.checkpoint_at = Some(now);
        Ok(())
    }

    /// Hands every sink what it lacks. With `now`, also those that wait after a failure.
    pub(super) async fn hand_all(&self, now: bool) {
        for (place, sink) in self.parts.sinks.iter().enumerate() {
            let at = self.ambient.now();
            let mut state = {
                let known = self.known();
                known.sinks.get(place).cloned().unwrap_or_default()
            };
            if !now && state.again_at.is_some_and(|again| again > at) {
                gauge(sink.as_ref(), &state, at);
                continue;
            }
            let handed = self.hand(sink.as_ref()).await;
            learn(&mut state, handed, at);
            gauge(sink.as_ref(), &state, at);
            if let Some(known) = self.known().sinks.get_mut(place) {
                *known = state;
            }
        }
    }

    /// Hands a sink what it lacks.
    async fn hand(&self, sink: &dyn CheckpointSink) -> Result<(), String> {
        let text = |error: StoreError| error.to_string();
        let name = position(sink);
        loop {
            let taken = self.store.sink_position(&name).await.map_err(text)?;
            let lacking = self.store.checkpoints(taken, MOST).await.map_err(text)?;
            let Some(last) = lacking.last().map(|checkpoint| checkpoint.number) else {
                return Ok(());
            };
            let handing = tokio::time::timeout(HAND_WITHIN, sink.hand(&lacking));
            handing
                .await
                .map_err(|_| format!("no answer within {HAND_WITHIN:?}"))??;
            self.store
                .set_sink_position(&name, last)
                .await
                .map_err(text)?;
            metrics::counter!("crmgate_record_checkpoints_total", "sink" => sink.name().to_owned())
                .increment(lacking.len() as u64);
        }
    }
}

fn learn(state: &mut SinkState, handed: Result<(), String>, at: Timestamp) {
    match handed {
        Ok(()) => *state = SinkState::default(),
        Err(problem) => {
            state.failures = state.failures.saturating_add(1);
            let pause = Duration::from_secs(1 << state.failures.min(6)).min(MAX_PAUSE);
            tracing::warn!(problem, "a checkpoint could not be handed over");
            state.behind_since.get_or_insert(at);
            state.problem = Some(problem);
            state.again_at = at.checked_add(pause).ok();
        }
    }
}

/// For how long the sink has lacked a checkpoint: 0 while it has all.
fn gauge(sink: &dyn CheckpointSink, state: &SinkState, now: Timestamp) {
    let behind = state
        .behind_since
        .map_or(0.0, |since| now.duration_since(since).as_secs_f64());
    let name = sink.name().to_owned();
    metrics::gauge!("crmgate_record_checkpoint_age_seconds", "sink" => name).set(behind.max(0.0));
}
