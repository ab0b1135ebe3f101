//! Records that packages ask for by the lookup that leads to them.

use std::collections::BTreeSet;
use std::sync::Arc;

use crmgate_connector::assemble::related_record;
use crmgate_connector::{Failure, Fields, Locator};
use crmgate_domain::{Document, FieldRef, Object};

use crate::connector::SalesforceConnector;
use crate::id;
use crate::metadata::Describe;

/// What was found of the related records.
#[derive(Default)]
pub(crate) struct Related {
    pub(crate) records: Object,
    pub(crate) unknown: BTreeSet<FieldRef>,
    pub(crate) because: Option<String>,
}

impl SalesforceConnector {
    /// Reads the related records of these names; `native` is the record after the write, as far as
    /// it is known. A lookup that is null gives null.
    pub(crate) async fn related(
        &self,
        describe: &Arc<Describe>,
        native: &Object,
        names: &BTreeSet<String>,
    ) -> Related {
        let mut found = Related::default();
        for name in names {
            match self.related_one(describe, native, name).await {
                Ok(record) => found.records.set(name, record),
                Err(why) => {
                    found.unknown.insert(FieldRef(format!("related.{name}")));
                    found.because = Some(why);
                }
            }
        }
        found
    }

    async fn related_one(
        &self,
        describe: &Arc<Describe>,
        native: &Object,
        name: &str,
    ) -> Result<Document, String> {
        let lookup = self
            .mapping
            .object_by_native(&describe.name)
            .and_then(|map| map.field(name))
            .map(|field| field.native.as_str())
            .or_else(|| describe.relationship(name).map(|field| field.name.as_str()));
        let Some(lookup) = lookup else {
            return Err(format!("`{}` has no relation `{name}`", describe.name));
        };
        let id = match native.get(lookup) {
            None | Some(Document::Null) => return Ok(Document::Null),
            Some(Document::String(id)) => id,
            Some(_) => return Err(format!("`{lookup}` is no lookup")),
        };
        let targets = describe
            .field(lookup)
            .map_or(&[][..], |field| field.reference_to.as_slice());
        let object = match targets {
            [only] => only.as_str(),
            _ => id::object_of(id::prefix(id))
                .ok_or_else(|| format!("the object of `{lookup}` is not known"))?,
        };
        let Some(reader) = self.reader() else {
            return Err("the connection has no credential of its own".to_owned());
        };
        let told = |failure: Failure| failure.to_string();
        let target = self
            .metadata
            .describe(object, &reader)
            .await
            .map_err(told)?;
        let values = self.plain_values(&target);
        let row = self
            .row(&reader, &values, &Locator::Id(id.clone()), &Fields::All)
            .await
            .map_err(told)?;
        let Some(row) = row else {
            return Err(format!("the record of `{lookup}` cannot be read"));
        };
        let map = self.mapping.object_by_native(&target.name);
        Ok(related_record(map, &values, &row.record.fields))
    }
}
