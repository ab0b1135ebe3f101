//! What policies see of a table's values, and back.

use std::sync::Arc;

use crmgate_connector::assemble::{Currency, Values, Writable};
use crmgate_connector::mapping::{MappedField, Mapping};
use crmgate_connector::vocabulary::FieldType;
use crmgate_domain::{Document, Kind, Object};

use crate::metadata::Currencies;
use crate::table::{ColumnKind, Property, Table};
use crate::value;

/// The lookup to a record's currency.
const CURRENCY: &str = "transactioncurrencyid";
const FULL_NAME: &str = "fullname";
const NAME_PARTS: [&str; 2] = ["firstname", "lastname"];

/// The values of one table, for one operation.
#[derive(Clone)]
pub(crate) struct RowValues {
    pub(crate) table: Arc<Table>,
    pub(crate) mapping: Arc<Mapping>,
    pub(crate) currencies: Arc<Currencies>,
    pub(crate) kind: Kind,
    /// Whether the write touches a part of a derived name.
    pub(crate) names_change: bool,
    /// The record's id, where it has one already.
    pub(crate) record_id: Option<String>,
}

/// One alternative of a mapped value.
enum Alternative<'a> {
    Plain(&'a str),
    Where(&'a str, &'a str),
}

fn alternatives(text: &str) -> impl Iterator<Item = Alternative<'_>> {
    text.split(',').map(|part| {
        let part = part.trim();
        part.split_once('=')
            .map_or(Alternative::Plain(part), |(column, value)| {
                Alternative::Where(column.trim(), value.trim())
            })
    })
}

/// Whether a write touches what a full name is made of.
pub(crate) fn touches_names(change: Option<&Object>) -> bool {
    change.is_some_and(|change| NAME_PARTS.iter().any(|part| change.contains(part)))
}

impl RowValues {
    fn choice_name(
        &self,
        field: &MappedField,
        native: &Document,
        record: &Object,
    ) -> Option<String> {
        let holds = |column: &str, wanted: &str| {
            let value = record.get(column).and_then(value::text);
            value.as_deref() == Some(wanted)
        };
        let follows = field.values.iter().find(|(_, text)| {
            alternatives(text).any(
                |one| matches!(one, Alternative::Where(column, wanted) if holds(column, wanted)),
            )
        });
        if let Some((name, _)) = follows {
            return Some(name.clone());
        }
        let native = value::text(native)?;
        let plain = field.values.iter().find(|(_, text)| {
            alternatives(text)
                .any(|one| matches!(one, Alternative::Plain(known) if known == native))
        });
        Some(plain.map_or_else(|| format!("native:{native}"), |(name, _)| name.clone()))
    }

    /// A create may name only the column that a choice follows from: the choice is there, too.
    fn name_choices_that_follow(&self, record: &mut Object) {
        let Some(object) = self.mapping.object_by_native(&self.table.name) else {
            return;
        };
        for field in object.fields() {
            let absent = !record.contains(&field.native);
            if absent && self.choice_name(field, &Document::Null, record).is_some() {
                record.set(&field.native, Document::Null);
            }
        }
    }

    fn choice_value<'m>(&self, field: &'m MappedField, name: &'m str) -> Result<&'m str, String> {
        if let Some(native) = name.strip_prefix("native:") {
            return Ok(native);
        }
        let known = || {
            let names: Vec<&str> = field.values.keys().map(String::as_str).collect();
            names.join(", ")
        };
        let text = field
            .values
            .get(name)
            .ok_or_else(|| format!("one of: {}", known()))?;
        alternatives(text)
            .find_map(|one| match one {
                Alternative::Plain(native) => Some(native),
                Alternative::Where(..) => None,
            })
            .ok_or_else(|| "a value that can be set by writing the column".to_owned())
    }

    fn canonical_type(&self, table: &str) -> String {
        let mapped = self.mapping.object_by_native(table);
        mapped.map_or_else(|| table.to_owned(), |object| object.canonical.clone())
    }

    fn native_type(&self, canonical: &str) -> String {
        let mapped = self.mapping.object(canonical);
        mapped.map_or_else(|| canonical.to_owned(), |object| object.native.clone())
    }

    fn lookup_to_native(&self, column: &str, canonical: &Document) -> Result<Document, String> {
        let expected = || "`{\"type\", \"id\"}` of a record".to_owned();
        let targets = self.table.targets(column);
        let (table, id) = if let (Document::String(id), [target]) = (canonical, &*targets) {
            ((*target).to_owned(), id.as_str())
        } else {
            let (kind, id) = value::parts(canonical).ok_or_else(expected)?;
            (self.native_type(kind), id)
        };
        let id = value::guid(id).ok_or_else(|| "a GUID as id".to_owned())?;
        if !targets.contains(&table.as_str()) {
            return Err(format!("a record of: {}", targets.join(", ")));
        }
        Ok(value::reference(&table, &id))
    }
}

impl Values for RowValues {
    fn to_canonical(&self, field: &MappedField, native: &Document, record: &Object) -> Document {
        if !field.values.is_empty() {
            let name = match (field.field_type, native.as_str()) {
                (FieldType::Choices, Some(list)) => {
                    let mut names: Vec<String> = list
                        .split(',')
                        .filter_map(|one| self.choice_name(field, &one.into(), record))
                        .collect();
                    names.sort();
                    return Document::Array(names.into_iter().map(Document::from).collect());
                }
                _ => self.choice_name(field, native, record),
            };
            return match (field.field_type, name.as_deref()) {
                (_, None) => Document::Null,
                (FieldType::Boolean, Some("true")) => true.into(),
                (FieldType::Boolean, Some("false")) => false.into(),
                (_, Some(name)) => name.into(),
            };
        }
        if let Some((table, id)) = value::parts(native) {
            if field.native == CURRENCY && field.field_type != FieldType::Lookup {
                let code = self
                    .currencies
                    .get(id)
                    .map(|currency| currency.code.as_str());
                return code.map_or(Document::Null, Document::from);
            }
            return value::reference(&self.canonical_type(table), id);
        }
        match (field.field_type, native) {
            (FieldType::Choice, Document::Number(number)) => format!("native:{number}").into(),
            (FieldType::Choices, Document::String(list)) => {
                let names = list.split(',').map(|one| format!("native:{one}").into());
                Document::Array(names.collect())
            }
            // A day, kept as its first moment or as any other.
            (FieldType::Date, Document::String(text)) => text
                .get(..10)
                .map_or_else(|| native.clone(), Document::from),
            _ => native.clone(),
        }
    }

    fn to_native(&self, field: &MappedField, canonical: &Document) -> Result<Document, String> {
        let column = self
            .table
            .column(&field.native)
            .ok_or_else(|| format!("a column `{}`, which the table does not have", field.native))?;
        if canonical.is_null() {
            return Ok(Document::Null);
        }
        if column.name == CURRENCY && field.field_type != FieldType::Lookup {
            let id = canonical
                .as_str()
                .and_then(|code| self.currencies.id_of(code));
            let id =
                id.ok_or_else(|| "a currency's ISO code that the environment has".to_owned())?;
            return Ok(value::reference("transactioncurrency", id));
        }
        if column.kind == ColumnKind::Lookup {
            return self.lookup_to_native(&column.name, canonical);
        }
        match (field.field_type, canonical) {
            (FieldType::Choice, Document::String(name)) => {
                let native = self.choice_value(field, name)?;
                value::normalize(column.kind, &native.into())
            }
            (FieldType::Choices, Document::Array(names)) => {
                let natives = names
                    .iter()
                    .map(|name| {
                        let name = name.as_str().ok_or_else(|| "names of choices".to_owned())?;
                        self.choice_value(field, name)
                    })
                    .collect::<Result<Vec<&str>, String>>()?;
                value::normalize(column.kind, &natives.join(",").into())
            }
            (FieldType::Boolean, Document::Bool(flag)) if !field.values.is_empty() => {
                let native = self.choice_value(field, if *flag { "true" } else { "false" })?;
                value::normalize(column.kind, &native.into())
            }
            _ => value::normalize(column.kind, canonical),
        }
    }

    fn writable(&self, name: &str) -> Writable {
        let Some(
            Property::Column(column) | Property::Nav(column, _) | Property::LookupValue(column),
        ) = self.table.property(name)
        else {
            return Writable::Missing;
        };
        let allowed = match self.kind {
            Kind::Create => column.creatable,
            _ => column.updatable && column.name != self.table.primary_id,
        };
        if allowed && column.kind != ColumnKind::Other {
            Writable::Field(column.name.clone())
        } else {
            Writable::ReadOnly
        }
    }

    fn normalize(&self, name: &str, value: &Document) -> Result<Document, String> {
        let column = self
            .table
            .column(name)
            .ok_or_else(|| format!("a column `{name}`, which the table does not have"))?;
        if column.kind == ColumnKind::Lookup && !value.is_null() {
            return self.lookup_to_native(name, value);
        }
        value::normalize(column.kind, value)
    }

    fn currency(&self, record: &Object) -> Option<Currency> {
        match record.get(CURRENCY) {
            Some(reference) if !reference.is_null() => {
                let (_, id) = value::parts(reference)?;
                self.currencies.get(id).cloned()
            }
            // The service gives such a record the organization's own.
            _ => self.currencies.base().cloned(),
        }
    }

    fn sources(&self, native: &str) -> Vec<String> {
        // A lookup's other spellings stand for the lookup.
        let column = match self.table.property(native) {
            Some(Property::Nav(column, _) | Property::LookupValue(column)) => column.name.as_str(),
            Some(Property::Column(_)) | None => native,
        };
        let mut names = vec![column.to_owned()];
        if native == FULL_NAME {
            names.extend(NAME_PARTS.map(str::to_owned));
        }
        if let Some(object) = self.mapping.object_by_native(&self.table.name)
            && let Some(field) = object.field_by_native(native)
        {
            let others = field.values.values().flat_map(|text| alternatives(text));
            names.extend(others.filter_map(|one| match one {
                Alternative::Where(column, _) => Some(column.to_owned()),
                Alternative::Plain(_) => None,
            }));
        }
        names.retain(|name| {
            self.table
                .column(name)
                .is_some_and(|column| column.readable)
        });
        names
    }

    fn complete(&self, record: &mut Object) {
        if let Some(id) = &self.record_id {
            record.set(&self.table.primary_id, id.as_str().into());
        }
        if self.kind == Kind::Create {
            self.name_choices_that_follow(record);
        }
        if !self.names_change || self.table.column(FULL_NAME).is_none() {
            return;
        }
        // With half of the name unknown, the whole is, too.
        if self.kind != Kind::Create && !NAME_PARTS.iter().all(|part| record.contains(part)) {
            return;
        }
        let parts: Vec<&str> = NAME_PARTS
            .iter()
            .filter_map(|part| record.get(part).and_then(Document::as_str))
            .collect();
        let name = parts.join(" ");
        let name = if name.is_empty() {
            Document::Null
        } else {
            name.into()
        };
        record.set(FULL_NAME, name);
    }
}
