//! Texts and numbers of a configuration as what they stand for.
//!
//! Each function says on failure what it expected; the caller knows the setting.

use std::net::SocketAddr;
use std::time::Duration;

use config::{Value, ValueKind};
use url::Url;

/// What a value is, for messages.
pub(crate) fn describe(value: &Value) -> String {
    match &value.kind {
        ValueKind::Nil => "nothing".to_owned(),
        ValueKind::Table(_) => "a table".to_owned(),
        ValueKind::Array(_) => "a list".to_owned(),
        ValueKind::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

pub(crate) fn text(value: &Value) -> Result<String, String> {
    match &value.kind {
        ValueKind::String(text) if !text.trim().is_empty() => Ok(text.clone()),
        _ => Err(format!("expected a text, found {}", describe(value))),
    }
}

pub(crate) fn flag(value: &Value) -> Result<bool, String> {
    // The environment only has texts.
    match &value.kind {
        ValueKind::Boolean(flag) => Ok(*flag),
        ValueKind::String(text) if text == "true" => Ok(true),
        ValueKind::String(text) if text == "false" => Ok(false),
        _ => Err(format!("expected true or false, found {}", describe(value))),
    }
}

pub(crate) fn count(value: &Value) -> Result<usize, String> {
    let number = match &value.kind {
        ValueKind::I64(number) => usize::try_from(*number).ok(),
        ValueKind::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number
        .filter(|number| *number > 0)
        .ok_or_else(|| format!("expected a whole number from 1, found {}", describe(value)))
}

pub(crate) fn size(value: &Value) -> Result<usize, String> {
    let bytes = match &value.kind {
        ValueKind::String(text) => {
            let text = text.trim();
            let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
            let unit = match text.get(digits.len()..).unwrap_or_default().trim() {
                "" | "B" => Some(1),
                "KiB" => Some(1 << 10),
                "MiB" => Some(1 << 20),
                "GiB" => Some(1 << 30),
                _ => None,
            };
            digits
                .parse::<usize>()
                .ok()
                .zip(unit)
                .and_then(|(number, unit)| number.checked_mul(unit))
        }
        ValueKind::I64(number) => usize::try_from(*number).ok(),
        _ => None,
    };
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| {
        format!(
            "expected a size such as 4096, \"64 KiB\" or \"8 MiB\", found {}",
            describe(value)
        )
    })
}

pub(crate) fn duration(value: &Value) -> Result<Duration, String> {
    let parsed = match &value.kind {
        ValueKind::String(text) => text.parse::<jiff::SignedDuration>().ok(),
        _ => None,
    };
    parsed
        .and_then(|duration| Duration::try_from(duration).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| {
            format!(
                "expected a duration above zero such as \"50ms\", \"5s\" or \"2m\", found {}",
                describe(value)
            )
        })
}

pub(crate) fn socket(value: &Value) -> Result<SocketAddr, String> {
    text(value)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| {
            format!(
                "expected an address with a port such as `127.0.0.1:8700`, found {}",
                describe(value)
            )
        })
}

/// An `http` or `https` address.
pub(crate) fn web_url(value: &Value) -> Result<Url, String> {
    text(value)
        .ok()
        .and_then(|text| Url::parse(&text).ok())
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| {
            format!(
                "expected an address that begins with `https://` or `http://`, found {}",
                describe(value)
            )
        })
}

/// A list; in the environment, a text with commas.
pub(crate) fn list<T>(
    value: &Value,
    item: impl Fn(&Value) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    match &value.kind {
        ValueKind::Array(items) => items.iter().map(item).collect(),
        ValueKind::String(text) => text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| item(&Value::new(None, part)))
            .collect(),
        _ => Err(format!("expected a list, found {}", describe(value))),
    }
}

/// One of the words.
pub(crate) fn word<T: Copy>(value: &Value, words: &[(&str, T)]) -> Result<T, String> {
    let given = text(value).unwrap_or_default();
    let found = words.iter().find(|(word, _)| *word == given);
    found.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let known: Vec<String> = words
            .iter()
            .map(|(word, _)| format!("\"{word}\""))
            .collect();
        format!(
            "expected one of {}, found {}",
            known.join(", "),
            describe(value)
        )
    })
}

/// The value as JSON, for the connectors' own settings.
pub(crate) fn json(value: &Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match &value.kind {
        ValueKind::Nil => Json::Null,
        ValueKind::Boolean(flag) => Json::Bool(*flag),
        ValueKind::I64(number) => (*number).into(),
        ValueKind::U64(number) => (*number).into(),
        ValueKind::I128(number) => number.to_string().into(),
        ValueKind::U128(number) => number.to_string().into(),
        ValueKind::Float(number) => (*number).into(),
        ValueKind::String(text) => text.as_str().into(),
        ValueKind::Array(items) => items.iter().map(json).collect(),
        ValueKind::Table(table) => {
            let sorted: std::collections::BTreeMap<_, _> = table.iter().collect();
            Json::Object(
                sorted
                    .into_iter()
                    .map(|(key, value)| (key.clone(), json(value)))
                    .collect(),
            )
        }
    }
}
