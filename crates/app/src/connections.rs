//! The configured connections.

use std::collections::BTreeMap;
use std::sync::Arc;

use crmgate_connector::{Class, Connector, RequestHead};
use crmgate_domain::{Ambient, ConnectionName, Mode, Timestamp};
use crmgate_enforce::{Gate, Settings};
use crmgate_store::{ModeChange, Store};
use serde::{Deserialize, Serialize};

use crate::{
    Action, AppError, IdentityCache, IdentitySettings, Policies, Principal, Report, Sightings,
};

/// Where callers' credentials come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityMode {
    /// Callers bring the CRM's own tokens; these go upstream.
    #[default]
    PassThrough,
    /// Callers hold crmgate tokens; the connection's own credential goes upstream.
    Brokered,
}

/// What a connection is made of.
pub struct ConnectionParts {
    /// Its CRM.
    pub connector: Arc<dyn Connector>,
    /// Where callers' credentials come from.
    pub identity: IdentityMode,
    /// How long callers' identities are remembered.
    pub identities: IdentitySettings,
    /// How its gate behaves.
    pub settings: Settings,
}

/// One configured connection.
pub struct Connection {
    gate: Arc<Gate>,
    identity: IdentityMode,
    identities: IdentityCache,
}

impl Connection {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &ConnectionName {
        self.gate.connection()
    }

    /// Its gate.
    #[must_use]
    pub const fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Its CRM.
    #[must_use]
    pub fn connector(&self) -> &Arc<dyn Connector> {
        self.gate.connector()
    }

    /// Whether verdicts are carried out.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.gate.mode()
    }

    /// Where callers' credentials come from.
    #[must_use]
    pub const fn identity(&self) -> IdentityMode {
        self.identity
    }

    /// Who its callers are, as far as it is remembered.
    #[must_use]
    pub const fn identities(&self) -> &IdentityCache {
        &self.identities
    }

    /// Which door a request knocks at.
    #[must_use]
    pub fn classify(&self, head: &RequestHead) -> Class {
        self.connector().classify(head)
    }
}

/// What there is to tell about a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConnectionStatus {
    /// Its name.
    pub name: ConnectionName,
    /// What kind of CRM.
    pub system: String,
    /// Whether verdicts are carried out.
    pub mode: Mode,
    /// Since when and by whom, where it was ever recorded.
    pub mode_since: Option<ModeChange>,
    /// Whether anything is protected: `false` in observe mode.
    pub protected: bool,
    /// Where callers' credentials come from.
    pub identity: IdentityMode,
    /// Whether the connection has a credential of its own.
    pub service_credential: bool,
    /// Whether what cannot be judged passes.
    pub fail_open: bool,
}

/// All configured connections.
pub struct Connections {
    all: BTreeMap<ConnectionName, Arc<Connection>>,
    store: Arc<dyn Store>,
    ambient: Arc<dyn Ambient>,
    policies: Arc<Policies>,
    sightings: Arc<Sightings>,
}

impl Connections {
    /// Puts the gates before the CRMs.
    #[must_use]
    pub fn new(
        parts: Vec<ConnectionParts>,
        store: &Arc<dyn Store>,
        ambient: &Arc<dyn Ambient>,
        policies: &Arc<Policies>,
        sightings: &Arc<Sightings>,
    ) -> Self {
        let made = parts.into_iter().map(|parts| {
            let gate = Gate::new(
                crmgate_enforce::Parts {
                    connector: parts.connector,
                    policies: Arc::clone(policies.active()),
                    store: Arc::clone(store),
                    ambient: Arc::clone(ambient),
                },
                parts.settings,
            );
            let name = gate.connection().clone();
            let connection = Connection {
                gate: Arc::new(gate),
                identity: parts.identity,
                identities: IdentityCache::new(parts.identities),
            };
            (name, Arc::new(connection))
        });
        Self {
            all: made.collect(),
            store: Arc::clone(store),
            ambient: Arc::clone(ambient),
            policies: Arc::clone(policies),
            sightings: Arc::clone(sightings),
        }
    }

    /// One by its name.
    #[must_use]
    pub fn get(&self, name: &ConnectionName) -> Option<&Arc<Connection>> {
        self.all.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Connection>> {
        self.all.values()
    }

    /// Whether any connection only observes: then not everything is protected.
    #[must_use]
    pub fn any_observes(&self) -> bool {
        self.iter().any(|c| c.mode() == Mode::Observe)
    }

    /// Those that the caller may see.
    ///
    /// # Errors
    /// `Forbidden`, `Unavailable`.
    pub async fn list(&self, by: &Principal) -> Result<Vec<ConnectionStatus>, AppError> {
        by.demand(Action::ReadConnections)?;
        let mut found = Vec::new();
        for connection in self.iter().filter(|c| by.sees(c.name())) {
            found.push(self.status(connection).await?);
        }
        Ok(found)
    }

    /// One of them.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Unavailable`.
    pub async fn show(
        &self,
        by: &Principal,
        name: &ConnectionName,
    ) -> Result<ConnectionStatus, AppError> {
        by.demand(Action::ReadConnections)?;
        self.status(self.visible(by, name)?).await
    }

    /// Switches a connection between observing and enforcing; recorded before it is done. Holds
    /// until the next start, when the configuration's mode holds again.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Unavailable`.
    pub async fn set_mode(
        &self,
        by: &Principal,
        name: &ConnectionName,
        mode: Mode,
    ) -> Result<ConnectionStatus, AppError> {
        by.demand(Action::SwitchMode)?;
        let connection = self.visible(by, name)?;
        let change = ModeChange {
            at: self.ambient.now(),
            mode,
            by: by.token.name.clone(),
        };
        if connection.mode() != mode {
            self.store.append_mode(name, change).await?;
            connection.gate.set_mode(mode);
            tracing::warn!(
                connection = %name,
                mode = mode.as_str(),
                by = by.token.name,
                "the mode was switched"
            );
        }
        self.status(connection).await
    }

    /// What was seen, and what enforcing would do to it. `since`: from when on; since the
    /// connection last went into observe mode, where not given.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Unavailable`.
    pub async fn report(
        &self,
        by: &Principal,
        name: &ConnectionName,
        since: Option<Timestamp>,
    ) -> Result<Report, AppError> {
        by.demand(Action::ReadReport)?;
        let connection = self.visible(by, name)?;
        self.sightings.flush().await?;
        let since = match since {
            Some(since) => Some(since),
            None => self.observing_since(connection).await?,
        };
        let seen = self.store.sightings(name, since).await?;
        Ok(Report::of(
            name.clone(),
            connection.mode(),
            since,
            &seen,
            self.policies.active().status().broken.is_some(),
        ))
    }

    /// One by its name, if the caller may see it.
    ///
    /// # Errors
    /// `NotFound`, also for one that is out of the caller's scope.
    pub fn visible(
        &self,
        by: &Principal,
        name: &ConnectionName,
    ) -> Result<&Arc<Connection>, AppError> {
        self.get(name)
            .filter(|_| by.sees(name))
            .ok_or_else(|| AppError::not_found("connection", name))
    }

    /// When the connection last went into observe mode, if that is what it is in.
    async fn observing_since(
        &self,
        connection: &Connection,
    ) -> Result<Option<Timestamp>, AppError> {
        if connection.mode() != Mode::Observe {
            return Ok(None);
        }
        let modes = self.store.modes(connection.name()).await?;
        let mut since = None;
        for change in modes {
            if change.mode != Mode::Observe {
                break;
            }
            since = Some(change.at);
        }
        Ok(since)
    }

    /// Records the modes that the configuration sets, where they differ from what was recorded
    /// last: every change of mode is on record, whoever made it. To be called at start.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn record_modes(&self) -> Result<(), AppError> {
        for connection in self.iter() {
            let modes = self.store.modes(connection.name()).await?;
            let mode = connection.mode();
            let last = modes.first();
            if last.is_some_and(|last| last.mode == mode) {
                continue;
            }
            if let Some(last) = last.filter(|_| mode == Mode::Observe) {
                tracing::warn!(
                    connection = %connection.name(),
                    enforced_by = last.by,
                    "the configuration puts a connection that enforced back to observing"
                );
            }
            let change = ModeChange {
                at: self.ambient.now(),
                mode,
                by: "configuration".to_owned(),
            };
            self.store.append_mode(connection.name(), change).await?;
        }
        Ok(())
    }

    async fn status(&self, connection: &Connection) -> Result<ConnectionStatus, AppError> {
        let modes = self.store.modes(connection.name()).await?;
        let mode = connection.mode();
        Ok(ConnectionStatus {
            name: connection.name().clone(),
            system: connection.connector().system().to_owned(),
            mode,
            mode_since: modes.into_iter().next(),
            protected: mode == Mode::Enforce,
            identity: connection.identity,
            service_credential: connection.connector().has_service_credential(),
            fail_open: connection.gate.settings().fail_open,
        })
    }
}
