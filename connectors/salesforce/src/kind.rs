//! How a Salesforce connection is made from its configuration.

use std::sync::Arc;

use crmgate_connector::{BuildContext, Connector, ConnectorKind, Fault};
use serde_json::Value;

use crate::connector::SalesforceConnector;
use crate::settings::Settings;

/// The kind `salesforce`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Salesforce;

/// The one value of the kind.
pub static KIND: Salesforce = Salesforce;

/// The kind, for the binary's list.
#[must_use]
pub fn kind() -> impl ConnectorKind {
    Salesforce
}

impl ConnectorKind for Salesforce {
    fn system(&self) -> &'static str {
        "salesforce"
    }

    fn build(
        &self,
        settings: &Value,
        context: BuildContext<'_>,
    ) -> Result<Arc<dyn Connector>, Vec<Fault>> {
        let settings = Settings::read(settings, context.secrets)?;
        Ok(Arc::new(SalesforceConnector::new(
            settings,
            context.name,
            context.http,
            context.ambient,
        )))
    }
}
