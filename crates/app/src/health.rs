//! Whether the gate can do its work.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use crmgate_domain::{Ambient, ConnectionName, Mode, Timestamp};
use crmgate_store::Store;
use serde::Serialize;

use crate::{Connection, Connections, Policies, Record, meters};

/// How long a CRM may take to say who we are.
const PROBE_WITHIN: Duration = Duration::from_secs(10);
/// How long the store may take to write something.
const STORE_WITHIN: Duration = Duration::from_secs(2);

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

/// What the last probe of a CRM said.
#[derive(Debug, Clone)]
struct Probed {
    at: Timestamp,
    problem: Option<String>,
}

/// Looks after the gate.
pub struct Health {
    store: Arc<dyn Store>,
    ambient: Arc<dyn Ambient>,
    policies: Arc<Policies>,
    connections: Arc<Connections>,
    record: Arc<Record>,
    probed: Mutex<BTreeMap<ConnectionName, Probed>>,
    others: RwLock<Vec<Looker>>,
}

/// Looks at something that the application does not know.
pub type Looker = Box<dyn Fn() -> Vec<Check> + Send + Sync>;

impl Health {
    /// Over what it looks at.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        ambient: Arc<dyn Ambient>,
        policies: Arc<Policies>,
        connections: Arc<Connections>,
        record: Arc<Record>,
    ) -> Self {
        Self {
            store,
            ambient,
            policies,
            connections,
            record,
            probed: Mutex::default(),
            others: RwLock::default(),
        }
    }

    /// Has something more looked at from now on. It must answer at once.
    pub fn look_at(&self, looker: Looker) {
        let mut others = self.others.write().unwrap_or_else(PoisonError::into_inner);
        others.push(looker);
    }

    /// Looks at everything now; of the CRMs, the last probe.
    pub async fn ready(&self) -> Readiness {
        let mut checks = vec![self.stored().await, self.governed()];
        checks.push(Check::new("record", State::Degraded, self.record.problem()));
        checks.extend(self.layers());
        checks.extend(self.connections.iter().filter_map(|c| benched(c)));
        checks.extend(self.bundles());
        checks.extend(self.connections.iter().filter_map(|c| self.reached(c)));
        {
            let others = self.others.read().unwrap_or_else(PoisonError::into_inner);
            checks.extend(others.iter().flat_map(|looker| looker()));
        }
        let observing = self
            .connections
            .iter()
            .filter(|connection| connection.mode() == Mode::Observe)
            .map(|connection| connection.name().to_string());
        let worst = checks.iter().map(|check| check.state).max();
        Readiness {
            state: worst.unwrap_or(State::Ok),
            checks,
            observing: observing.collect(),
        }
    }

    /// Asks every CRM, with the connection's own credential, who we are. Connections without one
    /// are not asked.
    pub async fn probe_all(&self) {
        let with_credential = |c: &&Arc<Connection>| c.connector().has_service_credential();
        let asked = self.connections.iter().filter(with_credential);
        let probes = asked.map(|connection| self.probe(connection));
        futures::future::join_all(probes).await;
    }

    async fn probe(&self, connection: &Connection) {
        let probing = connection.connector().probe();
        let problem = match tokio::time::timeout(PROBE_WITHIN, probing).await {
            Ok(Ok(_)) => None,
            Ok(Err(failure)) => Some(failure.to_string()),
            Err(_) => Some(format!("no answer within {PROBE_WITHIN:?}")),
        };
        let name = connection.name();
        meters::reachable(name, problem.is_none());
        let probed = Probed {
            at: self.ambient.now(),
            problem,
        };
        let mut all = self.probed.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(name.clone(), probed);
    }

    async fn stored(&self) -> Check {
        let beating = self.store.beat(self.ambient.now());
        let problem = match tokio::time::timeout(STORE_WITHIN, beating).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("the store did not answer within {STORE_WITHIN:?}")),
        };
        Check::new("store", State::Failed, problem)
    }

    fn governed(&self) -> Check {
        let status = self.policies.status();
        let problem = status.broken_since.is_some().then(|| {
            let faults = count(status.faults.len());
            format!(
                "the newest policies are broken ({faults}: {}); revision {} is in force",
                status.faults.first().map_or("", String::as_str),
                status.revision.short(),
            )
        });
        Check::new("policies", State::Degraded, problem)
    }

    /// Connections whose own policies are broken.
    fn layers(&self) -> Vec<Check> {
        let broken = self.policies.status().connections.into_iter();
        let told = broken.map(|layer| {
            let faults = count(layer.faults.len());
            let instead = if layer.shut {
                "nothing is judged for it"
            } else {
                "its last good ones are in force"
            };
            let problem = format!(
                "its own policies are broken ({faults}: {}); {instead}",
                layer.faults.first().map_or("", String::as_str),
            );
            let name = format!("policies of {}", layer.connection);
            Check::new(&name, State::Degraded, Some(problem))
        });
        told.collect()
    }

    /// Each bundle: one that is behind, or that nothing is known of, degrades.
    fn bundles(&self) -> Vec<Check> {
        let bundles = self.policies.status().bundles.into_iter();
        let told = bundles.map(|bundle| {
            let in_force = match (
                &bundle.since,
                bundle.revision.as_deref().unwrap_or_default(),
            ) {
                (None, _) => "nothing of it is in force".to_owned(),
                (Some(since), "") => format!("what is in force since {since} stays"),
                (Some(since), revision) => {
                    format!("revision `{revision}`, in force since {since}, stays")
                }
            };
            let problem = bundle.trouble.map(|trouble| {
                format!("{} (since {}); {in_force}", trouble.message, trouble.since)
            });
            Check::new(&format!("bundle {}", bundle.name), State::Degraded, problem)
        });
        told.collect()
    }

    fn reached(&self, connection: &Connection) -> Option<Check> {
        if !connection.connector().has_service_credential() {
            return None;
        }
        let all = self.probed.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("connection {}", connection.name());
        let problem = match all.get(connection.name()) {
            None => Some("not asked yet".to_owned()),
            Some(Probed { problem: None, .. }) => None,
            Some(Probed {
                at,
                problem: Some(problem),
            }) => Some(format!("{problem} (at {at})")),
        };
        Some(Check::new(&name, State::Degraded, problem))
    }
}

/// Policies of a connection that are not asked for now.
fn benched(connection: &Connection) -> Option<Check> {
    let out = connection.gate().benched();
    let told = out.iter().map(|one| {
        let left = one.left.as_secs() + 1;
        format!("`{}` for another {left} s", one.package)
    });
    let told: Vec<String> = told.collect();
    let problem = (!told.is_empty()).then(|| {
        format!(
            "policies that did not stop are not asked: {}",
            told.join(", ")
        )
    });
    let name = format!("evaluation for {}", connection.name());
    problem.map(|problem| Check::new(&name, State::Degraded, Some(problem)))
}

impl Check {
    /// Something that is as it should be, or as bad as this.
    #[must_use]
    pub fn new(name: &str, bad: State, problem: Option<String>) -> Self {
        Self {
            name: name.to_owned(),
            state: if problem.is_some() { bad } else { State::Ok },
            detail: problem,
        }
    }
}

/// How many faults there are, when one is told of.
fn count(faults: usize) -> String {
    match faults {
        1 => "1 fault".to_owned(),
        many => format!("{many} faults, first"),
    }
}
