//! Between the words of crmgate and the columns of tables.

use crmgate_domain::Timestamp;
use crmgate_store::StoreError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::corrupt;

pub(crate) use crmgate_store::chain::nanoseconds;

pub(crate) fn timestamp(nanoseconds: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).map_err(|error| corrupt("a time", error))
}

pub(crate) fn write<T: Serialize>(what: &str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| corrupt(what, error))
}

pub(crate) fn read<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| corrupt(what, error))
}

/// The cursor that stands behind a row of a listing: its kind, and its number.
pub(crate) fn cursor(kind: char, seq: i64) -> String {
    format!("{kind}{seq:x}")
}

/// The number a listing continues below.
pub(crate) fn below(kind: char, cursor: Option<&str>) -> Result<i64, StoreError> {
    let Some(cursor) = cursor else {
        return Ok(i64::MAX);
    };
    let digits = cursor.strip_prefix(kind).ok_or(StoreError::BadCursor)?;
    let plain = digits
        .bytes()
        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let seq = i64::from_str_radix(digits, 16).ok().filter(|_| plain);
    seq.ok_or(StoreError::BadCursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_of_their_listing() {
        assert_eq!(below('d', Some(&cursor('d', 77))).unwrap(), 77);
        for wrong in [
            "",
            "d",
            "h4d",
            "d-1",
            "d+1",
            "dG",
            "4d",
            "d99999999999999999",
        ] {
            assert!(below('d', Some(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_come_back_exactly() {
        let at: Timestamp = "2026-03-01T12:00:00.123456789Z".parse().unwrap();
        assert_eq!(timestamp(nanoseconds(at)).unwrap(), at);
    }
}
