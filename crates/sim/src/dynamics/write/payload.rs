//! Bodies: JSON, and what it says about a record.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use uuid::Uuid;

use super::super::cell::{Cell, from_json};
use super::super::error::{ApiError, Outcome};
use super::super::schema::{Nav, Table};

/// By this key serde_json hands numbers on when it keeps their text.
const NUMBER: &str = "$serde_json::private::Number";

/// What a body says about a record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Payload {
    pub(crate) id: Option<Uuid>,
    /// By the column's position.
    pub(crate) cells: Vec<(usize, Cell)>,
    pub(crate) binds: Vec<Bind>,
    /// References for collections.
    pub(crate) associations: Vec<(String, Vec<String>)>,
    /// Records to be made along with this one, by navigation property.
    pub(crate) deep: Vec<(String, Vec<Map<String, Value>>)>,
}

/// A lookup to be set or cleared.
#[derive(Clone, Debug)]
pub(crate) struct Bind {
    pub(crate) nav: String,
    pub(crate) column: String,
    pub(crate) targets: Vec<Arc<str>>,
    pub(crate) reference: Option<String>,
}

/// Reads a JSON object. A property that comes twice is an error, as in the service.
pub(crate) fn object(set: &str, body: &[u8]) -> Outcome<Map<String, Value>> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(ApiError::payload(
            set,
            "Unexpected end of input was found in JSON content. The input is empty.",
        ));
    }
    let Strict(value) = serde_json::from_slice(body)
        .map_err(|error| ApiError::payload(set, format!("The body is not valid JSON: {error}")))?;
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(ApiError::payload(
            set,
            "A node that is not a 'StartObject' was found when reading the start of a resource.",
        )),
    }
}

impl Payload {
    /// Understands a body as a record of `table`.
    pub(crate) fn read(table: &Table, body: Map<String, Value>) -> Outcome<Self> {
        let mut payload = Self::default();
        for (name, value) in body {
            match name.split_once('@') {
                Some((property, annotation)) => {
                    payload.annotation(table, property, annotation, value)?;
                }
                None => payload.property(table, &name, value)?,
            }
        }
        Ok(payload)
    }

    fn annotation(
        &mut self,
        table: &Table,
        property: &str,
        annotation: &str,
        value: Value,
    ) -> Outcome<()> {
        if property.is_empty() {
            return match (annotation, &value) {
                ("odata.type", Value::String(name))
                    if name.trim_start_matches('#') != table.type_name() =>
                {
                    Err(ApiError::payload(
                        &table.set,
                        format!(
                            "A type named '{name}' could not be resolved by the model or is not assignable to '{}'.",
                            table.type_name()
                        ),
                    ))
                }
                _ => Ok(()),
            };
        }
        if annotation != "odata.bind" {
            let known = table.nav(property).is_some()
                || table.column(property).is_some()
                || table.lookup_value(property).is_some();
            return if known {
                Ok(())
            } else {
                Err(undeclared(table, property))
            };
        }
        let nav = table
            .nav(property)
            .ok_or_else(|| undeclared(table, property))?;
        match (nav, value) {
            (Nav::One { column, targets }, value @ (Value::String(_) | Value::Null)) => {
                self.binds.push(Bind {
                    nav: property.to_owned(),
                    column: column.clone(),
                    targets: targets.clone(),
                    reference: value.as_str().map(str::to_owned),
                });
                Ok(())
            }
            (Nav::Many(_) | Nav::Linked(_), Value::Array(items)) => {
                let references: Option<Vec<String>> = items
                    .iter()
                    .map(|item| item.as_str().map(str::to_owned))
                    .collect();
                let references = references.ok_or_else(|| undeclared(table, property))?;
                self.associations.push((property.to_owned(), references));
                Ok(())
            }
            _ => Err(ApiError::payload(
                &table.set,
                format!(
                    "The 'odata.bind' instance or property annotation of '{property}' has a value of the wrong kind."
                ),
            )),
        }
    }

    fn property(&mut self, table: &Table, name: &str, value: Value) -> Outcome<()> {
        if let Some(nav) = table.nav(name) {
            return self.navigation(table, name, nav, value);
        }
        if table.lookup_value(name).is_some() {
            return Err(ApiError::query(
                "CRM do not support direct update of Entity Reference properties, Use Navigation properties instead.",
            ));
        }
        let position = table
            .position(name)
            .filter(|_| table.column(name).is_some_and(|column| !column.is_lookup()));
        let (Some(position), Some(column)) = (position, table.column(name)) else {
            return Err(ApiError::payload(
                &table.set,
                format!(
                    "Invalid property '{name}' was found in entity '{}'. The property '{name}' does not exist on type '{}'. Make sure to only use property names that are defined by the type.",
                    table.type_name(),
                    table.type_name()
                ),
            ));
        };
        let cell = from_json(table, column, &value)?;
        if name == table.id {
            self.id = cell.as_id();
        } else {
            self.cells.push((position, cell));
        }
        Ok(())
    }

    fn navigation(&mut self, table: &Table, name: &str, nav: &Nav, value: Value) -> Outcome<()> {
        match (nav, value) {
            (Nav::One { column, targets }, Value::Null) => self.binds.push(Bind {
                nav: name.to_owned(),
                column: column.clone(),
                targets: targets.clone(),
                reference: None,
            }),
            (Nav::One { .. }, Value::Object(record)) => {
                self.deep.push((name.to_owned(), vec![record]));
            }
            (Nav::Many(_) | Nav::Linked(_), Value::Array(items)) => {
                let mut records = Vec::new();
                for item in items {
                    match item {
                        Value::Object(record) => records.push(record),
                        _ => return Err(not_a_record(table)),
                    }
                }
                self.deep.push((name.to_owned(), records));
            }
            _ => return Err(not_a_record(table)),
        }
        Ok(())
    }

    /// The value that the body gives a column.
    pub(crate) fn cell(&self, position: usize) -> Option<&Cell> {
        self.cells
            .iter()
            .find(|(at, _)| *at == position)
            .map(|(_, cell)| cell)
    }
}

fn not_a_record(table: &Table) -> ApiError {
    ApiError::payload(
        &table.set,
        "A 'PrimitiveValue' node with non-null value was found when trying to read the value of a navigation property; however, a 'StartArray' node, a 'StartObject' node, or a 'PrimitiveValue' node with null value was expected.",
    )
}

fn undeclared(table: &Table, property: &str) -> ApiError {
    ApiError::payload(
        &table.set,
        format!(
            "An undeclared property '{property}' which only has property annotations in the payload but no property value was found in the payload. In OData, only declared navigation properties and declared named streams can be represented as properties without values."
        ),
    )
}

/// JSON in which no object names a property twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Strict;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Strict, E> {
        Ok(Strict(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Strict, E> {
        Ok(Strict(Value::Bool(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Strict, E> {
        Ok(Strict(Value::from(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Strict, E> {
        Ok(Strict(Value::from(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Strict, E> {
        Ok(Strict(Value::from(value)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Strict, E> {
        Ok(Strict(Value::String(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Strict, A::Error> {
        let mut found = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            found.push(item);
        }
        Ok(Strict(Value::Array(found)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Strict, A::Error> {
        let mut found = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            if name == NUMBER {
                let text: String = entries.next_value()?;
                let number: Number = text.parse().map_err(Error::custom)?;
                return Ok(Strict(Value::Number(number)));
            }
            let Strict(value) = entries.next_value()?;
            if found.contains_key(&name) {
                return Err(Error::custom(format!(
                    "Multiple properties with the name '{name}' were detected in a resource or a complex value. OData does not allow duplicate properties in the context of a resource or complex value."
                )));
            }
            found.insert(name, value);
        }
        Ok(Strict(Value::Object(found)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_text_and_doubles_are_refused() {
        let map = object(
            "accounts",
            br#"{"a":1.10,"b":[12345678901234567890],"c":null}"#,
        )
        .unwrap();
        assert_eq!(map["a"].to_string(), "1.10");
        assert_eq!(map["b"][0].to_string(), "12345678901234567890");
        let twice = object("accounts", br#"{"name":"a","name":"b"}"#).unwrap_err();
        assert_eq!(twice.code, "0x80048d19");
        assert!(
            twice
                .message
                .contains("Multiple properties with the name 'name'")
        );
        assert!(object("accounts", b"[]").is_err());
        assert!(object("accounts", b" ").is_err());
    }
}
