//! The policy input (`policies/schema/input.schema.json`), read back. What it leaves out is null.

use std::collections::BTreeMap;

use crmgate_domain::operation::{BatchInfo, RequestInfo};
use crmgate_domain::{
    Actor, Change, ConnectionName, ConnectionRef, Document, Kind, Object, Operation, Point,
    Timestamp, Views,
};
use crmgate_policy::{JudgeOptions, Ungoverned};
use serde::Deserialize;

use super::{Given, Missing, connection_of, id, plain, system_of};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    operation: OperationPart,
    #[serde(default)]
    connection: ConnectionPart,
    object: Option<String>,
    native_object: Option<String>,
    id: Option<String>,
    #[serde(default)]
    actor: ActorPart,
    request: Option<RequestInfo>,
    purpose: Option<String>,
    record: Option<Object>,
    native: Option<Object>,
    before: Option<Object>,
    native_before: Option<Object>,
    changes: Option<BTreeMap<String, Change>>,
    related: Option<Object>,
    #[serde(default)]
    approvals: Vec<Document>,
    #[serde(default)]
    exceptions: Vec<Document>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OperationPart {
    kind: Kind,
    requested: Option<Kind>,
    point: Option<Point>,
    #[serde(rename = "id")]
    _id: Option<String>,
    at: Option<Timestamp>,
    batch: Option<BatchInfo>,
    name: Option<String>,
    arguments: Option<Object>,
    relation: Option<Document>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConnectionPart {
    name: Option<ConnectionName>,
    system: Option<String>,
    org: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ActorPart {
    id: Option<String>,
    username: Option<String>,
    email: Option<String>,
    roles: Vec<String>,
    groups: Vec<String>,
    scopes: Option<Vec<String>>,
    client: Option<String>,
    on_behalf_of: Option<String>,
}

/// Reads it.
pub(super) fn read(name: &str, text: &str, missing: &Missing<'_>) -> Result<Given, String> {
    let input: Input = yaml_serde::from_str(text).map_err(|error| error.to_string())?;
    let system = system_of(missing, input.connection.system.as_deref());
    let connection = connection_of(input.connection.name.as_ref(), system)
        .ok_or("`connection.name` is missing")?;
    let object = (input.object.clone().or_else(|| input.native_object.clone()))
        .ok_or("`object` is missing")?;
    let point = input.operation.point.unwrap_or(Point::Gateway);
    let at = input.operation.at.unwrap_or(missing.at);
    let options = JudgeOptions {
        ungoverned: Ungoverned::Deny,
        approvals: input.approvals.clone(),
        exceptions: input.exceptions.clone(),
        time_limit: crate::explained::TIME_LIMIT,
        ..JudgeOptions::at(point)
    };
    let actor = input.actor;
    let operation = Operation {
        id: id(at),
        kind: input.operation.kind,
        requested: input.operation.requested,
        point,
        at,
        connection: ConnectionRef {
            name: connection,
            system: (input.connection.system)
                .or_else(|| system.map(|it| it.name.clone()))
                .unwrap_or_default(),
            org: input.connection.org,
        },
        native_object: input.native_object.unwrap_or_else(|| object.clone()),
        object,
        record_id: input.id,
        actor: Actor {
            id: actor.id.unwrap_or_default(),
            username: actor.username,
            email: actor.email,
            roles: actor.roles,
            groups: actor.groups,
            scopes: actor.scopes,
            client: actor.client,
            on_behalf_of: actor.on_behalf_of,
        },
        request: input.request,
        purpose: input.purpose,
        batch: input.operation.batch,
        name: input.operation.name,
        arguments: input.operation.arguments,
        relation: input.operation.relation,
    };
    let gone = operation.kind == Kind::Delete;
    let changes = match input.changes {
        Some(changes) => changes,
        None => differences(input.before.as_ref(), input.record.as_ref()),
    };
    let views = Views {
        native: input.native.or_else(|| (!gone).then(Object::new)),
        record: input.record.or_else(|| (!gone).then(Object::new)),
        before: input.before,
        native_before: input.native_before,
        changes,
        related: input.related.unwrap_or_default(),
        ..Views::default()
    };
    Ok(Given {
        name: name.to_owned(),
        operation,
        candidate: plain(views),
        options,
        params: Object::new(),
        notes: Vec::new(),
    })
}

/// The changes that an input without any implies.
fn differences(before: Option<&Object>, after: Option<&Object>) -> BTreeMap<String, Change> {
    let mut changes = BTreeMap::new();
    for (name, to) in after.into_iter().flat_map(Object::iter) {
        let from = before.and_then(|before| before.get(name));
        if from != Some(to) {
            let change = Change {
                from: from.cloned(),
                to: to.clone(),
            };
            changes.insert(name.to_owned(), change);
        }
    }
    changes
}
