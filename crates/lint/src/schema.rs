//! The input's own schema, which `policies/schema/input.schema.json` holds.

use std::sync::LazyLock;

use serde_json::Value;

use crate::types::Kinds;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    // A test parses the file, so that the empty one is never seen.
    serde_json::from_str(include_str!("../../../policies/schema/input.schema.json"))
        .unwrap_or(Value::Null)
});

/// What a schema says of a member.
pub(crate) enum Member {
    /// It is described.
    Known(&'static Value),
    /// Any name may be there.
    Free,
    /// No such member.
    None,
}

/// The schema of the whole input.
pub(crate) fn input() -> &'static Value {
    &SCHEMA
}

/// The part of a schema that is not `null`.
fn object(schema: &'static Value) -> &'static Value {
    let parts = schema.get("oneOf").and_then(Value::as_array);
    let is_null = |part: &&Value| part.get("type").and_then(Value::as_str) == Some("null");
    parts
        .and_then(|parts| parts.iter().find(|part| !is_null(part)))
        .unwrap_or(schema)
}

pub(crate) fn member(schema: &'static Value, name: &str) -> Member {
    let schema = object(schema);
    if let Some(found) = schema.get("properties").and_then(|p| p.get(name)) {
        return Member::Known(found);
    }
    match schema.get("additionalProperties") {
        Some(Value::Bool(false)) => Member::None,
        Some(Value::Object(_)) => schema
            .get("additionalProperties")
            .map_or(Member::Free, Member::Known),
        _ => Member::Free,
    }
}

/// The names of the members that a schema describes.
pub(crate) fn names(schema: &'static Value) -> impl Iterator<Item = &'static str> {
    let members = object(schema).get("properties").and_then(Value::as_object);
    members
        .into_iter()
        .flat_map(|all| all.keys().map(String::as_str))
}

/// The schema of an array's items.
pub(crate) fn items(schema: &'static Value) -> Option<&'static Value> {
    object(schema).get("items")
}

/// The words of an `enum`.
pub(crate) fn words(schema: &'static Value) -> Vec<&'static str> {
    let words = schema.get("enum").and_then(Value::as_array);
    words
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// What a value of the schema may be.
pub(crate) fn kinds(schema: &'static Value) -> Kinds {
    if let Some(parts) = schema.get("oneOf").and_then(Value::as_array) {
        return parts
            .iter()
            .fold(Kinds::NONE, |all, part| all.or(kinds(part)));
    }
    if schema.get("enum").is_some() {
        return Kinds::STRING;
    }
    let kind = |name: &Value| match name.as_str() {
        Some("null") => Kinds::NULL,
        Some("string") => Kinds::STRING,
        Some("boolean") => Kinds::BOOL,
        Some("integer" | "number") => Kinds::NUMBER,
        Some("array") => Kinds::ARRAY,
        Some("object") => Kinds::OBJECT,
        _ => Kinds::ANY,
    };
    match schema.get("type") {
        Some(Value::Array(names)) => names
            .iter()
            .fold(Kinds::NONE, |all, name| all.or(kind(name))),
        Some(name) => kind(name),
        None => Kinds::ANY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_describes_the_input() {
        assert!(names(input()).any(|name| name == "record"));
        assert!(matches!(member(input(), "acter"), Member::None));
        let Member::Known(actor) = member(input(), "actor") else {
            panic!("no actor")
        };
        let Member::Known(roles) = member(actor, "roles") else {
            panic!("no roles")
        };
        assert_eq!(kinds(roles), Kinds::ARRAY);
        assert_eq!(items(roles).map(kinds), Some(Kinds::STRING));
        let Member::Known(request) = member(input(), "request") else {
            panic!("no request")
        };
        assert!(kinds(request).has(Kinds::NULL));
        assert!(matches!(member(request, "method"), Member::Known(_)));
    }
}
