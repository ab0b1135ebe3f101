//! Values: every spelling that Salesforce takes into one, and between that one and the canonical.

use std::sync::Arc;

use crmgate_connector::assemble::{Currency, Values, Writable};
use crmgate_connector::mapping::{MappedField, Mapping};
use crmgate_connector::vocabulary::FieldType;
use crmgate_domain::{Document, Kind, Number, Object};

use crate::id;
use crate::metadata::{Describe, Field};

mod compound;
mod spelling;
#[cfg(test)]
mod tests;

pub(crate) use spelling::{instant as spelling_of_moment, normalize};

/// The values of one object in one operation.
#[derive(Clone)]
pub(crate) struct ObjectValues {
    pub(crate) describe: Arc<Describe>,
    pub(crate) mapping: Arc<Mapping>,
    pub(crate) kind: Kind,
    /// The record's id, where it exists already.
    pub(crate) record_id: Option<String>,
    /// The currency of records that name none.
    pub(crate) default_currency: Option<String>,
}

impl ObjectValues {
    /// A stored record in normalized spelling; what the description does not know stays as it is.
    pub(crate) fn stored(&self, record: Object) -> Object {
        record
            .into_iter()
            .filter(|(name, _)| name != "attributes")
            .map(|(name, value)| {
                let Some(field) = self.describe.field(&name) else {
                    return (name, value);
                };
                let value = normalize(field, &value).unwrap_or(value);
                (field.name.clone(), value)
            })
            .collect()
    }

    /// The canonical name of what an id points to.
    fn target(&self, field: Option<&Field>, id: &str) -> String {
        let native = match field.map(|field| field.reference_to.as_slice()) {
            Some([only]) => Some(only.as_str()),
            _ => id::object_of(id::prefix(id)),
        };
        match native {
            // Queues own records as teams do.
            Some("Group") => "team".to_owned(),
            Some(native) => self
                .mapping
                .object_by_native(native)
                .map_or_else(|| native.to_ascii_lowercase(), |map| map.canonical.clone()),
            None => format!("native:{}", id::prefix(id)),
        }
    }
}

impl Values for ObjectValues {
    fn to_canonical(&self, field: &MappedField, native: &Document, _record: &Object) -> Document {
        match (field.field_type, native) {
            (FieldType::Choice, Document::String(value)) => field.canonical_value(value).into(),
            (FieldType::Choices, Document::String(values)) => {
                let mut names: Vec<String> = values
                    .split(';')
                    .map(|value| field.canonical_value(value))
                    .collect();
                names.sort_unstable();
                Document::Array(names.into_iter().map(Document::from).collect())
            }
            (FieldType::Lookup, Document::String(id)) => {
                let described = self.describe.field(&field.native);
                let mut lookup = Object::new();
                lookup.set("type", self.target(described, id).into());
                lookup.set("id", id.as_str().into());
                lookup.into()
            }
            _ => native.clone(),
        }
    }

    fn to_native(&self, field: &MappedField, canonical: &Document) -> Result<Document, String> {
        let value = match (field.field_type, canonical) {
            (_, Document::Null) => return Ok(Document::Null),
            (FieldType::Choice, Document::String(name)) => known_value(field, name)?.into(),
            (FieldType::Choices, Document::Array(names)) => {
                let values: Result<Vec<String>, String> = names
                    .iter()
                    .map(|name| known_value(field, name.as_str().unwrap_or_default()))
                    .collect();
                values?.join(";").into()
            }
            (FieldType::Lookup, Document::Object(lookup)) => {
                lookup.get("id").cloned().ok_or("a lookup with an `id`")?
            }
            (FieldType::Choices, _) => return Err("an array of value names".to_owned()),
            _ => canonical.clone(),
        };
        self.normalize(&field.native, &value)
    }

    fn writable(&self, name: &str) -> Writable {
        let Some(field) = self.describe.field(name) else {
            return Writable::Missing;
        };
        let allowed = if self.kind == Kind::Create {
            field.createable
        } else {
            field.updateable
        };
        if allowed {
            Writable::Field(field.name.clone())
        } else {
            Writable::ReadOnly
        }
    }

    fn normalize(&self, name: &str, value: &Document) -> Result<Document, String> {
        match self.describe.field(name) {
            Some(field) => normalize(field, value),
            None => Ok(value.clone()),
        }
    }

    fn currency(&self, record: &Object) -> Option<Currency> {
        let default = || self.default_currency.clone();
        let code = if self.describe.field("CurrencyIsoCode").is_some() {
            match record.get("CurrencyIsoCode").and_then(Document::as_str) {
                Some(code) => Some(code.to_owned()),
                None if self.kind == Kind::Create => default(),
                None => None,
            }
        } else {
            default()
        }?;
        Some(Currency::of(&code))
    }

    fn sources(&self, native: &str) -> Vec<String> {
        let name = self
            .describe
            .field(native)
            .map_or(native, |field| field.name.as_str());
        let mut all = vec![name.to_owned()];
        all.extend(self.describe.parts(name).map(|part| part.name.clone()));
        all
    }

    fn complete(&self, record: &mut Object) {
        if let Some(id) = &self.record_id {
            record.set("Id", id.as_str().into());
        }
        compound::complete(&self.describe, self.kind == Kind::Create, record);
    }
}

fn known_value(field: &MappedField, name: &str) -> Result<String, String> {
    field.native_value(name).ok_or_else(|| {
        let known: Vec<&str> = field.values.keys().map(String::as_str).collect();
        format!("one of {}, or `native:VALUE`", known.join(", "))
    })
}

/// A number in its one spelling.
fn number(text: &str) -> Option<Document> {
    Some(Document::Number(Number::parse(text)?.normalized()))
}
