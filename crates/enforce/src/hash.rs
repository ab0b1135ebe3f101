//! Hashes over what was asked and what was judged.

use std::collections::BTreeMap;

use crmgate_connector::{Draft, Target};
use crmgate_domain::{
    Actor, BatchInfo, Change, Document, Kind, Object, Operation, PayloadHash, RequestInfo, Views,
};

/// SHA-256 over the policy input as canonical JSON: names sorted, no spaces, numbers as the
/// connector normalized them.
pub(crate) fn input(operation: &Operation, views: &Views) -> PayloadHash {
    PayloadHash::of(&[input_text(operation, views).as_bytes()])
}

/// The policy input, as `policies/schema/input.schema.json` describes it.
fn input_text(operation: &Operation, views: &Views) -> String {
    let mut out = Canonical(String::with_capacity(2_048));
    let connection = &operation.connection;
    out.object(&mut [
        ("actor", &|out| out.actor(&operation.actor)),
        ("approvals", &|out| out.raw("[]")),
        ("before", &|out| out.record(views.before.as_ref())),
        ("changes", &|out| out.changes(&views.changes)),
        ("connection", &|out| {
            out.object(&mut [
                ("name", &|out| out.text(Some(connection.name.as_str()))),
                ("org", &|out| out.text(connection.org.as_deref())),
                ("system", &|out| out.text(Some(&connection.system))),
            ]);
        }),
        ("exceptions", &|out| out.raw("[]")),
        ("id", &|out| out.text(operation.record_id.as_deref())),
        ("native", &|out| out.record(views.native.as_ref())),
        ("native_before", &|out| {
            out.record(views.native_before.as_ref());
        }),
        ("native_object", &|out| {
            out.text(Some(&operation.native_object));
        }),
        ("object", &|out| out.text(Some(&operation.object))),
        ("operation", &|out| out.operation(operation)),
        ("purpose", &|out| out.text(operation.purpose.as_deref())),
        ("record", &|out| out.record(views.record.as_ref())),
        ("related", &|out| write_object(&views.related, &mut out.0)),
        ("request", &|out| out.request(operation.request.as_ref())),
    ]);
    out.0
}

/// Writes JSON with sorted names.
struct Canonical(String);

/// Writes one member's value.
type Member<'a> = (&'a str, &'a dyn Fn(&mut Canonical));

impl Canonical {
    fn raw(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn text(&mut self, text: Option<&str>) {
        match text {
            Some(text) => write_text(text, &mut self.0),
            None => self.raw("null"),
        }
    }

    fn texts(&mut self, texts: Option<&[String]>) {
        let Some(texts) = texts else {
            return self.raw("null");
        };
        self.raw("[");
        for (index, text) in texts.iter().enumerate() {
            if index > 0 {
                self.raw(",");
            }
            write_text(text, &mut self.0);
        }
        self.raw("]");
    }

    fn object(&mut self, members: &mut [Member<'_>]) {
        members.sort_by_key(|(name, _)| *name);
        self.raw("{");
        for (index, (name, value)) in members.iter().enumerate() {
            if index > 0 {
                self.raw(",");
            }
            write_text(name, &mut self.0);
            self.raw(":");
            value(self);
        }
        self.raw("}");
    }

    fn record(&mut self, record: Option<&Object>) {
        match record {
            Some(record) => write_object(record, &mut self.0),
            None => self.raw("null"),
        }
    }

    fn map(&mut self, map: &BTreeMap<String, String>) {
        let texts = map
            .iter()
            .map(|(name, text)| (name.clone(), text.as_str().into()));
        write_object(&texts.collect(), &mut self.0);
    }

    fn changes(&mut self, changes: &BTreeMap<String, Change>) {
        self.raw("{");
        for (index, (name, change)) in changes.iter().enumerate() {
            if index > 0 {
                self.raw(",");
            }
            write_text(name, &mut self.0);
            self.raw(":");
            self.object(&mut [
                ("from", &|out| match &change.from {
                    Some(from) => write(from, &mut out.0),
                    None => out.raw("null"),
                }),
                ("to", &|out| write(&change.to, &mut out.0)),
            ]);
        }
        self.raw("}");
    }

    fn actor(&mut self, actor: &Actor) {
        self.object(&mut [
            ("client", &|out| out.text(actor.client.as_deref())),
            ("email", &|out| out.text(actor.email.as_deref())),
            ("groups", &|out| out.texts(Some(&actor.groups))),
            ("id", &|out| out.text(Some(&actor.id))),
            ("on_behalf_of", &|out| {
                out.text(actor.on_behalf_of.as_deref());
            }),
            ("roles", &|out| out.texts(Some(&actor.roles))),
            ("scopes", &|out| out.texts(actor.scopes.as_deref())),
            ("username", &|out| out.text(actor.username.as_deref())),
        ]);
    }

    fn operation(&mut self, operation: &Operation) {
        let requested = operation.requested.map(Kind::as_str);
        self.object(&mut [
            ("arguments", &|out| out.record(operation.arguments.as_ref())),
            ("at", &|out| out.text(Some(&operation.at.to_string()))),
            ("batch", &|out| out.batch(operation.batch.as_ref())),
            ("id", &|out| out.text(Some(&operation.id.to_string()))),
            ("kind", &|out| out.text(Some(operation.kind.as_str()))),
            ("name", &|out| out.text(operation.name.as_deref())),
            ("point", &|out| out.text(Some(operation.point.as_str()))),
            ("relation", &|out| match &operation.relation {
                Some(relation) => write(relation, &mut out.0),
                None => out.raw("null"),
            }),
            ("requested", &|out| out.text(requested)),
        ]);
    }

    fn batch(&mut self, batch: Option<&BatchInfo>) {
        let Some(batch) = batch else {
            return self.raw("null");
        };
        self.object(&mut [
            ("atomic", &|out| {
                out.raw(if batch.atomic { "true" } else { "false" });
            }),
            ("id", &|out| out.text(Some(&batch.id))),
            ("index", &|out| out.raw(&batch.index.to_string())),
            ("size", &|out| out.raw(&batch.size.to_string())),
        ]);
    }

    fn request(&mut self, request: Option<&RequestInfo>) {
        let Some(request) = request else {
            return self.raw("null");
        };
        self.object(&mut [
            ("method", &|out| out.text(Some(&request.method))),
            ("path_parameters", &|out| out.map(&request.path_parameters)),
            ("query_parameters", &|out| {
                out.map(&request.query_parameters);
            }),
            ("resource", &|out| out.text(Some(&request.resource))),
        ]);
    }
}

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

fn write(document: &Document, out: &mut String) {
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

fn write_text(text: &str, out: &mut String) {
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

    /// What is hashed is what policies are documented to see.
    #[test]
    fn the_input_is_as_its_schema_says() {
        let schema = include_str!("../../../policies/schema/input.schema.json");
        let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
        let schema = jsonschema::validator_for(&schema).unwrap();
        let ambient = crmgate_store::suite::Ticking::default();
        let mut operation = crmgate_store::suite::full_record(&ambient)
            .operation
            .unwrap();
        operation.relation = None;
        operation.batch = Some(BatchInfo {
            id: "b".to_owned(),
            index: 0,
            size: 2,
            atomic: true,
        });
        operation.request = Some(RequestInfo {
            method: "POST".to_owned(),
            resource: "/x/{object}".to_owned(),
            path_parameters: [("object".to_owned(), "\"\u{1}".to_owned())].into(),
            query_parameters: BTreeMap::new(),
        });
        let mut views = Views {
            record: Some(object(
                r#"{"name": "Ada", "amount": 12.50, "b": [1, {"y": 1, "x": null}]}"#,
            )),
            native: Some(object(r#"{"Name": "Ada"}"#)),
            ..Views::default()
        };
        let to = Document::from("Ada");
        let change = Change { from: None, to };
        views.changes.insert("name".to_owned(), change);
        for _ in 0..2 {
            let text = input_text(&operation, &views);
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            let wrong: Vec<String> = schema.iter_errors(&value).map(|e| e.to_string()).collect();
            assert!(wrong.is_empty(), "{wrong:?}");
            assert_eq!(sorted(value).to_string(), text, "names are sorted");
            operation.batch = None;
            operation.request = None;
            operation.record_id = None;
            views.before.clone_from(&views.record);
            views.record = None;
        }
    }

    fn sorted(value: serde_json::Value) -> serde_json::Value {
        match value {
            serde_json::Value::Object(members) => {
                let sorted: BTreeMap<_, _> = members
                    .into_iter()
                    .map(|(name, value)| (name, sorted(value)))
                    .collect();
                serde_json::Value::Object(sorted.into_iter().collect())
            }
            serde_json::Value::Array(items) => items.into_iter().map(sorted).collect(),
            plain => plain,
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
