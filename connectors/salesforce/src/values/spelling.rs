//! One spelling per native value.

use crmgate_domain::{Document, Object, Timestamp};
use jiff::civil;

use super::number;
use crate::id;
use crate::metadata::{Field, FieldKind};

/// The value in its one spelling; what was expected where it fits none.
pub(crate) fn normalize(field: &Field, value: &Document) -> Result<Document, String> {
    if let Document::String(text) = value
        && text.trim().is_empty()
    {
        return Ok(absent(field.kind));
    }
    let hidden =
        |text: &str| text.starts_with(char::is_control) || text.ends_with(char::is_control);
    if let Document::String(text) = value
        && hidden(text.trim())
    {
        // Salesforce trims texts; whether these go, too, is not known, so they could hide a value.
        return Err("no control character at either end".to_owned());
    }
    match (field.kind, value) {
        (kind, Document::Null) => Ok(absent(kind)),
        (FieldKind::Boolean, value) => boolean(value),
        (FieldKind::Int | FieldKind::Long, value) => whole(value),
        (FieldKind::Double | FieldKind::Currency | FieldKind::Percent, value) => decimal(value),
        (FieldKind::Id | FieldKind::Reference, Document::String(text)) => {
            id::normalize(text.trim())
                .map(Document::from)
                .ok_or_else(|| "a record id of 15 or 18 characters".to_owned())
        }
        (FieldKind::Id | FieldKind::Reference, _) => Err("a record id".to_owned()),
        (FieldKind::Date, Document::String(text)) => date(text.trim()),
        (FieldKind::Date, _) => Err("a date, `2026-01-31`".to_owned()),
        (FieldKind::DateTime, Document::String(text)) => moment(text.trim()),
        (FieldKind::DateTime, _) => Err("a moment, `2026-01-31T10:00:00Z`".to_owned()),
        (FieldKind::MultiPicklist, Document::String(text)) => Ok(choices(field, text)),
        (FieldKind::Picklist, Document::String(text)) => Ok(choice(field, text.trim()).into()),
        (FieldKind::Address | FieldKind::Location, Document::Object(parts)) => {
            Ok(parts.clone().into())
        }
        (_, Document::String(text)) => Ok(text.trim().into()),
        (_, Document::Number(number)) => Ok(number.as_str().into()),
        (_, Document::Bool(flag)) => Ok(flag.to_string().into()),
        (_, other) => Err(format!("a text, not {}", other.type_name())),
    }
}

/// What an empty value is stored as: a checkbox is never null.
const fn absent(kind: FieldKind) -> Document {
    match kind {
        FieldKind::Boolean => Document::Bool(false),
        _ => Document::Null,
    }
}

fn boolean(value: &Document) -> Result<Document, String> {
    let flag = match value {
        Document::Bool(flag) => Some(*flag),
        Document::String(text) if text.trim().eq_ignore_ascii_case("true") => Some(true),
        Document::String(text) if text.trim().eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    };
    flag.map(Document::Bool)
        .ok_or_else(|| "`true` or `false`".to_owned())
}

fn decimal(value: &Document) -> Result<Document, String> {
    let parsed = match value {
        Document::Number(given) => number(given.as_str()),
        Document::String(text) => number(text.trim()),
        _ => None,
    };
    parsed.ok_or_else(|| "a number".to_owned())
}

fn whole(value: &Document) -> Result<Document, String> {
    let expected = || "a whole number".to_owned();
    match decimal(value).map_err(|_| expected())? {
        Document::Number(number) => number.as_i64().map(Document::from).ok_or_else(expected),
        _ => Err(expected()),
    }
}

/// A date; a moment at offset zero is taken by its date, which every reader takes it by.
fn date(text: &str) -> Result<Document, String> {
    let expected = || "a date, `2026-01-31`".to_owned();
    let day = match text.split_once(['T', 't']) {
        None => text,
        Some((day, _)) => {
            let zero = ["Z", "z", "+00:00", "+0000", "-00:00", "-0000"]
                .iter()
                .any(|offset| text.ends_with(offset));
            if !zero || instant(text).is_none() {
                return Err(expected());
            }
            day
        }
    };
    let parsed: civil::Date = day.parse().map_err(|_| expected())?;
    Ok(parsed.to_string().into())
}

/// A moment in UTC, to the second: Salesforce keeps no more.
fn moment(text: &str) -> Result<Document, String> {
    let at = if text.contains(['T', 't']) {
        instant(text)
    } else {
        instant(&format!("{text}T00:00:00Z"))
    };
    let second =
        at.and_then(|at| Timestamp::from_second(at.as_millisecond().div_euclid(1000)).ok());
    second
        .map(|at| at.to_string().into())
        .ok_or_else(|| "a moment, `2026-01-31T10:00:00Z`".to_owned())
}

/// Reads `…Z`, `…+01:00` and `…+0100`.
pub(crate) fn instant(text: &str) -> Option<Timestamp> {
    let sign = text.len().checked_sub(5)?;
    let (head, tail) = (text.get(..sign)?, text.get(sign..)?);
    if tail.starts_with(['+', '-']) && !tail.contains(':') {
        let (hours, minutes) = (tail.get(..3)?, tail.get(3..)?);
        return format!("{head}{hours}:{minutes}").parse().ok();
    }
    text.parse().ok()
}

/// Salesforce stores a known value in its own spelling, whatever case it was sent in.
fn choice(field: &Field, text: &str) -> String {
    field
        .picklist_values
        .iter()
        .find(|known| known.value.eq_ignore_ascii_case(text))
        .map_or_else(|| text.to_owned(), |known| known.value.clone())
}

fn choices(field: &Field, text: &str) -> Document {
    let mut all: Vec<String> = text
        .split(';')
        .map(str::trim)
        .filter(|value| !value.is_empty())
        .map(|value| choice(field, value))
        .collect();
    all.sort_unstable();
    all.dedup();
    if all.is_empty() {
        return Document::Null;
    }
    all.join(";").into()
}

/// An empty object stands for no compound at all.
pub(crate) fn compound(parts: Object) -> Document {
    if parts.iter().all(|(_, value)| value.is_null()) {
        Document::Null
    } else {
        parts.into()
    }
}
