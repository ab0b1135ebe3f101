//! Hashes over what was asked.

use crmgate_connector::{Draft, Target};
use crmgate_domain::{Actor, Document, Object, PayloadHash};

/// SHA-256 over what was asked, whatever it resolves to and whatever patches make of it: equal for
/// two spellings of one request. Binds holds, and repeats of a create.
pub(crate) fn asked(actor: &Actor, draft: &Draft) -> PayloadHash {
    let mut text = String::with_capacity(512);
    match &draft.target {
        Target::New => text.push_str("new"),
        Target::Id(id) => write_text(id, &mut text),
        Target::Key(key) => {
            for (field, value) in key {
                write_text(&field.to_ascii_lowercase(), &mut text);
                write_text(value, &mut text);
            }
        }
    }
    for part in [&draft.change, &draft.arguments] {
        match part {
            Some(part) => write_object(part, &mut text),
            None => text.push('-'),
        }
    }
    if let Some(relation) = &draft.relation {
        write(relation, &mut text);
    }
    PayloadHash::of(&[
        actor.id.as_bytes(),
        actor.on_behalf_of.as_deref().unwrap_or_default().as_bytes(),
        draft.requested.as_str().as_bytes(),
        draft.native_object.to_ascii_lowercase().as_bytes(),
        draft.action.as_deref().unwrap_or_default().as_bytes(),
        text.as_bytes(),
    ])
}

pub(crate) fn write(document: &Document, out: &mut String) {
    match document {
        Document::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Document::Object(object) => write_object(object, out),
        plain => out.push_str(&plain.to_json()),
    }
}

fn write_object(object: &Object, out: &mut String) {
    let mut members: Vec<(&str, &Document)> = object.iter().collect();
    members.sort_by_key(|(name, _)| *name);
    out.push('{');
    for (index, (name, value)) in members.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_text(name, out);
        out.push(':');
        write(value, out);
    }
    out.push('}');
}

pub(crate) fn write_text(text: &str, out: &mut String) {
    out.push_str(&Document::from(text).to_json());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(json: &str) -> Object {
        match Document::parse(json.as_bytes()).unwrap() {
            Document::Object(object) => object,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_order_of_names_does_not_count_and_values_do() {
        let text = |json: &str| {
            let mut out = String::new();
            write_object(&object(json), &mut out);
            out
        };
        assert_eq!(
            text(r#"{"b": {"y": 1, "x": [2, "a\"b"]}, "a": null}"#),
            text(r#"{"a":null,"b":{"x":[2,"a\"b"],"y":1}}"#)
        );
        assert_ne!(text(r#"{"a": 1}"#), text(r#"{"a": "1"}"#));
        assert_ne!(text(r#"{"a": null}"#), text("{}"));
    }
}
