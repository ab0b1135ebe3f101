//! How a connector is made from its configuration.

use std::sync::Arc;

use crmgate_domain::{Ambient, ConnectionName};
use crmgate_outbound::Client;

use crate::mapping::Table;
use crate::{Connector, Secret, SecretError};

/// One thing wrong with a connection's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The setting, below the connection's table: `auth.private_key`.
    pub setting: String,
    /// What is wrong and what was expected.
    pub problem: String,
}

impl Fault {
    /// A fault.
    #[must_use]
    pub fn new(setting: &str, problem: impl Into<String>) -> Self {
        Self {
            setting: setting.to_owned(),
            problem: problem.into(),
        }
    }
}

/// What a connector gets from the outside.
pub struct BuildContext<'a> {
    /// The connection's name.
    pub name: ConnectionName,
    /// The one HTTP client, with the connection's proxy and certificate settings.
    pub http: Client,
    /// Time and randomness.
    pub ambient: Arc<dyn Ambient>,
    /// Makes a secret out of a reference in the settings (`env:NAME`, `file:PATH`); checked at
    /// once, read again at each use.
    pub secrets: &'a dyn Fn(&str, &str) -> Result<Secret, SecretError>,
}

/// What the records of a kind of CRM look like, for trying policies without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// An id as its records have.
    pub record_id: &'static str,
    /// The canonical objects it has, each with its own name for it.
    pub objects: Vec<(String, String)>,
    /// The connector's own mapping table.
    pub table: Table,
}

impl Sample {
    /// The objects of a connector's own mapping table.
    #[must_use]
    pub fn new(record_id: &'static str, table: &Table) -> Self {
        let object = |(name, entry): (&String, &crate::mapping::ObjectEntry)| {
            Some((name.clone(), entry.native.clone()?))
        };
        Self {
            record_id,
            objects: table.iter().filter_map(object).collect(),
            table: table.clone(),
        }
    }
}

/// A kind of CRM: one value of this per connector crate, listed once in the binary.
pub trait ConnectorKind: Send + Sync {
    /// The word in the configuration and in `connection.system`: `salesforce`.
    fn system(&self) -> &'static str;

    /// What its records look like.
    fn sample(&self) -> Sample;

    /// Builds a connector from the connection's own settings (what the connector does not know is
    /// a fault, too). No I/O towards the CRM.
    ///
    /// # Errors
    /// All faults together.
    fn build(
        &self,
        settings: &serde_json::Value,
        context: BuildContext<'_>,
    ) -> Result<Arc<dyn Connector>, Vec<Fault>>;
}
