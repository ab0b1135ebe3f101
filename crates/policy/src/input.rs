//! The input document that policies see (`policies/schema/input.schema.json`).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crmgate_domain::{Actor, Document, Object, Operation, RequestInfo, Views};
use regorus::Value;

use crate::JudgeOptions;
use crate::value::{self, OutOfRange};

#[cfg(test)]
mod tests;

/// An object of `from` and `to`. There are as many as changed fields, so the keys are made once,
/// and the engine keeps an object compact whose members are only replaced.
struct ChangeForm {
    from: Value,
    to: Value,
    form: Value,
}

static CHANGE: LazyLock<ChangeForm> = LazyLock::new(|| {
    let (from, to) = (Value::from("from"), Value::from("to"));
    let form = BTreeMap::from([(from.clone(), Value::Null), (to.clone(), Value::Null)]);
    ChangeForm {
        from,
        to,
        form: Value::from(form),
    }
});

impl ChangeForm {
    fn with(&self, from: Value, to: Value) -> Value {
        let mut change = self.form.clone();
        if let Ok(members) = change.as_object_mut() {
            members.insert(self.from.clone(), from);
            members.insert(self.to.clone(), to);
        }
        change
    }
}

/// Everything but the record, which patches change.
pub(crate) fn frame(operation: &Operation, options: &JudgeOptions) -> Result<Value, OutOfRange> {
    let list = |documents: &[Document]| -> Result<Value, OutOfRange> {
        let values: Result<Vec<Value>, _> = documents.iter().map(value::from_document).collect();
        values.map(Value::from)
    };
    Ok(object([
        ("operation", of_operation(operation)?),
        (
            "connection",
            object([
                ("name", operation.connection.name.as_str().into()),
                ("system", operation.connection.system.as_str().into()),
                ("org", text(operation.connection.org.as_deref())),
            ]),
        ),
        ("object", operation.object.as_str().into()),
        ("native_object", operation.native_object.as_str().into()),
        ("id", text(operation.record_id.as_deref())),
        ("actor", actor(&operation.actor)),
        (
            "request",
            operation.request.as_ref().map_or(Value::Null, request),
        ),
        ("purpose", text(operation.purpose.as_deref())),
        ("approvals", list(&options.approvals)?),
        ("exceptions", list(&options.exceptions)?),
    ]))
}

/// The whole input: the frame with the record's views.
pub(crate) fn whole(frame: &Value, views: &Views) -> Result<Value, OutOfRange> {
    let record = |record: &Option<Object>| match record {
        None => Ok(Value::Null),
        Some(record) => value::from_object(record),
    };
    let mut changes = Vec::with_capacity(views.changes.len());
    for (name, change) in &views.changes {
        let from = match &change.from {
            None => Value::Null,
            Some(from) => value::from_document(from)?,
        };
        let to = value::from_document(&change.to)?;
        changes.push((Value::from(name.as_str()), CHANGE.with(from, to)));
    }
    let mut input = frame.clone();
    if let Ok(members) = input.as_object_mut() {
        for (key, member) in [
            ("record", record(&views.record)?),
            ("native", record(&views.native)?),
            ("before", record(&views.before)?),
            ("native_before", record(&views.native_before)?),
            ("changes", value::object(changes)),
            ("related", value::from_object(&views.related)?),
        ] {
            members.insert(key.into(), member);
        }
    }
    Ok(input)
}

fn of_operation(operation: &Operation) -> Result<Value, OutOfRange> {
    let batch = operation.batch.as_ref().map_or(Value::Null, |batch| {
        object([
            ("id", batch.id.as_str().into()),
            ("index", batch.index.into()),
            ("size", batch.size.into()),
            ("atomic", batch.atomic.into()),
        ])
    });
    let arguments = match &operation.arguments {
        None => Value::Null,
        Some(arguments) => value::from_object(arguments)?,
    };
    let relation = match &operation.relation {
        None => Value::Null,
        Some(relation) => value::from_document(relation)?,
    };
    Ok(object([
        ("kind", operation.kind.as_str().into()),
        (
            "requested",
            text(operation.requested.map(crmgate_domain::Kind::as_str)),
        ),
        ("point", operation.point.as_str().into()),
        ("id", operation.id.to_string().into()),
        ("at", operation.at.to_string().into()),
        ("batch", batch),
        ("name", text(operation.name.as_deref())),
        ("arguments", arguments),
        ("relation", relation),
    ]))
}

fn actor(actor: &Actor) -> Value {
    object([
        ("id", actor.id.as_str().into()),
        ("username", text(actor.username.as_deref())),
        ("email", text(actor.email.as_deref())),
        ("roles", texts(&actor.roles)),
        ("groups", texts(&actor.groups)),
        ("scopes", actor.scopes.as_deref().map_or(Value::Null, texts)),
        ("client", text(actor.client.as_deref())),
        ("on_behalf_of", text(actor.on_behalf_of.as_deref())),
    ])
}

fn request(request: &RequestInfo) -> Value {
    let map = |map: &BTreeMap<String, String>| {
        value::object(
            map.iter()
                .map(|(key, value)| (key.as_str().into(), value.as_str().into())),
        )
    };
    object([
        ("method", request.method.as_str().into()),
        ("resource", request.resource.as_str().into()),
        ("path_parameters", map(&request.path_parameters)),
        ("query_parameters", map(&request.query_parameters)),
    ])
}

fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    value::object(members.map(|(key, member)| (key.into(), member)))
}

fn text(text: Option<&str>) -> Value {
    text.map_or(Value::Null, Value::from)
}

fn texts(texts: &[String]) -> Value {
    let texts: Vec<Value> = texts.iter().map(|text| text.as_str().into()).collect();
    Value::from(texts)
}
