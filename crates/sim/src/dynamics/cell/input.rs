//! Values as callers send them.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use serde_json::Value;
use uuid::Uuid;

use super::super::error::{ApiError, Outcome};
use super::super::schema::{Column, Kind, Table};
use super::{Cell, choices_text};

/// Takes a value from a body, as the service would.
pub(crate) fn from_json(table: &Table, column: &Column, value: &Value) -> Outcome<Cell> {
    if value.is_null() {
        return Ok(Cell::Null);
    }
    let wrong = |text: &str| wrong_literal(table, column, text);
    match &column.kind {
        Kind::Text { max, .. } | Kind::Memo { max } => {
            let Value::String(text) = value else {
                return Err(wrong_type(table, column, value));
            };
            check_length(table, column, text, *max)?;
            Ok(Cell::text(text))
        }
        Kind::Id | Kind::Guid => match value {
            Value::String(text) => {
                let id = Uuid::try_parse(text.trim_matches(['{', '}']));
                id.map(Cell::Guid).map_err(|_| wrong(text))
            }
            _ => Err(wrong_type(table, column, value)),
        },
        Kind::Int { min, max } => {
            let number = int32(table, column, value)?;
            if number < *min || number > *max {
                return Err(out_of_range(table, column, "0x8004432f"));
            }
            Ok(Cell::Int(number))
        }
        Kind::BigInt => int(table, column, value).map(Cell::Int),
        Kind::Choice { .. } | Kind::State { .. } | Kind::Status { .. } => {
            let number = int32(table, column, value)?;
            check_choice(table, column, number)?;
            Ok(Cell::Int(number))
        }
        Kind::Choices { .. } => choices(table, column, value),
        Kind::Decimal {
            min,
            max,
            precision,
        } => decimal(table, column, value, (*min, *max), *precision),
        Kind::Money { min, max, .. } => decimal(table, column, value, (*min, *max), 4),
        Kind::Bool { .. } => match value {
            Value::Bool(value) => Ok(Cell::Bool(*value)),
            // The service's reader turns text into booleans.
            Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(Cell::Bool(true)),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(Cell::Bool(false)),
            Value::String(text) => Err(wrong(text)),
            _ => Err(wrong_type(table, column, value)),
        },
        Kind::Date => match value {
            Value::String(text) => text
                .parse::<Date>()
                .ok()
                .filter(|_| text.len() == 10)
                .map(Cell::Date)
                .ok_or_else(|| wrong(text)),
            _ => Err(wrong_type(table, column, value)),
        },
        Kind::Time => match value {
            Value::String(text) => parse_time(text).map(Cell::Time).ok_or_else(|| wrong(text)),
            _ => Err(wrong_type(table, column, value)),
        },
        Kind::Lookup { .. } => Err(ApiError::payload(
            &table.set,
            "A 'PrimitiveValue' node with non-null value was found when trying to read the value of a navigation property; however, a 'StartArray' node, a 'StartObject' node, or a 'PrimitiveValue' node with null value was expected.",
        )),
    }
}

/// An instant to the second, which is what the database keeps. Without a zone it is taken as UTC.
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    let utc = |local: DateTime| local.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp());
    let at = text
        .parse::<Timestamp>()
        .or_else(|_| text.parse::<DateTime>().and_then(utc))
        .or_else(|_| text.parse::<Date>().and_then(|day| utc(day.at(0, 0, 0, 0))))
        .ok()?;
    Timestamp::from_second(at.as_second()).ok()
}

pub(crate) fn parse_decimal(text: &str) -> Option<Decimal> {
    Decimal::from_str_exact(text)
        .or_else(|_| Decimal::from_scientific(text))
        .ok()
}

fn check_length(table: &Table, column: &Column, text: &str, max: usize) -> Outcome<()> {
    if text.encode_utf16().count() <= max {
        return Ok(());
    }
    Err(ApiError::bad_request(
        "0x80044331",
        format!(
            "A validation error occurred.  The length of the '{}' attribute of the '{}' entity exceeded the maximum allowed length of '{max}'.",
            column.name, table.name
        ),
    ))
}

/// Whole numbers come as numbers, or as text, which the service's reader converts.
fn int(table: &Table, column: &Column, value: &Value) -> Outcome<i64> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return Err(wrong_type(table, column, value)),
    };
    text.parse()
        .map_err(|_| wrong_literal(table, column, &text))
}

fn int32(table: &Table, column: &Column, value: &Value) -> Outcome<i64> {
    let number = int(table, column, value)?;
    if i32::try_from(number).is_err() {
        return Err(wrong_literal(table, column, &number.to_string()));
    }
    Ok(number)
}

fn check_choice(table: &Table, column: &Column, number: i64) -> Outcome<()> {
    if column.label_of(number).is_some() {
        return Ok(());
    }
    Err(ApiError::bad_request(
        "0x8004431a",
        format!(
            "A validation error occurred.  The value {number} of '{}' on record of type '{}' is outside the valid range. Accepted Values: {}",
            column.name,
            table.name,
            choices_text(&column.accepted())
        ),
    ))
}

fn choices(table: &Table, column: &Column, value: &Value) -> Outcome<Cell> {
    let Value::String(text) = value else {
        return Err(wrong_type(table, column, value));
    };
    let mut values = Vec::new();
    for part in text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let number: i64 = part
            .parse()
            .map_err(|_| wrong_literal(table, column, text))?;
        check_choice(table, column, number)?;
        values.push(number);
    }
    values.sort_unstable();
    values.dedup();
    Ok(if values.is_empty() {
        Cell::Null
    } else {
        Cell::Choices(values)
    })
}

fn decimal(
    table: &Table,
    column: &Column,
    value: &Value,
    (min, max): (i64, i64),
    scale: u32,
) -> Outcome<Cell> {
    let number = match value {
        Value::Number(number) => number.to_string(),
        Value::String(_) => {
            return Err(ApiError::payload(
                &table.set,
                "Cannot convert a value to target type 'Edm.Decimal' because of conflict between input format string/number and parameter 'IEEE754Compatible' false/true.",
            ));
        }
        _ => return Err(wrong_type(table, column, value)),
    };
    let parsed = parse_decimal(&number).ok_or_else(|| wrong_literal(table, column, &number))?;
    if parsed < Decimal::from(min) || parsed > Decimal::from(max) {
        return Err(out_of_range(table, column, "0x80044330"));
    }
    Ok(Cell::Decimal(parsed.round_dp(scale)))
}

fn out_of_range(table: &Table, column: &Column, code: &'static str) -> ApiError {
    ApiError::bad_request(
        code,
        format!(
            "A validation error occurred.  The value of '{}' on record of type '{}' is outside the valid range.",
            column.name, table.name
        ),
    )
}

fn wrong_literal(table: &Table, column: &Column, text: &str) -> ApiError {
    ApiError::payload(
        &table.set,
        format!(
            "Cannot convert the literal '{text}' to the expected type '{}'.",
            column.edm()
        ),
    )
}

fn wrong_type(table: &Table, column: &Column, value: &Value) -> ApiError {
    let found = match value {
        Value::Array(_) => "StartArray",
        Value::Object(_) => "StartObject",
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            return wrong_literal(table, column, value.to_string().trim_matches('"'));
        }
    };
    ApiError::payload(
        &table.set,
        format!(
            "An unexpected '{found}' node was found when reading from the JSON reader. A 'PrimitiveValue' node was expected."
        ),
    )
}
