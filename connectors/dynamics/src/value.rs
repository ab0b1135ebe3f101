//! Values in one spelling.
//!
//! | column | normalized |
//! |---|---|
//! | text | text; empty text is `null`, as Dataverse stores it |
//! | whole numbers, decimals, money | a number without needless digits |
//! | choice | a number; choices: `"1,3"`, sorted, without repeats |
//! | date, date and time | `YYYY-MM-DD`; RFC 3339 in UTC to the second |
//! | id | lower case with hyphens |
//! | lookup | `{"type", "id"}` |

#[cfg(test)]
mod tests;

use crmgate_domain::{Document, Number, Object, Timestamp};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::table::ColumnKind;

/// A GUID in its one spelling: lower case, hyphens, no braces.
pub(crate) fn guid(text: &str) -> Option<String> {
    let inner = text
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .unwrap_or(text);
    (inner.len() == 36).then_some(())?;
    let id = uuid::Uuid::try_parse(inner).ok()?;
    Some(id.hyphenated().to_string())
}

/// A lookup's value.
pub(crate) fn reference(table: &str, id: &str) -> Document {
    let mut object = Object::new();
    object.set("type", table.into());
    object.set("id", id.into());
    object.into()
}

/// Table and id of a lookup's value.
pub(crate) fn parts(reference: &Document) -> Option<(&str, &str)> {
    let object = reference.as_object()?;
    Some((object.get("type")?.as_str()?, object.get("id")?.as_str()?))
}

/// A value of a plain column, as a body or an answer holds it, in the one spelling. Lookups come
/// as references already.
///
/// # Errors
/// What was expected.
pub(crate) fn normalize(kind: ColumnKind, value: &Document) -> Result<Document, String> {
    if value.is_null() {
        return Ok(Document::Null);
    }
    let wrong = |expected: &str| format!("expected {expected}, found {}", value.type_name());
    match kind {
        ColumnKind::Text => match value {
            Document::String(text) if text.is_empty() => Ok(Document::Null),
            Document::String(_) => Ok(value.clone()),
            _ => Err(wrong("text")),
        },
        ColumnKind::Integer | ColumnKind::BigInteger | ColumnKind::Choice => {
            whole(value).ok_or_else(|| wrong("a whole number"))
        }
        ColumnKind::Decimal | ColumnKind::Money => match value {
            Document::Number(number) => Ok(Document::Number(number.normalized())),
            _ => Err(wrong("a number")),
        },
        ColumnKind::Boolean => boolean(value).ok_or_else(|| wrong("true or false")),
        ColumnKind::Choices => value
            .as_str()
            .and_then(choices)
            .ok_or_else(|| wrong("choice numbers in a text, such as \"1,3\"")),
        ColumnKind::Date => value
            .as_str()
            .and_then(date)
            .ok_or_else(|| wrong("a date such as \"2026-01-31\"")),
        ColumnKind::DateTime => value
            .as_str()
            .and_then(instant)
            .ok_or_else(|| wrong("a time such as \"2026-01-31T12:00:00Z\"")),
        ColumnKind::Id => value
            .as_str()
            .and_then(guid)
            .map(Document::String)
            .ok_or_else(|| wrong("a GUID")),
        ColumnKind::Lookup => match parts(value).map(|(table, id)| (table, guid(id))) {
            Some((table, Some(id))) => Ok(reference(table, &id)),
            _ => Err(wrong("a table and a GUID")),
        },
        ColumnKind::Other => Err("a column of this kind cannot be written in a record".to_owned()),
    }
}

fn whole(value: &Document) -> Option<Document> {
    let number = match value {
        Document::Number(number) => number.as_i64()?,
        // The service's reader turns text into whole numbers.
        Document::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    Some(Document::from(number))
}

fn boolean(value: &Document) -> Option<Document> {
    match value {
        Document::Bool(_) => Some(value.clone()),
        Document::String(text) if text.eq_ignore_ascii_case("true") => Some(true.into()),
        Document::String(text) if text.eq_ignore_ascii_case("false") => Some(false.into()),
        _ => None,
    }
}

fn choices(text: &str) -> Option<Document> {
    let mut numbers = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().ok())
        .collect::<Option<Vec<i64>>>()?;
    numbers.sort_unstable();
    numbers.dedup();
    if numbers.is_empty() {
        return Some(Document::Null);
    }
    let texts: Vec<String> = numbers.iter().map(i64::to_string).collect();
    Some(texts.join(",").into())
}

fn date(text: &str) -> Option<Document> {
    let date: Date = text.parse().ok().filter(|_| text.len() == 10)?;
    Some(date.to_string().into())
}

/// Without a zone a time is taken as UTC, as the service takes it; the database keeps seconds.
fn instant(text: &str) -> Option<Document> {
    let at = text.parse::<Timestamp>().ok().or_else(|| {
        let local = text
            .parse::<DateTime>()
            .or_else(|_| text.parse::<Date>().map(|day| day.at(0, 0, 0, 0)))
            .ok()?;
        Some(local.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })?;
    let seconds = Timestamp::from_second(at.as_second()).ok()?;
    Some(seconds.to_string().into())
}

/// A normalized value as text: how mapping tables and keys name it.
pub(crate) fn text(value: &Document) -> Option<String> {
    match value {
        Document::String(text) => Some(text.clone()),
        Document::Number(number) => Some(number.as_str().to_owned()),
        Document::Bool(flag) => Some(flag.to_string()),
        Document::Object(_) => parts(value).map(|(_, id)| id.to_owned()),
        Document::Null | Document::Array(_) => None,
    }
}

/// A number out of text.
pub(crate) fn number(text: &str) -> Option<Document> {
    Number::parse(text).map(|number| Document::Number(number.normalized()))
}
