//! Records that packages ask for by the lookup that leads to them.

use std::collections::BTreeSet;
use std::sync::Arc;

use crmgate_connector::assemble::related_record;
use crmgate_connector::{Credential, Failure, Fields, Target};
use crmgate_domain::{Document, FieldRef, Kind, Object};

use crate::connector::Dynamics;
use crate::frame::Frame;
use crate::table::Property;
use crate::value;
use crate::values::RowValues;

/// What was found of the related records.
#[derive(Default)]
pub(crate) struct Related {
    pub(crate) records: Object,
    pub(crate) unknown: BTreeSet<FieldRef>,
    pub(crate) because: Option<String>,
}

impl Dynamics {
    /// Reads the related records of these names. A lookup that is null gives null.
    pub(crate) async fn related(&self, frame: &Frame, names: &BTreeSet<String>) -> Related {
        let mut found = Related::default();
        for name in names {
            match self.related_one(frame, name).await {
                Ok(record) => found.records.set(name, record),
                Err(why) => {
                    found.unknown.insert(FieldRef(format!("related.{name}")));
                    found.because = Some(why);
                }
            }
        }
        found
    }

    async fn related_one(&self, frame: &Frame, name: &str) -> Result<Document, String> {
        let table = &frame.detail.table;
        let mapped = self
            .mapping
            .object_by_native(&table.name)
            .and_then(|map| map.field(name));
        let column = match (mapped, table.property(name)) {
            (Some(field), _) => field.native.as_str(),
            (None, Some(Property::Column(column) | Property::Nav(column, _))) => &column.name,
            _ => return Err(format!("`{}` has no relation `{name}`", table.name)),
        };
        let stored = frame.stored.as_ref().map(|row| &row.fields);
        let place = [Some(&frame.baseline), stored]
            .into_iter()
            .flatten()
            .find_map(|record| record.get(column));
        let (target, id) = match place {
            Some(Document::Null) => return Ok(Document::Null),
            None if frame.kind == Kind::Create => return Ok(Document::Null),
            None => return Err(format!("`{column}` could not be read")),
            Some(value) => value::parts(value).ok_or_else(|| format!("`{column}` is no lookup"))?,
        };
        if self.upstream.session.is_none() {
            return Err("the connection has no credential of its own".to_owned());
        }
        let who = Credential::Service;
        let told = |failure: Failure| failure.to_string();
        let table = self.table_named(target, &who).await.map_err(told)?;
        let values = RowValues {
            table: Arc::clone(&table),
            names_change: false,
            record_id: None,
            kind: Kind::Read,
            ..frame.values.clone()
        };
        let row = self
            .row(&table, &Target::Id(id.to_owned()), &Fields::All, &who)
            .await
            .map_err(told)?
            .ok_or_else(|| format!("the record of `{column}` cannot be read"))?;
        let map = self.mapping.object_by_native(&table.name);
        Ok(related_record(map, &values, &row.fields))
    }
}
