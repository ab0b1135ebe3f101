//! The engine's values and crmgate's documents.

use std::collections::BTreeMap;

use crmgate_domain::{Document, Number, Object};
use regorus::Value;

/// Digits beyond which a number is not a record's value but an attack on the engine.
const MAX_NUMBER: usize = 64;
/// Powers of ten beyond which floats end.
const MAX_EXPONENT: i64 = 300;

/// A number that the engine can't hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the number `{0}…` is out of range")]
pub(crate) struct OutOfRange(String);

/// An object from its members, in the engine's compact form.
pub(crate) fn object(members: impl IntoIterator<Item = (Value, Value)>) -> Value {
    Value::from(members.into_iter().collect::<BTreeMap<_, _>>())
}

/// A document as a value. Whole numbers stay exact; fractions become the nearest float.
pub(crate) fn from_document(document: &Document) -> Result<Value, OutOfRange> {
    Ok(match document {
        Document::Null => Value::Null,
        Document::Bool(flag) => Value::from(*flag),
        Document::Number(number) => from_number(number)?,
        Document::String(text) => Value::from(text.as_str()),
        Document::Array(items) => {
            let items: Result<Vec<Value>, _> = items.iter().map(from_document).collect();
            Value::from(items?)
        }
        Document::Object(members) => from_object(members)?,
    })
}

/// An object as a value.
pub(crate) fn from_object(members: &Object) -> Result<Value, OutOfRange> {
    from_members(members.iter().map(|(name, it)| (name.into(), it)).collect())
}

/// An object of these members; of several of one name the last.
pub(crate) fn from_members(mut members: Vec<(Value, &Document)>) -> Result<Value, OutOfRange> {
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    members.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            kept.1 = later.1;
        }
        same
    });
    let member = |(key, member)| Ok((key, from_document(member)?));
    let members: BTreeMap<Value, Value> =
        members.into_iter().map(member).collect::<Result<_, _>>()?;
    Ok(Value::from(members))
}

/// Whether the engine can hold a document that it is not given.
pub(crate) fn in_range(document: &Document) -> Result<(), OutOfRange> {
    match document {
        Document::Null | Document::Bool(_) | Document::String(_) => Ok(()),
        Document::Number(number) => from_number(number).map(drop),
        Document::Array(items) => items.iter().try_for_each(in_range),
        Document::Object(members) => members.iter().try_for_each(|(_, it)| in_range(it)),
    }
}

fn from_number(number: &Number) -> Result<Value, OutOfRange> {
    if let Ok(plain) = number.as_str().parse::<i64>() {
        return Ok(Value::from(plain));
    }
    if let Some(whole) = number.as_i64() {
        return Ok(Value::from(whole));
    }
    let text = number.as_str();
    let out = || OutOfRange(text.chars().take(20).collect());
    let exponent = text.split_once(['e', 'E']).map(|(_, exponent)| exponent);
    let near = exponent.is_none_or(|e| e.parse().is_ok_and(|e: i64| e.abs() <= MAX_EXPONENT));
    if text.len() > MAX_NUMBER || !near {
        return Err(out());
    }
    Value::from_numeric_string(text).map_err(|_| out())
}

/// A value as a document; sets become sorted arrays.
pub(crate) fn to_document(value: &Value) -> Result<Document, String> {
    Ok(match value {
        Value::Null => Document::Null,
        Value::Bool(flag) => Document::Bool(*flag),
        Value::Number(number) => {
            let text = number.format_decimal();
            Number::parse(&text)
                .map(Document::Number)
                .ok_or_else(|| format!("`{text}` is not a number that a record can hold"))?
        }
        Value::String(text) => Document::from(text.as_ref()),
        Value::Array(items) => {
            Document::Array(items.iter().map(to_document).collect::<Result<_, _>>()?)
        }
        Value::Set(items) => Document::Array(
            items
                .iter_sorted()
                .map(to_document)
                .collect::<Result<_, _>>()?,
        ),
        Value::Object(members) => {
            let mut object = Object::new();
            for (key, member) in members.iter_sorted() {
                let Value::String(key) = key else {
                    return Err(format!("a key is {}, expected a string", type_name(key)));
                };
                object.push(key.as_ref().to_owned(), to_document(member)?);
            }
            Document::Object(object)
        }
        Value::Undefined => return Err("the value is undefined".into()),
    })
}

/// What kind of value it is, for messages.
pub(crate) const fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Set(_) => "a set",
        Value::Object(_) => "an object",
        Value::Undefined => "undefined",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Document {
        Document::Number(Number::parse(text).unwrap())
    }

    #[test]
    fn whole_numbers_stay_exact() {
        for text in [
            "0",
            "-7",
            "1e3",
            "2.0",
            "9007199254740993",
            "18446744073709551616",
        ] {
            let value = from_document(&number(text)).unwrap();
            assert_eq!(to_document(&value).unwrap(), number(text), "{text}");
        }
        assert_eq!(from_document(&number("2.0")).unwrap(), Value::from(2_i64));
    }

    #[test]
    fn fractions_come_back_as_they_were() {
        for text in ["0.1", "1250.5", "-0.000001", "19.99"] {
            let value = from_document(&number(text)).unwrap();
            assert_eq!(to_document(&value).unwrap(), number(text), "{text}");
        }
    }

    #[test]
    fn numbers_that_would_exhaust_the_engine_are_refused() {
        for text in [
            "1e999999999",
            "-1e-999999999",
            "1e400",
            "1e99999999999999999999",
        ] {
            assert!(from_document(&number(text)).is_err(), "{text}");
        }
        assert!(from_document(&number(&"9".repeat(65))).is_err());
    }

    #[test]
    fn of_repeated_members_the_last_counts() {
        let text = br#"{"b": 1, "a": 1, "b": 2, "a": {"x": 1, "x": 2}, "b": 3}"#;
        let value = from_document(&Document::parse(text).unwrap()).unwrap();
        let expected = Document::parse(br#"{"a": {"x": 2}, "b": 3}"#).unwrap();
        assert_eq!(to_document(&value).unwrap(), expected);
    }

    fn documents() -> impl Strategy<Value = Document> {
        let leaf = prop_oneof![
            Just(Document::Null),
            any::<bool>().prop_map(Document::from),
            any::<i64>().prop_map(Document::from),
            "\\PC{0,8}".prop_map(Document::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Document::Array),
                prop::collection::btree_map("[a-z]{1,4}", inner, 0..4)
                    .prop_map(|map| Document::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn to_a_value_and_back_is_the_identity(document in documents()) {
            let value = from_document(&document).unwrap();
            prop_assert_eq!(to_document(&value).unwrap(), document);
        }
    }
}
