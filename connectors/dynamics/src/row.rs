//! Stored records, as answers hold them.

use crmgate_connector::{Fields, Target};
use crmgate_domain::{Document, Object};

use crate::key;
use crate::table::{Property, Table, read_name};
use crate::value;

/// Lookups come with the table they point to.
pub(crate) const PREFER: &str =
    "odata.include-annotations=\"Microsoft.Dynamics.CRM.lookuplogicalname\"";
const LOOKUP_TABLE: &str = "@Microsoft.Dynamics.CRM.lookuplogicalname";
const ETAG: &str = "@odata.etag";

/// A record of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) id: Option<String>,
    pub(crate) fields: Object,
    pub(crate) etag: Option<String>,
}

/// The address of a record below the API's root, with what is to be read of it.
pub(crate) fn address(table: &Table, target: &Target, fields: &Fields) -> String {
    let place = format!("{}({})", table.set, key::render(table, target));
    match fields {
        Fields::All => place,
        Fields::Only(names) => {
            let mut columns: Vec<String> = names
                .iter()
                .filter_map(|name| table.column(name))
                .filter(|column| column.readable)
                .map(read_name)
                .collect();
            if !columns.contains(&table.primary_id) {
                columns.push(table.primary_id.clone());
            }
            format!("{place}?$select={}", columns.join(","))
        }
    }
}

/// Normalizes a row. Annotations and names that the table does not know are left out.
pub(crate) fn read(table: &Table, row: &Object) -> Row {
    let mut fields = Object::new();
    for (name, value) in row.iter() {
        let (column, value) = match table.property(name) {
            Some(Property::Column(column)) => (column, value.clone()),
            Some(Property::LookupValue(column)) => {
                (column, lookup(table, row, name, &column.name, value))
            }
            // An expanded row.
            Some(Property::Nav(..)) | None => continue,
        };
        let normal = value::normalize(column.kind, &value).unwrap_or(value);
        fields.set(&column.name, normal);
    }
    let id = fields.get(&table.primary_id).and_then(Document::as_str);
    Row {
        id: id.map(str::to_owned),
        etag: row.get(ETAG).and_then(Document::as_str).map(str::to_owned),
        fields,
    }
}

fn lookup(table: &Table, row: &Object, name: &str, column: &str, id: &Document) -> Document {
    let Some(id) = id.as_str().and_then(value::guid) else {
        return Document::Null;
    };
    let annotated = row
        .get(&format!("{name}{LOOKUP_TABLE}"))
        .and_then(Document::as_str);
    let targets = table.targets(column);
    let target = match (annotated, targets.as_slice()) {
        (Some(target), _) => target,
        (None, [target]) => *target,
        (None, _) => "",
    };
    value::reference(target, &id)
}
