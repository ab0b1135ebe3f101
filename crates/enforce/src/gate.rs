//! The gate before one connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crmgate_connector::Connector;
use crmgate_domain::{Ambient, ConnectionName, Mode, RevisionId, Timestamp};
use crmgate_policy::Active;
use crmgate_store::{Recorder, Store};
use crmgate_telemetry::SPANS;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::decide::InTime;
use crate::inflight::InFlight;
use crate::meters::{Meters, Stage, Timer};
use crate::outcome::Pending;
use crate::queued::{QueueMeters, Unanswered};
use crate::remember::classes::Classes;
use crate::turns::Turns;
use crate::{Answer, Ask, Settings};

/// What a gate is built of.
#[derive(Clone)]
pub struct Parts {
    /// The connection's CRM.
    pub connector: Arc<dyn Connector>,
    /// The policies in force.
    pub policies: Arc<Active>,
    /// The memory.
    pub store: Arc<dyn Store>,
    /// Time and randomness.
    pub ambient: Arc<dyn Ambient>,
}

/// The gate before one connection. Share it in an [`Arc`].
pub struct Gate {
    parts: Parts,
    recorder: Recorder,
    settings: Settings,
    meters: Meters,
    observing: AtomicBool,
    places: Semaphore,
    queue_places: Semaphore,
    /// When calls of this process ended without an answer.
    unanswered: Unanswered,
    queue_meters: QueueMeters,
    turns: Turns,
    in_flight: Arc<InFlight>,
    pending: Mutex<Vec<Pending>>,
    tasks: TaskTracker,
    classes: Classes,
}

impl Gate {
    /// A gate.
    #[must_use]
    pub fn new(parts: Parts, settings: Settings) -> Self {
        let log = Arc::new(InTime {
            store: Arc::clone(&parts.store),
            limit: settings.record_within,
        });
        let ambient = Arc::clone(&parts.ambient);
        Self {
            recorder: Recorder::new(log, ambient),
            meters: Meters::new(parts.connector.name()),
            observing: AtomicBool::new(settings.mode == Mode::Observe),
            places: Semaphore::new(settings.concurrency),
            queue_places: Semaphore::new(settings.queue_places),
            unanswered: Unanswered::default(),
            queue_meters: QueueMeters::new(parts.connector.name()),
            turns: Turns::new(settings.slow),
            in_flight: Arc::default(),
            pending: Mutex::default(),
            tasks: TaskTracker::new(),
            classes: Classes::default(),
            parts,
            settings,
        }
    }

    /// The connection's name.
    #[must_use]
    pub fn connection(&self) -> &ConnectionName {
        self.parts.connector.name()
    }

    /// The connection's CRM.
    #[must_use]
    pub const fn connector(&self) -> &Arc<dyn Connector> {
        &self.parts.connector
    }

    /// How it behaves.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether verdicts are carried out.
    #[must_use]
    pub fn mode(&self) -> Mode {
        if self.observing.load(Ordering::Acquire) {
            Mode::Observe
        } else {
            Mode::Enforce
        }
    }

    /// Changes the mode for operations that come from now on. The caller records the change.
    pub fn set_mode(&self, mode: Mode) {
        self.observing
            .store(mode == Mode::Observe, Ordering::Release);
    }

    /// Judges, records and, where the decision gives leave, writes.
    ///
    /// Dropping the future does not stop it: see the crate's invariants.
    pub async fn write(self: &Arc<Self>, ask: Ask) -> Answer {
        let gate = Arc::clone(self);
        let mode = self.mode();
        let span = self.span(&ask);
        let work = async move { gate.take(&ask, mode).await }.instrument(span);
        let working = self.tasks.spawn(work);
        match working.await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::error!(connection = %self.connection(), %error, "a write broke off");
                self.unable_answer(
                    None,
                    "the gate failed; it is being found out what was written",
                )
            }
        }
    }

    /// The span of an operation: names and ids, never values.
    pub(crate) fn span(&self, ask: &Ask) -> tracing::Span {
        tracing::info_span!(
            target: SPANS,
            "operation",
            connection = %self.connection(),
            object = ask.draft.object,
            kind = ask.draft.requested.as_str(),
            point = ask.point.as_str(),
            decision = tracing::field::Empty,
            effect = tracing::field::Empty,
        )
    }

    /// Starts to time a stage that somebody else does: parsing.
    pub fn time(&self, stage: Stage) -> Timer {
        self.meters.time(stage)
    }

    async fn take(self: &Arc<Self>, ask: &Ask, mode: Mode) -> Answer {
        let _busy = self.meters.busy();
        match mode {
            Mode::Observe => self.observe(ask).await,
            Mode::Enforce => self.admit(ask).await,
        }
    }

    /// Waits for a place, so that one CRM's load cannot take all of the gate.
    async fn admit(self: &Arc<Self>, ask: &Ask) -> Answer {
        let waiting = self.places.acquire();
        let Ok(Ok(_place)) = tokio::time::timeout(self.settings.judge_within, waiting).await else {
            self.meters.turned_away();
            let message = "too many operations are under way at this connection";
            return self.unable_answer(None, message);
        };
        self.enforce(ask).await
    }

    /// Waits until every write that was judged has come to its end and what came of it is stored,
    /// as far as the store can be written.
    pub async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.append_pending().await;
    }

    /// Whether the CRM is done with what was sent at that time, one way or the other.
    pub(crate) fn settled(&self, at: Timestamp) -> bool {
        let age = self.ambient().now().duration_since(at);
        std::time::Duration::try_from(age).is_ok_and(|age| age >= self.settings.settle)
    }

    /// The policies in force.
    #[must_use]
    pub fn policy_revision(&self) -> RevisionId {
        self.revision()
    }

    pub(crate) fn revision(&self) -> RevisionId {
        self.parts.policies.current().revision().clone()
    }

    pub(crate) const fn policies(&self) -> &Arc<Active> {
        &self.parts.policies
    }

    pub(crate) const fn store(&self) -> &Arc<dyn Store> {
        &self.parts.store
    }

    pub(crate) fn ambient(&self) -> &dyn Ambient {
        self.parts.ambient.as_ref()
    }

    pub(crate) const fn meters(&self) -> &Meters {
        &self.meters
    }

    pub(crate) const fn turns(&self) -> &Turns {
        &self.turns
    }

    pub(crate) const fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    pub(crate) const fn in_flight(&self) -> &Arc<InFlight> {
        &self.in_flight
    }

    pub(crate) fn pending(&self) -> MutexGuard<'_, Vec<Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) const fn queue_places(&self) -> &Semaphore {
        &self.queue_places
    }

    pub(crate) const fn queue_meters(&self) -> &QueueMeters {
        &self.queue_meters
    }

    pub(crate) const fn unanswered(&self) -> &Unanswered {
        &self.unanswered
    }

    pub(crate) const fn classes(&self) -> &Classes {
        &self.classes
    }

    pub(crate) const fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }
}
