//! Makes the configured connections.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crmgate_app::{ConnectionParts, IdentityMode, IdentitySettings};
use crmgate_connector::{BuildContext, Connector, ConnectorKind, SecretError};
use crmgate_domain::{Ambient, ConnectionName};
use crmgate_enforce::{Settings, WriteAs};
use crmgate_outbound::Client;

use super::decision_log::Shared;
use crate::config::{Config, ConfigError, Connection, Faults, Loaded, secret};

/// Every kind of CRM: one line each.
pub(crate) const KINDS: [&dyn ConnectorKind; 2] =
    [&crmgate_salesforce::KIND, &crmgate_dynamics::KIND];

/// A connection that can be run.
pub(crate) struct Built {
    pub(crate) connector: Arc<dyn Connector>,
    /// Its way out, for reloading certificate authorities.
    pub(crate) client: Client,
}

/// Makes the connectors. No CRM is asked.
///
/// # Errors
/// All faults of all connections together.
pub(crate) fn build(
    loaded: &Loaded,
    ambient: &Arc<dyn Ambient>,
) -> Result<BTreeMap<ConnectionName, Built>, ConfigError> {
    let faults = loaded.faults();
    let mut built = BTreeMap::new();
    for (name, connection) in &loaded.config.connections {
        if let Some(made) = build_one(name, connection, &loaded.config, ambient, &faults) {
            built.insert(name.clone(), made);
        }
    }
    faults.into_error().map_or(Ok(built), Err)
}

fn build_one(
    name: &ConnectionName,
    connection: &Connection,
    config: &Config,
    ambient: &Arc<dyn Ambient>,
    faults: &Faults,
) -> Option<Built> {
    let setting = |key: &str| match key {
        // Of the table as a whole.
        "" => format!("connections.{name}"),
        _ => format!("connections.{name}.{key}"),
    };
    let kind = KINDS.iter().find(|kind| kind.system() == connection.system);
    let Some(kind) = kind else {
        // An empty one was told of when the configuration was read.
        let known: Vec<&str> = KINDS.iter().map(|kind| kind.system()).collect();
        let problem = format!(
            "`{}` is no kind of CRM; expected one of: {}",
            connection.system,
            known.join(", ")
        );
        faults.add(&setting("system"), problem);
        return None;
    };
    let upstream = crmgate_outbound::Settings {
        name: name.to_string(),
        ..connection.upstream.0.clone()
    };
    let client = Client::new(upstream)
        .map_err(|error| faults.add(&setting("upstream"), error.to_string()))
        .ok()?;
    let secrets = |key: &str, reference: &str| {
        secret::resolve(&config.base, key, reference).map_err(|error: SecretError| error)
    };
    let context = BuildContext {
        name: name.clone(),
        http: client.clone(),
        ambient: Arc::clone(ambient),
        secrets: &secrets,
    };
    let connector = kind.build(&connection.settings, context).map_err(|found| {
        for fault in found {
            faults.add(&setting(&fault.setting), fault.problem);
        }
    });
    let connector = connector.ok()?;
    if connection.identity == IdentityMode::Brokered && !connector.has_service_credential() {
        let problem =
            "`brokered` needs a credential of the connection's own: expected one in `auth`";
        faults.add(&setting("identity"), problem);
        return None;
    }
    if connection.held_writes_as == Some(WriteAs::Caller) && !connector.capabilities().impersonation
    {
        let problem = format!(
            "{} takes no write on behalf of another user; expected `service`, or \
             `held_writes = \"ticket\"`",
            connection.system
        );
        faults.add(&setting("held_writes_as"), problem);
        return None;
    }
    Some(Built { connector, client })
}

/// Under whose name the gate writes what it carries out: the caller's, where the CRM can.
fn write_as(connection: &Connection, connector: &dyn Connector) -> WriteAs {
    let can = connector.capabilities().impersonation;
    let by_default = if can {
        WriteAs::Caller
    } else {
        WriteAs::Service
    };
    connection.held_writes_as.unwrap_or(by_default)
}

/// A connection as the application takes it.
pub(crate) fn parts(
    connection: &Connection,
    config: &Config,
    connector: &Arc<dyn Connector>,
    log: &Shared,
) -> ConnectionParts {
    ConnectionParts {
        connector: Arc::clone(connector),
        identity: connection.identity,
        identities: IdentitySettings {
            ttl: connection.identity_ttl,
            ..IdentitySettings::default()
        },
        settings: Settings {
            mode: connection.mode,
            fail_open: connection.fail_open,
            held_writes: connection.held_writes,
            held_writes_as: write_as(connection, connector.as_ref()),
            ungoverned: connection.ungoverned.clone(),
            policy_time: config.policies.time_limit,
            // Lookups go to the CRM; a caller would rather wait than be told to come back.
            judge_within: connection.upstream.0.timeout.min(Duration::from_secs(30)),
            concurrency: config.limits.operations,
            log: log.of_connection(connection.decision_log),
            slow: config.policies.slow,
            people: Some(Arc::clone(&config.people)),
            ..Settings::default()
        },
    }
}
