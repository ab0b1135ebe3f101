//! JSON as it was written: keys in order, duplicates kept, numbers as text.
//!
//! A gate that judges a parsed form and forwards another can be fooled by whatever the two
//! disagree on. So a body is parsed once, into this form, which loses nothing that two JSON
//! readers could read differently.

use std::fmt;

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod number;
#[cfg(test)]
mod tests;

pub use number::Number;

/// How `serde_json` announces a number in its lossless mode. A body that uses it as a key could
/// pass for a number, so such a body is refused.
const NUMBER_TOKEN: &str = "$serde_json::private::Number";

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Default)]
#[expect(missing_docs, reason = "the JSON types")]
pub enum Document {
    #[default]
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Array(Vec<Document>),
    Object(Object),
}

/// A JSON object: members in the order they came, repeated names included.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Object {
    members: Vec<(String, Document)>,
}

/// A body that is not JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at line {line} column {column}")]
pub struct ParseError {
    /// What is wrong, for people.
    pub message: String,
    /// One-based line.
    pub line: usize,
    /// One-based column.
    pub column: usize,
}

impl Document {
    /// Parses a whole body.
    ///
    /// # Errors
    /// When it is not UTF-8 or not exactly one JSON value, or nests deeper than 128.
    pub fn parse(body: &[u8]) -> Result<Self, ParseError> {
        if let Some(at) = find(body, NUMBER_TOKEN.as_bytes()) {
            let before = body.get(..at).unwrap_or_default();
            let line = before.iter().filter(|b| **b == b'\n').count() + 1;
            return Err(ParseError {
                message: "reserved name".into(),
                line,
                column: at + 1,
            });
        }
        serde_json::from_slice(body).map_err(|error| {
            let whole = error.to_string();
            let message = whole
                .rsplit_once(" at line")
                .map_or(whole.as_str(), |(text, _)| text);
            ParseError {
                message: message.into(),
                line: error.line(),
                column: error.column(),
            }
        })
    }

    /// The JSON text, without spaces.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(64);
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Number(number) => out.push_str(number.as_str()),
            Self::String(text) => write_string(text, out),
            Self::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(object) => object.write(out),
        }
    }

    /// The text, when this is a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// The object, when this is one.
    #[must_use]
    pub const fn as_object(&self) -> Option<&Object> {
        if let Self::Object(object) = self {
            Some(object)
        } else {
            None
        }
    }

    /// Whether this is `null`.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The name of the JSON type, for messages.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

impl Object {
    /// An object without members.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            members: Vec::new(),
        }
    }

    /// The last member of that name, as JSON readers mostly see it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Document> {
        self.members
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// The last member of that name, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Document> {
        self.members
            .iter_mut()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// Replaces the member's value in its place, or adds the member at the end.
    pub fn set(&mut self, name: &str, value: Document) {
        match self.members.iter_mut().rev().find(|(key, _)| key == name) {
            Some((_, slot)) => *slot = value,
            None => self.members.push((name.to_owned(), value)),
        }
    }

    /// Adds a member at the end, whatever is there already.
    pub fn push(&mut self, name: String, value: Document) {
        self.members.push((name, value));
    }

    /// Takes out every member of that name; gives the last one's value.
    pub fn remove(&mut self, name: &str) -> Option<Document> {
        let mut removed = None;
        self.members.retain_mut(|(key, value)| {
            let hit = key == name;
            if hit {
                removed = Some(std::mem::take(value));
            }
            !hit
        });
        removed
    }

    /// Whether there is a member of that name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.members.iter().any(|(key, _)| key == name)
    }

    /// The members in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Document)> {
        self.members
            .iter()
            .map(|(key, value)| (key.as_str(), value))
    }

    /// How many members, repeated ones counted.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are no members.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The first name that appears twice once names are folded by `fold`.
    pub fn first_duplicate(&self, fold: impl Fn(&str) -> String) -> Option<&str> {
        let mut seen = std::collections::HashSet::with_capacity(self.members.len());
        self.members
            .iter()
            .find(|(key, _)| !seen.insert(fold(key)))
            .map(|(key, _)| key.as_str())
    }

    fn write(&self, out: &mut String) {
        out.push('{');
        for (index, (key, value)) in self.members.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            write_string(key, out);
            out.push(':');
            value.write(out);
        }
        out.push('}');
    }
}

impl FromIterator<(String, Document)> for Object {
    fn from_iter<I: IntoIterator<Item = (String, Document)>>(members: I) -> Self {
        Self {
            members: members.into_iter().collect(),
        }
    }
}

impl IntoIterator for Object {
    type Item = (String, Document);
    type IntoIter = std::vec::IntoIter<(String, Document)>;

    fn into_iter(self) -> Self::IntoIter {
        self.members.into_iter()
    }
}

impl From<&str> for Document {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Document {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Document {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<i64> for Document {
    fn from(number: i64) -> Self {
        Self::Number(Number::from(number))
    }
}

impl From<Object> for Document {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => {
                use fmt::Write as _;
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => out.serialize_unit(),
            Self::Bool(flag) => out.serialize_bool(*flag),
            Self::Number(number) => number.serialize(out),
            Self::String(text) => out.serialize_str(text),
            Self::Array(items) => out.collect_seq(items),
            Self::Object(object) => object.serialize(out),
        }
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(DocumentVisitor)
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        match Document::deserialize(input)? {
            Document::Object(object) => Ok(object),
            other => Err(de::Error::custom(format!(
                "expected an object, found {}",
                other.type_name()
            ))),
        }
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Document, E> {
        Ok(Document::Null)
    }

    fn visit_none<E>(self) -> Result<Document, E> {
        Ok(Document::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, input: D) -> Result<Document, D::Error> {
        Document::deserialize(input)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Document, E> {
        Ok(Document::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Document, E> {
        Ok(Document::Number(Number::from(number)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Document, E> {
        Ok(Document::Number(Number::from(number)))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Document, E> {
        Number::from_f64(number)
            .map(Document::Number)
            .ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Document, E> {
        Ok(Document::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Document, E> {
        Ok(Document::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Document, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Document::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Document, A::Error> {
        let mut object = Object::new();
        while let Some(key) = members.next_key()? {
            match key {
                Key::Number => {
                    let text: String = members.next_value()?;
                    return Number::parse(&text)
                        .map(Document::Number)
                        .ok_or_else(|| de::Error::custom("not a JSON number"));
                }
                Key::Name(name) => object.push(name, members.next_value()?),
            }
        }
        Ok(Document::Object(object))
    }
}

/// A member's name, or the announcement of a number.
enum Key {
    Number,
    Name(String),
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    // INVARIANT: the announcement comes borrowed. A body's own key does so only where it has no
    // escapes, and `parse` has refused it then; with escapes it was put together, and is a copy.
    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Key, E> {
        if name == NUMBER_TOKEN {
            return Ok(Key::Number);
        }
        Ok(Key::Name(name.to_owned()))
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Key, E> {
        self.visit_string(name.to_owned())
    }

    fn visit_string<E: de::Error>(self, name: String) -> Result<Key, E> {
        if name == NUMBER_TOKEN {
            return Err(E::custom("reserved name"));
        }
        Ok(Key::Name(name))
    }
}
