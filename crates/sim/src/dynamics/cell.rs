//! A value in a row.

mod format;
mod input;

use std::cmp::Ordering;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde_json::{Number, Value};
use uuid::Uuid;

use super::schema::{Column, Kind};

pub(crate) use format::formatted;
pub(crate) use input::{from_json, parse_decimal, parse_time};

/// A row that another row points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) table: Arc<str>,
    pub(crate) id: Uuid,
}

/// A value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Cell {
    #[default]
    Null,
    Text(String),
    Int(i64),
    Decimal(Decimal),
    Bool(bool),
    Guid(Uuid),
    Time(Timestamp),
    Date(Date),
    /// Sorted, without repeats.
    Choices(Vec<i64>),
    Lookup(Reference),
}

impl Cell {
    pub(crate) fn is_null(&self) -> bool {
        *self == Self::Null
    }

    pub(crate) fn text(text: &str) -> Self {
        if text.is_empty() {
            Self::Null
        } else {
            Self::Text(text.to_owned())
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn as_decimal(&self) -> Option<Decimal> {
        match self {
            Self::Decimal(value) => Some(*value),
            Self::Int(value) => Some(Decimal::from(*value)),
            _ => None,
        }
    }

    pub(crate) fn as_lookup(&self) -> Option<&Reference> {
        match self {
            Self::Lookup(reference) => Some(reference),
            _ => None,
        }
    }

    /// The identifier in a lookup or a GUID column.
    pub(crate) fn as_id(&self) -> Option<Uuid> {
        match self {
            Self::Guid(id) => Some(*id),
            Self::Lookup(reference) => Some(reference.id),
            _ => None,
        }
    }

    /// The value as it stands in a record.
    pub(crate) fn to_json(&self, column: &Column) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Text(text) => Value::String(text.clone()),
            Self::Int(value) => Value::from(*value),
            Self::Decimal(value) => decimal_json(*value, scale(column)),
            Self::Bool(value) => Value::Bool(*value),
            Self::Guid(id) => Value::String(id.to_string()),
            Self::Time(at) => Value::String(at.to_string()),
            Self::Date(day) => Value::String(day.to_string()),
            Self::Choices(values) => Value::String(choices_text(values)),
            Self::Lookup(reference) => Value::String(reference.id.to_string()),
        }
    }

    /// The value as alternate keys compare it; `None` for no value, which no key holds.
    pub(crate) fn key_text(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Text(text) => Some(fold(text)),
            Self::Int(value) => Some(value.to_string()),
            Self::Decimal(value) => Some(value.normalize().to_string()),
            Self::Bool(value) => Some(value.to_string()),
            Self::Guid(id) => Some(id.to_string()),
            Self::Time(at) => Some(at.to_string()),
            Self::Date(day) => Some(day.to_string()),
            Self::Choices(values) => Some(choices_text(values)),
            Self::Lookup(reference) => Some(reference.id.to_string()),
        }
    }

    /// How the database orders two values of one column; nothing comes first.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Null, Self::Null) => Ordering::Equal,
            (Self::Null, _) => Ordering::Less,
            (_, Self::Null) => Ordering::Greater,
            (Self::Text(one), Self::Text(two)) => fold(one).cmp(&fold(two)),
            (Self::Int(one), Self::Int(two)) => one.cmp(two),
            (Self::Bool(one), Self::Bool(two)) => one.cmp(two),
            (Self::Time(one), Self::Time(two)) => one.cmp(two),
            (Self::Date(one), Self::Date(two)) => one.cmp(two),
            (Self::Choices(one), Self::Choices(two)) => one.cmp(two),
            _ => match (self.as_decimal(), other.as_decimal()) {
                (Some(one), Some(two)) => one.cmp(&two),
                _ => self.as_id().cmp(&other.as_id()),
            },
        }
    }
}

/// How text is compared: without regard to case, and to spaces at its end.
pub(crate) fn fold(text: &str) -> String {
    text.trim_end_matches(' ').to_lowercase()
}

pub(crate) fn choices_text(values: &[i64]) -> String {
    let texts: Vec<String> = values.iter().map(i64::to_string).collect();
    texts.join(",")
}

pub(crate) fn decimal_json(value: Decimal, scale: u32) -> Value {
    let text = fixed(value, scale);
    text.parse::<Number>()
        .map_or(Value::String(text), Value::Number)
}

/// With exactly `scale` digits after the point.
pub(crate) fn fixed(value: Decimal, scale: u32) -> String {
    let mut value = value.round_dp(scale);
    value.rescale(scale);
    value.to_string()
}

/// How many digits after the point a column shows.
pub(crate) fn scale(column: &Column) -> u32 {
    match column.kind {
        Kind::Money { .. } => 4,
        Kind::Decimal { precision, .. } => precision,
        _ => 0,
    }
}
