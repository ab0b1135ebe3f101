//! Whether the gate can do its work.

use std::sync::Arc;

use crmgate_domain::{Ambient, Mode};
use crmgate_store::Store;
use serde::Serialize;

use crate::{Connections, Policies};

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should.
    Ok,
    /// Working, but somebody should look.
    Degraded,
    /// Not working.
    Failed,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// `store`, `policies`, `connection acme-sf`.
    pub name: String,
    /// How it stands.
    pub state: State,
    /// What is wrong; no secrets.
    pub detail: Option<String>,
}

/// Whether the gate can do its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// The worst of all checks. `Failed` is answered 503: a write cannot pass now. A CRM that
    /// cannot be reached only degrades, so that one org's trouble does not take the gate of the
    /// others out of service.
    pub state: State,
    /// All checks.
    pub checks: Vec<Check>,
    /// Connections in observe mode: nothing is protected there.
    pub observing: Vec<String>,
}

/// Looks after the gate.
pub struct Health {
    store: Arc<dyn Store>,
    ambient: Arc<dyn Ambient>,
    policies: Arc<Policies>,
    connections: Arc<Connections>,
}

impl Health {
    /// Over what it looks at.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        ambient: Arc<dyn Ambient>,
        policies: Arc<Policies>,
        connections: Arc<Connections>,
    ) -> Self {
        Self {
            store,
            ambient,
            policies,
            connections,
        }
    }

    /// Looks at everything now; of the CRMs, the last probe.
    pub async fn ready(&self) -> Readiness {
        let stored = self.store.beat(self.ambient.now()).await;
        let _ = self.policies.status();
        let observing = self
            .connections
            .iter()
            .filter(|connection| connection.mode() == Mode::Observe)
            .map(|connection| connection.name().to_string());
        Readiness {
            state: if stored.is_ok() {
                State::Ok
            } else {
                State::Failed
            },
            checks: Vec::new(),
            observing: observing.collect(),
        }
    }
}
