//! JSON pointers (RFC 6901) applied as OPA applies masks: what is not there is ignored.

use crmgate_domain::{Document, Object};

/// The parts of a pointer, unescaped; `None` for a text that is no pointer.
#[must_use]
pub fn parse(pointer: &str) -> Option<Vec<String>> {
    if pointer.is_empty() {
        return Some(Vec::new());
    }
    let parts = pointer.strip_prefix('/')?.split('/');
    Some(parts.map(unescape).collect())
}

fn unescape(part: &str) -> String {
    if part.contains('~') {
        part.replace("~1", "/").replace("~0", "~")
    } else {
        part.to_owned()
    }
}

/// A name as a part of a pointer.
#[must_use]
pub fn escape(part: &str) -> String {
    part.replace('~', "~0").replace('/', "~1")
}

/// What a pointer points at.
#[must_use]
pub fn get<'a>(document: &'a Document, parts: &[String]) -> Option<&'a Document> {
    parts.iter().try_fold(document, |at, part| match at {
        Document::Object(object) => object.get(part),
        Document::Array(items) => items.get(index(part)?),
        _ => None,
    })
}

/// Takes away what a pointer points at; whether there was something. The whole document becomes
/// `null`.
pub fn remove(document: &mut Document, parts: &[String]) -> bool {
    let Some((last, above)) = parts.split_last() else {
        *document = Document::Null;
        return true;
    };
    match get_mut(document, above) {
        Some(Document::Object(object)) => object.remove(last).is_some(),
        Some(Document::Array(items)) => match index(last).filter(|at| *at < items.len()) {
            Some(at) => {
                items.remove(at);
                true
            }
            None => false,
        },
        _ => false,
    }
}

/// Puts a value where a pointer points. Members that are not there are made, items are not;
/// whether there was a place.
pub fn upsert(document: &mut Document, parts: &[String], value: Document) -> bool {
    let Some((part, below)) = parts.split_first() else {
        *document = value;
        return true;
    };
    match document {
        Document::Object(object) => {
            if object.get(part).is_none() {
                // Nothing is made on the way to a place that there is not.
                let mut made = if below.is_empty() {
                    Document::Null
                } else {
                    Document::Object(Object::new())
                };
                let placed = upsert(&mut made, below, value);
                if placed {
                    object.set(part, made);
                }
                return placed;
            }
            object
                .get_mut(part)
                .is_some_and(|inner| upsert(inner, below, value))
        }
        Document::Array(items) => index(part)
            .and_then(|at| items.get_mut(at))
            .is_some_and(|inner| upsert(inner, below, value)),
        _ => false,
    }
}

fn get_mut<'a>(document: &'a mut Document, parts: &[String]) -> Option<&'a mut Document> {
    parts.iter().try_fold(document, |at, part| match at {
        Document::Object(object) => object.get_mut(part),
        Document::Array(items) => items.get_mut(index(part)?),
        _ => None,
    })
}

/// An index as RFC 6901 writes it: no sign, no leading zero.
fn index(part: &str) -> Option<usize> {
    let plain = part == "0" || !part.starts_with('0');
    let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    (plain && digits).then(|| part.parse().ok())?
}
