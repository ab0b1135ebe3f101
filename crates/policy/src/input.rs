//! The input document that policies see (`policies/schema/input.schema.json`).

use std::collections::BTreeMap;

use crmgate_domain::{Actor, Change, Document, Object, Operation, RequestInfo, Views};
use regorus::Value;

use crate::JudgeOptions;
use crate::looks::{Members, Part, Wanted};
use crate::value::{self, OutOfRange};

#[cfg(test)]
mod tests;

/// The input's members that patches do not change.
const FRAME: [&str; 10] = [
    "operation",
    "connection",
    "object",
    "native_object",
    "id",
    "actor",
    "request",
    "purpose",
    "approvals",
    "exceptions",
];

/// Its members about the record.
const RECORD: [&str; 6] = [
    "record",
    "native",
    "before",
    "native_before",
    "changes",
    "related",
];

thread_local! {
    static INPUT: Form = Form::new(FRAME.iter().chain(&RECORD));
    static CHANGE: Form = Form::new(["from", "to"].iter());
}

/// An object that is always of the same members: the engine keeps it compact while only values
/// are put in. One per thread, because threads that share keys wait for each other.
struct Form {
    keys: Vec<Value>,
    empty: Value,
}

impl Form {
    fn new<'a>(keys: impl Iterator<Item = &'a &'static str>) -> Self {
        let keys: Vec<Value> = keys.map(|key| Value::from(*key)).collect();
        Self {
            empty: value::object(keys.iter().map(|key| (key.clone(), Value::Null))),
            keys,
        }
    }

    fn filled(&self, members: impl IntoIterator<Item = Value>) -> Value {
        let mut filled = self.empty.clone();
        if let Ok(object) = filled.as_object_mut() {
            for (key, member) in self.keys.iter().zip(members) {
                object.insert(key.clone(), member);
            }
        }
        filled
    }
}

/// Everything but the record, which patches change.
pub(crate) struct Frame([Value; FRAME.len()]);

impl Frame {
    /// What is wanted of an operation.
    pub(crate) fn new(
        operation: &Operation,
        options: &JudgeOptions,
        wanted: &Wanted<'_>,
    ) -> Result<Self, OutOfRange> {
        let request = operation.request.as_ref();
        let request = request.map(|request| of_request(request, wanted.of(Part::Request)));
        Ok(Self([
            of_operation(operation, wanted.of(Part::Operation))?,
            connection(operation, wanted.of(Part::Connection)),
            operation.object.as_str().into(),
            operation.native_object.as_str().into(),
            text(operation.record_id.as_deref()),
            actor(&operation.actor, wanted.of(Part::Actor)),
            request.unwrap_or(Value::Null),
            text(operation.purpose.as_deref()),
            list(&options.approvals, wanted.of(Part::Approvals))?,
            list(&options.exceptions, wanted.of(Part::Exceptions))?,
        ]))
    }

    /// The whole input, with what is wanted of the record's views.
    pub(crate) fn input(&self, views: &Views, wanted: &Wanted<'_>) -> Result<Value, OutOfRange> {
        let record = |record: &Option<Object>, part| match record {
            None => Ok(Value::Null),
            Some(record) => of_record(record, wanted.of(part)),
        };
        let record = [
            record(&views.record, Part::Record)?,
            record(&views.native, Part::Native)?,
            record(&views.before, Part::Before)?,
            record(&views.native_before, Part::NativeBefore)?,
            changes(&views.changes, wanted.of(Part::Changes))?,
            of_record(&views.related, wanted.of(Part::Related))?,
        ];
        let members = self.0.iter().cloned().chain(record);
        Ok(INPUT.with(|form| form.filled(members)))
    }
}

/// What is wanted of a record. What is not must still be within the engine's range, so that an
/// answer does not depend on who looks.
fn of_record(record: &Object, wanted: Members<'_>) -> Result<Value, OutOfRange> {
    if !wanted.any() {
        record.iter().try_for_each(|(_, it)| value::in_range(it))?;
        return Ok(Value::new_object());
    }
    let mut members = Vec::with_capacity(record.len());
    for (name, member) in record.iter() {
        if wanted.contains(name) {
            members.push((name, member));
        } else {
            value::in_range(member)?;
        }
    }
    value::from_members(members)
}

fn changes(changes: &BTreeMap<String, Change>, wanted: Members<'_>) -> Result<Value, OutOfRange> {
    let mut members = Vec::new();
    for (name, change) in changes {
        let from = change.from.as_ref();
        if wanted.contains(name) {
            let from = from.map_or(Ok(Value::Null), value::from_document)?;
            let to = value::from_document(&change.to)?;
            let change = CHANGE.with(|form| form.filled([from, to]));
            members.push((Value::from(name.as_str()), change));
        } else {
            from.map_or(Ok(()), value::in_range)?;
            value::in_range(&change.to)?;
        }
    }
    Ok(value::object(members))
}

fn list(documents: &[Document], wanted: Members<'_>) -> Result<Value, OutOfRange> {
    let mut values = Vec::new();
    for document in documents {
        if wanted.any() {
            values.push(value::from_document(document)?);
        } else {
            value::in_range(document)?;
        }
    }
    Ok(Value::from(values))
}

/// An object of the members that are wanted.
fn object<const N: usize>(wanted: Members<'_>, members: [(&str, &dyn Fn() -> Value); N]) -> Value {
    if !wanted.any() {
        return Value::new_object();
    }
    let members = members
        .into_iter()
        .filter(|(name, _)| wanted.contains(name));
    value::object(members.map(|(name, member)| (name.into(), member())))
}

fn of_operation(operation: &Operation, wanted: Members<'_>) -> Result<Value, OutOfRange> {
    let arguments = match &operation.arguments {
        None => Value::Null,
        Some(arguments) => value::from_object(arguments)?,
    };
    let relation = match &operation.relation {
        None => Value::Null,
        Some(relation) => value::from_document(relation)?,
    };
    let requested = operation.requested.map(crmgate_domain::Kind::as_str);
    Ok(object(
        wanted,
        [
            ("kind", &|| operation.kind.as_str().into()),
            ("requested", &|| text(requested)),
            ("point", &|| operation.point.as_str().into()),
            ("id", &|| operation.id.to_string().into()),
            ("at", &|| operation.at.to_string().into()),
            ("batch", &|| batch(operation)),
            ("name", &|| text(operation.name.as_deref())),
            ("arguments", &|| arguments.clone()),
            ("relation", &|| relation.clone()),
        ],
    ))
}

fn batch(operation: &Operation) -> Value {
    let Some(batch) = &operation.batch else {
        return Value::Null;
    };
    value::object([
        ("id".into(), batch.id.as_str().into()),
        ("index".into(), batch.index.into()),
        ("size".into(), batch.size.into()),
        ("atomic".into(), batch.atomic.into()),
    ])
}

fn connection(operation: &Operation, wanted: Members<'_>) -> Value {
    let connection = &operation.connection;
    object(
        wanted,
        [
            ("name", &|| connection.name.as_str().into()),
            ("system", &|| connection.system.as_str().into()),
            ("org", &|| text(connection.org.as_deref())),
        ],
    )
}

fn actor(actor: &Actor, wanted: Members<'_>) -> Value {
    object(
        wanted,
        [
            ("id", &|| actor.id.as_str().into()),
            ("username", &|| text(actor.username.as_deref())),
            ("email", &|| text(actor.email.as_deref())),
            ("roles", &|| texts(&actor.roles)),
            ("groups", &|| texts(&actor.groups)),
            ("scopes", &|| {
                actor.scopes.as_deref().map_or(Value::Null, texts)
            }),
            ("client", &|| text(actor.client.as_deref())),
            ("on_behalf_of", &|| text(actor.on_behalf_of.as_deref())),
        ],
    )
}

fn of_request(request: &RequestInfo, wanted: Members<'_>) -> Value {
    let map = |map: &BTreeMap<String, String>| {
        value::object(
            map.iter()
                .map(|(key, value)| (key.as_str().into(), value.as_str().into())),
        )
    };
    object(
        wanted,
        [
            ("method", &|| request.method.as_str().into()),
            ("resource", &|| request.resource.as_str().into()),
            ("path_parameters", &|| map(&request.path_parameters)),
            ("query_parameters", &|| map(&request.query_parameters)),
        ],
    )
}

fn text(text: Option<&str>) -> Value {
    text.map_or(Value::Null, Value::from)
}

fn texts(texts: &[String]) -> Value {
    let texts: Vec<Value> = texts.iter().map(|text| text.as_str().into()).collect();
    Value::from(texts)
}
