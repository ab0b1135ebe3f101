//! How a Salesforce connection is made from its configuration.

use std::sync::Arc;

use crmgate_connector::{BuildContext, Connector, ConnectorKind, Fault, Sample};
use serde_json::Value;

use crate::connector::SalesforceConnector;
use crate::settings::{Settings, own_mapping};

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

    fn sample(&self) -> Sample {
        // The table is part of the crate, and a test reads it.
        Sample::new("006000000000001AAA", &own_mapping().unwrap_or_default())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_has_the_names_of_the_table() {
        let objects = Salesforce.sample().objects;
        let native = |name: &str| objects.iter().find(|(object, _)| object == name);
        assert_eq!(native("product").unwrap().1, "Product2");
        assert_eq!(native("contact").unwrap().1, "Contact");
    }
}
