//! Which processes there are, and which policies each has in force.

use std::sync::Arc;
use std::time::Duration;

use crmgate_domain::{Ambient, ProcessId, Timestamp};
use crmgate_store::{Process, ProcessKind, Processes, StoreError};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{Action, AppError, Check, Policies, Principal, State};

/// How often a process says that it lives.
const EVERY: Duration = Duration::from_secs(2);
/// After how long of silence a process counts as gone.
pub const GONE_AFTER: Duration = crmgate_store::GONE_AFTER;
/// How long processes may have different policies in force before somebody should look.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Present {
    /// The process.
    #[serde(flatten)]
    pub process: Process,
    /// Whether it is the one that answers.
    pub this: bool,
    /// Whether the policies in force there are those in force here.
    pub same_policies: bool,
}

/// Says that this process lives, and knows the others.
pub struct Presence {
    processes: Arc<dyn Processes>,
    ambient: Arc<dyn Ambient>,
    policies: Arc<Policies>,
    own: Process,
    draining: std::sync::atomic::AtomicBool,
    /// Since when another process has other policies in force.
    apart: std::sync::Mutex<Option<Timestamp>>,
}

impl Presence {
    /// Of this process.
    #[must_use]
    pub fn new(
        processes: Arc<dyn Processes>,
        ambient: Arc<dyn Ambient>,
        policies: Arc<Policies>,
        (id, kind, host): (ProcessId, ProcessKind, String),
    ) -> Self {
        let now = ambient.now();
        let own = Process {
            id,
            kind,
            host,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: now,
            beat_at: now,
            revision: policies.status().revision,
            draining: false,
        };
        Self {
            processes,
            ambient,
            policies,
            own,
            draining: std::sync::atomic::AtomicBool::new(false),
            apart: std::sync::Mutex::default(),
        }
    }

    /// This process.
    #[must_use]
    pub const fn id(&self) -> ProcessId {
        self.own.id
    }

    /// Says from now on that this process takes nothing new.
    pub fn drain(&self) {
        self.draining
            .store(true, std::sync::atomic::Ordering::Release);
    }

    /// Says once that this process lives.
    ///
    /// # Errors
    /// When it could not be stored.
    pub async fn beat(&self) -> Result<(), StoreError> {
        let now = self.ambient.now();
        let own = Process {
            beat_at: now,
            revision: self.policies.status().revision,
            draining: self.draining.load(std::sync::atomic::Ordering::Acquire),
            ..self.own.clone()
        };
        self.processes.beat_process(&own).await?;
        let others = self.processes.processes(now - GONE_AFTER).await?;
        let differ = others.iter().any(|other| other.revision != own.revision);
        let mut apart = self
            .apart
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *apart = differ.then(|| apart.unwrap_or(now));
        Ok(())
    }

    /// Says so again and again until `stop` is cancelled.
    pub async fn run(&self, stop: CancellationToken) {
        loop {
            if let Err(error) = self.beat().await {
                tracing::debug!(%error, "this process could not say that it lives");
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Says that this process ends.
    pub async fn leave(&self) {
        if let Err(error) = self.processes.leave(self.own.id).await {
            tracing::debug!(%error, "this process could not take its leave");
        }
    }

    /// The processes that live.
    ///
    /// # Errors
    /// `Forbidden`, `Unavailable`.
    pub async fn list(&self, by: &Principal) -> Result<Vec<Present>, AppError> {
        by.demand(Action::ReadProcesses)?;
        let since = self.ambient.now() - GONE_AFTER;
        let revision = self.policies.status().revision;
        let processes = self.processes.processes(since).await?;
        let present = processes.into_iter().map(|process| Present {
            this: process.id == self.own.id,
            same_policies: process.revision == revision,
            process,
        });
        Ok(present.collect())
    }

    /// Whether all processes judge alike.
    #[must_use]
    pub fn check(&self) -> Check {
        let since = *self
            .apart
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let problem = since
            .filter(|since| self.ambient.now() - PATIENCE > *since)
            .map(|since| {
                format!(
                    "processes have different policies in force since {since}: see `crmgate \
                     processes list`"
                )
            });
        Check::new("processes", State::Degraded, problem)
    }
}
