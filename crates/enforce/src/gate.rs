//! The gate before one connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crmgate_connector::{Connector, NativeRequest, Refusal};
use crmgate_domain::{Ambient, ConnectionName, DecisionId, Mode};
use crmgate_policy::Active;
use crmgate_store::Store;

use crate::{Answer, Ask, Caller, Settings};

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
    settings: Settings,
    observing: AtomicBool,
}

impl Gate {
    /// A gate.
    #[must_use]
    pub fn new(parts: Parts, settings: Settings) -> Self {
        Self {
            observing: AtomicBool::new(settings.mode == Mode::Observe),
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
        let _ = ask;
        self.unable(None).await
    }

    /// Answers a request that the gate does not understand: refused when the connection enforces;
    /// in observe mode recorded and passed as it came, its body flowing.
    pub async fn pass_opaque(
        self: &Arc<Self>,
        request: NativeRequest,
        caller: Caller,
        why: &str,
    ) -> Answer {
        let _ = (request, caller, why);
        self.unable(None).await
    }

    /// Waits until every write that was judged has come to its end.
    pub async fn finish(&self) {
        std::future::ready(()).await;
    }

    async fn unable(&self, decision: Option<DecisionId>) -> Answer {
        std::future::ready(()).await;
        Answer::refused(
            self.mode(),
            Refusal::Inability {
                decision,
                message: "the gate is not ready".to_owned(),
                retry_after: self.settings.retry_after,
            },
        )
    }
}
