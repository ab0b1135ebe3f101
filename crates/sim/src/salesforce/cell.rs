//! A field's stored value.

use std::cmp::Ordering;

use jiff::civil::Date;
use jiff::{Timestamp, tz};
use serde_json::{Number, Value};

use super::id::RecordId;

/// One stored value. Salesforce keeps moments to the second, and numbers as doubles.
#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) enum Cell {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    Number(f64),
    Text(String),
    Date(Date),
    /// Seconds since 1970.
    Moment(i64),
    Ref(RecordId),
}

impl Cell {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_ref_id(&self) -> Option<RecordId> {
        match self {
            Self::Ref(id) => Some(*id),
            _ => None,
        }
    }

    pub(crate) fn as_number(&self) -> Option<f64> {
        match self {
            #[expect(
                clippy::cast_precision_loss,
                reason = "Salesforce computes in doubles as well"
            )]
            Self::Int(number) => Some(*number as f64),
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// As it appears in JSON.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(flag) => Value::Bool(*flag),
            Self::Int(number) => Value::Number((*number).into()),
            Self::Number(number) => Number::from_f64(*number).map_or(Value::Null, Value::Number),
            Self::Text(text) => Value::String(text.clone()),
            Self::Date(date) => Value::String(date.to_string()),
            Self::Moment(seconds) => Value::String(moment_text(*seconds)),
            Self::Ref(id) => Value::String(id.to_string()),
        }
    }

    /// The order by which queries sort and compare: text without regard to case, null before all else.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => compare_text(a, b),
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Date(a), Self::Date(b)) => a.cmp(b),
            (Self::Moment(a), Self::Moment(b)) => a.cmp(b),
            (Self::Ref(a), Self::Ref(b)) => a.cmp(b),
            (Self::Null, Self::Null) => Ordering::Equal,
            (Self::Null, _) => Ordering::Less,
            (_, Self::Null) => Ordering::Greater,
            _ => match (self.as_number(), other.as_number()) {
                (Some(a), Some(b)) => a.total_cmp(&b),
                _ => Ordering::Equal,
            },
        }
    }
}

/// Compares as queries do: without regard to case.
pub(crate) fn compare_text(a: &str, b: &str) -> Ordering {
    let fold = |text: &str| {
        text.chars()
            .flat_map(char::to_lowercase)
            .collect::<String>()
    };
    if a.is_ascii() && b.is_ascii() {
        let fold = |byte: u8| byte.to_ascii_lowercase();
        return a.bytes().map(fold).cmp(b.bytes().map(fold));
    }
    fold(a).cmp(&fold(b))
}

/// `2026-01-31T10:00:00.000+0000`.
pub(crate) fn moment_text(seconds: i64) -> String {
    let at = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{}.000+0000", tz::Offset::UTC.to_datetime(at))
}

/// Reads `2026-01-31`, and nothing longer or shorter.
pub(crate) fn parse_date(text: &str) -> Option<Date> {
    text.parse().ok().filter(|_| text.len() == 10)
}

/// Reads `…Z`, `…+01:00` and `…+0100`, with or without fractions, which are dropped.
pub(crate) fn parse_moment(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', 't']).filter(|_| text.is_ascii())?;
    let mut whole = format!("{date}T{time}");
    let bytes = time.as_bytes();
    let sign_at = time.len().checked_sub(5);
    if sign_at
        .and_then(|at| bytes.get(at))
        .is_some_and(|byte| matches!(byte, b'+' | b'-'))
    {
        whole.insert(whole.len() - 2, ':');
    }
    let at: Timestamp = whole.parse().ok()?;
    Some(at.as_millisecond().div_euclid(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_all_spellings() {
        let second = 1_769_853_600;
        for text in [
            "2026-01-31T10:00:00Z",
            "2026-01-31T10:00:00.000Z",
            "2026-01-31T10:00:00.789+0000",
            "2026-01-31T12:00:00+02:00",
            "2026-01-31T02:00:00.000-0800",
        ] {
            assert_eq!(parse_moment(text), Some(second), "{text}");
        }
        assert_eq!(moment_text(second), "2026-01-31T10:00:00.000+0000");
        assert_eq!(parse_moment("2026-01-31"), None);
        assert_eq!(parse_moment("2026-01-31T+1é2"), None);
        assert!(parse_date("2026-01-31").is_some());
        assert_eq!(parse_date("2026-01-31T10:00:00"), None);
        assert_eq!(parse_moment("2026-01-31T10:00:00"), None);
    }

    #[test]
    fn numbers_keep_their_kind_in_json() {
        assert_eq!(Cell::Int(5).to_json().to_string(), "5");
        assert_eq!(Cell::Number(5.0).to_json().to_string(), "5.0");
        assert_eq!(Cell::Int(5).compare(&Cell::Number(5.0)), Ordering::Equal);
        assert_eq!(Cell::text("ÄB").compare(&Cell::text("äb")), Ordering::Equal);
        assert_eq!(Cell::Null.compare(&Cell::Int(-1)), Ordering::Less);
    }
}
