//! The data that an org starts with.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::cell::Cell;
use super::coerce::coerce;
use super::derive::{Circumstances, derive};
use super::id::RecordId;
use super::options::SalesforceOptions;
use super::save::put_named;
use super::schema::{Kind, ObjectIx, ObjectType};
use super::store::{Row, Store};

const FILE: &str = include_str!("seed.yaml");
const DAY: i64 = 86_400;

/// What is wrong with the seed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SeedError {
    #[error("the seed can't be read: {0}")]
    Yaml(#[from] yaml_serde::Error),
    #[error("seeded `{object}`: {message}")]
    Record { object: String, message: String },
}

/// The seeded records, in the order in which they are made.
///
/// A key `ref` names a record; `@name` refers to it from a lookup. `age` is how many days ago it was created.
#[derive(Debug)]
pub(crate) struct Seed(Vec<(String, Map<String, Value>)>);

impl Seed {
    /// Reads the file that is built in.
    pub(crate) fn load() -> Result<Self, SeedError> {
        let file: Map<String, Value> = yaml_serde::from_str(FILE)?;
        let mut records = Vec::new();
        for (object, list) in file {
            let Value::Array(list) = list else {
                return Err(failed(&object, "is not a list"));
            };
            for record in list {
                let Value::Object(record) = record else {
                    return Err(failed(&object, "a record is not a map"));
                };
                records.push((object.clone(), record));
            }
        }
        Ok(Self(records))
    }

    /// Makes the records in an empty store, as if it were `now`, in seconds since 1970.
    pub(crate) fn plant(
        &self,
        store: &mut Store,
        options: &SalesforceOptions,
        now: i64,
    ) -> Result<(), SeedError> {
        let mut names: HashMap<&str, RecordId> = HashMap::new();
        for (object, record) in &self.0 {
            let schema = store.schema_handle();
            let (ix, kind) = schema
                .find(object)
                .ok_or_else(|| failed(object, "no such object"))?;
            let id = plant_one(store, options, (ix, kind), record, &names, now)
                .map_err(|message| failed(object, &message))?;
            if let Some(name) = record.get("ref").and_then(Value::as_str) {
                names.insert(name, id);
            }
        }
        Ok(())
    }
}

fn failed(object: &str, message: &str) -> SeedError {
    SeedError::Record {
        object: object.to_owned(),
        message: message.to_owned(),
    }
}

fn plant_one(
    store: &mut Store,
    options: &SalesforceOptions,
    (object, kind): (ObjectIx, &ObjectType),
    record: &Map<String, Value>,
    names: &HashMap<&str, RecordId>,
    now: i64,
) -> Result<RecordId, String> {
    let (mut id, number) = store.next_id(object).ok_or("no such object")?;
    if kind.name == "Organization" {
        id = RecordId::parse(&options.org_id)
            .ok_or_else(|| format!("`{}` is no org id", options.org_id))?;
    }
    let mut row = Row {
        id,
        cells: vec![Cell::Null; kind.fields.len()],
        deleted: false,
        version: 0,
    };
    for (ix, field) in kind.fields.iter().enumerate() {
        let default = field.values.iter().find(|value| value.default);
        let cell = match (&field.default, default) {
            (Some(value), _) => {
                coerce(store.schema(), field, value).map_err(|error| format!("{error:?}"))?
            }
            (None, Some(value)) => Cell::text(&value.value),
            (None, None) if field.kind == Kind::Boolean => Cell::Bool(false),
            (None, None) => Cell::Null,
        };
        row.put(ix, cell);
    }
    let mut written = HashSet::new();
    for (name, value) in record
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "ref" | "age"))
    {
        let (ix, field) = kind
            .find(name)
            .ok_or_else(|| format!("no field `{name}`"))?;
        let cell = match value.as_str().and_then(|text| text.strip_prefix('@')) {
            Some(other) => Cell::Ref(
                *names
                    .get(other)
                    .ok_or_else(|| format!("no record `{other}` before it"))?,
            ),
            None => coerce(store.schema(), field, value).map_err(|error| format!("{error:?}"))?,
        };
        row.put(ix, cell);
        written.insert(ix);
    }
    if record.get("ref").and_then(Value::as_str) == Some("integration") {
        put_named(kind, &mut row, "Username", Cell::text(&options.username));
    }
    let age = record.get("age").and_then(Value::as_i64).unwrap_or(400);
    let created = now - age * DAY;
    let creator = names.get("admin").copied().unwrap_or(id);
    for (name, cell) in [
        ("Id", Cell::Ref(id)),
        ("CreatedDate", Cell::Moment(created)),
        ("CreatedById", Cell::Ref(creator)),
        ("LastModifiedDate", Cell::Moment(now - age / 3 * DAY)),
        ("SystemModstamp", Cell::Moment(now - age / 3 * DAY)),
        ("LastModifiedById", Cell::Ref(creator)),
    ] {
        put_named(kind, &mut row, name, cell);
    }
    let around = Circumstances {
        before: None,
        written: &written,
        number: Some(number),
        now: created,
        store,
    };
    derive(kind, &mut row, &around);
    store.put(object, row);
    Ok(id)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::salesforce::schema::Schema;

    #[test]
    fn the_seed_is_a_whole_org() {
        let schema = Arc::new(Schema::load().unwrap());
        let mut store = Store::new(Arc::clone(&schema));
        let options = SalesforceOptions::demo(|| [1; 16]);
        Seed::load()
            .unwrap()
            .plant(&mut store, &options, 1_790_000_000)
            .unwrap();
        for (name, least) in [
            ("Account", 24),
            ("Contact", 40),
            ("Lead", 24),
            ("Opportunity", 30),
            ("User", 6),
        ] {
            let (ix, kind) = schema.find(name).unwrap();
            let rows: Vec<_> = store.rows(ix).collect();
            assert!(rows.len() >= least, "{name}: {}", rows.len());
            for row in rows {
                for (at, field) in kind
                    .fields
                    .iter()
                    .enumerate()
                    .filter(|(_, field)| field.required)
                {
                    assert!(
                        !row.cell(at).is_null(),
                        "{name} {}: {} is missing",
                        row.id,
                        field.name
                    );
                }
            }
        }
    }
}
