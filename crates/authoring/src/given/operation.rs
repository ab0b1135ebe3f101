//! An operation as `validate` takes it. Nothing is read from a CRM: the record is what is given.

use std::collections::BTreeMap;

use crmgate_domain::{
    Actor, Change, ConnectionName, ConnectionRef, FieldRef, Kind, Object, Operation, Point, Views,
};
use crmgate_policy::JudgeOptions;
use crmgate_policy::cases::System;
use serde::Deserialize;

use super::{Given, Missing, id, plain};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    connection: ConnectionName,
    actor: Option<Actor>,
    purpose: Option<String>,
    operation: Canonical,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Canonical {
    kind: Kind,
    object: String,
    id: Option<String>,
    record: Option<Object>,
    /// Beside what `validate` takes: the stored record, which nobody reads here.
    before: Option<Object>,
}

/// Reads it.
pub(super) fn read(name: &str, text: &str, missing: &Missing<'_>) -> Result<Given, String> {
    let request: Request = yaml_serde::from_str(text).map_err(|error| error.to_string())?;
    let asked = request.operation;
    if matches!(asked.kind, Kind::Upsert) {
        return Err(
            "`operation.kind` is upsert, which policies never see: give create or update".into(),
        );
    }
    let (object, native, system) = objects(&asked.object, &request.connection, missing.systems);
    let mut notes = Vec::new();
    if asked.kind != Kind::Create && asked.before.is_none() {
        notes.push(
            "no stored record is read here: `before` and fields that are not given are absent; \
             give them as `operation.before`"
                .to_owned(),
        );
    }
    let operation = Operation {
        id: id(missing.at),
        kind: asked.kind,
        requested: None,
        point: Point::Validate,
        at: missing.at,
        connection: ConnectionRef {
            name: request.connection,
            system: system.to_owned(),
            org: None,
        },
        object,
        native_object: native,
        record_id: asked.id,
        actor: request.actor.unwrap_or_default(),
        request: None,
        purpose: request.purpose,
        batch: None,
        name: None,
        arguments: None,
        relation: None,
    };
    Ok(Given {
        name: name.to_owned(),
        candidate: plain(views(
            asked.kind,
            asked.before.as_ref(),
            asked.record.as_ref(),
        )),
        operation,
        options: JudgeOptions {
            time_limit: crate::explained::TIME_LIMIT,
            ..JudgeOptions::at(Point::Validate)
        },
        params: Object::new(),
        notes,
    })
}

/// The object by its canonical and native names, and the kind of CRM that names it so.
fn objects<'a>(
    object: &str,
    connection: &ConnectionName,
    systems: &'a [System],
) -> (String, String, &'a str) {
    let named = |system: &&System| connection.as_str().contains(&system.name);
    let system = systems.iter().find(named).or_else(|| systems.first());
    let Some(system) = system else {
        return (object.to_owned(), object.to_owned(), "");
    };
    let same = |name: &str| name.eq_ignore_ascii_case(object);
    let known = system.native_objects.iter();
    let mut known = known.filter(|(canonical, native)| same(canonical) || same(native));
    match known.next() {
        Some((canonical, native)) => (canonical.clone(), native.clone(), &system.name),
        None => (object.to_lowercase(), object.to_owned(), &system.name),
    }
}

fn views(kind: Kind, before: Option<&Object>, given: Option<&Object>) -> Views {
    let (mut record, mut native) = split(before);
    let (stored, stored_native) = (record.clone(), native.clone());
    let mut changes = BTreeMap::new();
    for (name, to) in given.into_iter().flat_map(Object::iter) {
        let field = FieldRef(name.to_owned());
        let (view, stored, plain) = match field.native() {
            Some(plain) => (&mut native, &stored_native, plain),
            None => (&mut record, &stored, name),
        };
        view.set(plain, to.clone());
        let from = stored.get(plain);
        if from != Some(to) {
            let change = Change {
                from: from.cloned(),
                to: to.clone(),
            };
            changes.insert(name.to_owned(), change);
        }
    }
    let gone = kind == Kind::Delete;
    Views {
        record: (!gone).then_some(record),
        native: (!gone).then_some(native),
        before: before.map(|_| stored),
        native_before: before.map(|_| stored_native),
        changes: if gone { BTreeMap::new() } else { changes },
        ..Views::default()
    }
}

/// Fields by canonical name, and those named `native.X`.
fn split(fields: Option<&Object>) -> (Object, Object) {
    let (mut canonical, mut native) = (Object::new(), Object::new());
    for (name, value) in fields.into_iter().flat_map(Object::iter) {
        match name.strip_prefix("native.") {
            Some(name) => native.set(name, value.clone()),
            None => canonical.set(name, value.clone()),
        }
    }
    (canonical, native)
}
