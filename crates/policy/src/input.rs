//! The input document that policies see (`policies/schema/input.schema.json`).

use std::collections::BTreeMap;

use crmgate_domain::{Actor, Change, Document, Object, Operation, RequestInfo, Views};
use regorus::Value;

use crate::JudgeOptions;
use crate::looks::{Looks, Members, Part, Table, Wanted};
use crate::value::{self, OutOfRange};

#[cfg(test)]
mod tests;

thread_local! {
    /// The form of a change, and its keys. There are as many as changed fields, and the engine
    /// keeps an object compact whose members are only replaced. One per thread, because threads
    /// that share keys wait for each other.
    static CHANGE: (Value, Value, Value) = {
        let (from, to) = (Value::from("from"), Value::from("to"));
        let form = [from.clone(), to.clone()].map(|key| (key, Value::Null));
        (value::object(form), from, to)
    };
}

fn of_change(from: Value, to: Value) -> Value {
    CHANGE.with(|(form, from_key, to_key)| {
        let mut change = form.clone();
        if let Ok(members) = change.as_object_mut() {
            members.insert(from_key.clone(), from);
            members.insert(to_key.clone(), to);
        }
        change
    })
}

/// The whole input, whoever looks at what.
pub(crate) fn whole(
    operation: &Operation,
    views: &Views,
    options: &JudgeOptions,
) -> Result<Value, OutOfRange> {
    let mut looks = Looks::default();
    looks.everything();
    let table = Table::new([&looks]);
    let wanted = table.wanted([0]);
    Frame::new(operation, options, &wanted)?.input(views, &wanted)
}

/// Everything but the record, which patches change.
pub(crate) struct Frame(Vec<(Part, Value)>);

impl Frame {
    /// What is wanted of an operation.
    pub(crate) fn new(
        operation: &Operation,
        options: &JudgeOptions,
        wanted: &Wanted<'_>,
    ) -> Result<Self, OutOfRange> {
        let mut parts = Vec::new();
        let mut put = |part, make: &dyn Fn(Members<'_>) -> Value| {
            parts.extend(wanted.part(part).map(|members| (part, make(members))));
        };
        put(Part::Connection, &|it| connection(operation, it));
        put(Part::Object, &|_| operation.object.as_str().into());
        put(Part::NativeObject, &|_| {
            operation.native_object.as_str().into()
        });
        put(Part::Id, &|_| text(operation.record_id.as_deref()));
        put(Part::Actor, &|it| actor(&operation.actor, it));
        put(Part::Request, &|it| {
            let request = operation.request.as_ref();
            request.map_or(Value::Null, |request| of_request(request, it))
        });
        put(Part::Purpose, &|_| text(operation.purpose.as_deref()));
        let of_operation = of_operation(operation, wanted.part(Part::Operation))?;
        parts.extend(of_operation.map(|it| (Part::Operation, it)));
        for (part, documents) in [
            (Part::Approvals, &options.approvals),
            (Part::Exceptions, &options.exceptions),
        ] {
            let list = list(documents, wanted.part(part))?;
            parts.extend(list.map(|list| (part, list)));
        }
        Ok(Self(parts))
    }

    /// The whole input, with what is wanted of the record's views.
    pub(crate) fn input(&self, views: &Views, wanted: &Wanted<'_>) -> Result<Value, OutOfRange> {
        let mut parts = self.0.clone();
        for (part, record) in [
            (Part::Record, views.record.as_ref()),
            (Part::Native, views.native.as_ref()),
            (Part::Before, views.before.as_ref()),
            (Part::NativeBefore, views.native_before.as_ref()),
            (Part::Related, Some(&views.related)),
        ] {
            let record = of_record(record, wanted.part(part))?;
            parts.extend(record.map(|record| (part, record)));
        }
        let changes = changes(&views.changes, wanted.part(Part::Changes))?;
        parts.extend(changes.map(|changes| (Part::Changes, changes)));
        Ok(value::object(
            parts.into_iter().map(|(part, it)| (part.name().into(), it)),
        ))
    }
}

/// What is wanted of a record. What is not must still be within the engine's range, so that an
/// answer does not depend on who looks.
fn of_record(
    record: Option<&Object>,
    wanted: Option<Members<'_>>,
) -> Result<Option<Value>, OutOfRange> {
    let Some(record) = record else {
        return Ok(wanted.map(|_| Value::Null));
    };
    let Some(wanted) = wanted.filter(Members::any) else {
        record.iter().try_for_each(|(_, it)| value::in_range(it))?;
        return Ok(wanted.map(|_| Value::new_object()));
    };
    let mut members = Vec::with_capacity(record.len());
    for (name, member) in record.iter() {
        match wanted.key(name) {
            Some(key) => members.push((key, member)),
            None => value::in_range(member)?,
        }
    }
    value::from_members(members).map(Some)
}

fn changes(
    changes: &BTreeMap<String, Change>,
    wanted: Option<Members<'_>>,
) -> Result<Option<Value>, OutOfRange> {
    let mut members = Vec::new();
    for (name, change) in changes {
        let from = change.from.as_ref();
        if let Some(key) = wanted.and_then(|wanted| wanted.key(name)) {
            let from = from.map_or(Ok(Value::Null), value::from_document)?;
            members.push((key, of_change(from, value::from_document(&change.to)?)));
        } else {
            from.map_or(Ok(()), value::in_range)?;
            value::in_range(&change.to)?;
        }
    }
    Ok(wanted.map(|_| value::object(members)))
}

fn list(documents: &[Document], wanted: Option<Members<'_>>) -> Result<Option<Value>, OutOfRange> {
    let values: Result<Vec<Value>, _> = documents.iter().map(value::from_document).collect();
    let values = values?;
    Ok(wanted.map(|_| Value::from(values)))
}

/// An object of the members that are wanted.
fn object<const N: usize>(wanted: Members<'_>, members: [(&str, &dyn Fn() -> Value); N]) -> Value {
    let member = |(name, make): (&str, &dyn Fn() -> Value)| Some((wanted.key(name)?, make()));
    value::object(members.into_iter().filter_map(member))
}

fn of_operation(
    operation: &Operation,
    wanted: Option<Members<'_>>,
) -> Result<Option<Value>, OutOfRange> {
    let arguments = operation.arguments.as_ref();
    let arguments = arguments.map_or(Ok(Value::Null), value::from_object)?;
    let relation = operation.relation.as_ref();
    let relation = relation.map_or(Ok(Value::Null), value::from_document)?;
    let requested = operation.requested.map(crmgate_domain::Kind::as_str);
    let make = |wanted| {
        object(
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
        )
    };
    Ok(wanted.map(make))
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
