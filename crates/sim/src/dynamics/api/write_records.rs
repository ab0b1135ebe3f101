//! Writing: creates, updates, upserts, deletions, single properties and references.

use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Map, Value};

use super::super::actions;
use super::super::address::{RowKey, Segment, row_key};
use super::super::error::{ApiError, Outcome};
use super::super::schema::{Nav, Table};
use super::super::store::Row;
use super::super::write::{Condition, Payload, Upserted, Work};
use super::{NAMESPACE, Reply, Request, Surroundings, bulk};

/// Answers a change to records.
pub(super) fn change(
    request: &Request<'_>,
    work: &mut Work<'_>,
    surroundings: &Surroundings<'_>,
) -> Outcome<Reply> {
    let Some((first, rest)) = request.segments.split_first() else {
        return Err(ApiError::method(&request.call.method));
    };
    let table = work
        .store
        .schema()
        .set(&first.name)
        .cloned()
        .ok_or_else(|| ApiError::no_segment(&first.name))?;
    let Some(arguments) = &first.arguments else {
        return on_set(request, work, (&table, rest), surroundings);
    };
    let key = row_key(&table, arguments)?;
    match (rest, &request.call.method) {
        ([], &Method::PATCH) => upsert(request, work, (&table, &key), surroundings),
        ([], &Method::DELETE) => {
            let id = key.require(work.store, &table)?.id;
            work.delete(&table, id, &request.condition())?;
            Ok(Reply::nothing())
        }
        ([], method) => Err(ApiError::method(method)),
        ([next, ..], &Method::POST) if next.name.starts_with(NAMESPACE) => {
            let id = key.require(work.store, &table)?.id;
            actions::bound(request, work, (&table, id), &next.name)
        }
        ([next, rest @ ..], _) => {
            let id = key.require(work.store, &table)?.id;
            below(
                request,
                work,
                &Below {
                    table: &table,
                    id,
                    next,
                    rest,
                },
                surroundings,
            )
        }
    }
}

fn on_set(
    request: &Request<'_>,
    work: &mut Work<'_>,
    (table, rest): (&Arc<Table>, &[Segment]),
    surroundings: &Surroundings<'_>,
) -> Outcome<Reply> {
    match (rest, &request.call.method) {
        ([], &Method::POST) => {
            let payload = Payload::read(table, request.object(&table.set)?)?;
            let row = work.create(table, payload)?;
            created(request, work, (table, &row), surroundings)
        }
        ([next], &Method::POST) if next.name.starts_with(NAMESPACE) => {
            let name = next.name.trim_start_matches(NAMESPACE);
            bulk::change(request, work, (table, name), surroundings)
        }
        ([], method) => Err(ApiError::method(method)),
        ([next, ..], _) => Err(ApiError::no_segment(&next.name)),
    }
}

/// The answer to a create.
fn created(
    request: &Request<'_>,
    work: &Work<'_>,
    (table, row): (&Arc<Table>, &Arc<Row>),
    surroundings: &Surroundings<'_>,
) -> Outcome<Reply> {
    let address = format!("{}/{}({})", request.service, table.set, row.id);
    if request.prefer.representation {
        let reply = representation(request, work, (table, row), surroundings)?;
        return Ok(reply
            .status(StatusCode::CREATED)
            .header("location", address.clone())
            .header("odata-entityid", address));
    }
    Ok(Reply::nothing()
        .header("location", address.clone())
        .header("odata-entityid", address))
}

/// The record as it is now.
fn representation(
    request: &Request<'_>,
    work: &Work<'_>,
    (table, row): (&Arc<Table>, &Arc<Row>),
    surroundings: &Surroundings<'_>,
) -> Outcome<Reply> {
    let reader = request.reader(work.store, work.caller, surroundings);
    // What was made along with the record may have changed it once more.
    let row = work.store.existing(&table.name, row.id)?;
    let answer = reader.single(table, row, &request.options)?;
    Ok(Reply::json(answer)
        .header("preference-applied", "return=representation")
        .header("etag", row.etag()))
}

fn upsert(
    request: &Request<'_>,
    work: &mut Work<'_>,
    (table, key): (&Arc<Table>, &RowKey),
    surroundings: &Surroundings<'_>,
) -> Outcome<Reply> {
    let payload = Payload::read(table, request.object(&table.set)?)?;
    let (row, status) = match work.upsert(table, key, payload, &request.condition())? {
        Upserted::Created(row) => (row, StatusCode::CREATED),
        Upserted::Updated(row) => (row, StatusCode::OK),
    };
    if request.prefer.representation {
        let reply = representation(request, work, (table, &row), surroundings)?;
        return Ok(reply.status(status));
    }
    // By a key, the answer names the record by that key, as it stood in the address.
    let name = match key {
        RowKey::Id(id) => id.to_string(),
        RowKey::Key { .. } => request
            .segments
            .first()
            .and_then(|segment| segment.arguments.as_ref())
            .map(|arguments| {
                let parts: Vec<String> = arguments
                    .iter()
                    .map(|one| format!("{}={}", one.name.as_deref().unwrap_or_default(), one.value))
                    .collect();
                parts.join(",")
            })
            .unwrap_or_default(),
    };
    let address = format!("{}/{}({name})", request.service, table.set);
    Ok(Reply::nothing().header("odata-entityid", encoded(&address)))
}

/// Letters beyond ASCII escaped, so that the address can stand in a header.
fn encoded(address: &str) -> String {
    const HELD: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS.add(b' ');
    percent_encoding::utf8_percent_encode(address, HELD).to_string()
}

/// What lies below a record's address.
struct Below<'a> {
    table: &'a Arc<Table>,
    id: uuid::Uuid,
    next: &'a Segment,
    rest: &'a [Segment],
}

fn below(
    request: &Request<'_>,
    work: &mut Work<'_>,
    below: &Below<'_>,
    surroundings: &Surroundings<'_>,
) -> Outcome<Reply> {
    let method = &request.call.method;
    let (table, id, name) = (below.table, below.id, below.next.name.as_str());
    let is_ref = matches!(below.rest, [only] if only.plain() == Some("$ref"));
    if let Some(nav) = table.nav(name) {
        let single = matches!(nav, Nav::One { .. });
        return match (method, is_ref, below.rest.is_empty()) {
            (&Method::POST, true, _) if !single => {
                let text = reference_in(request, table)?;
                work.associate(table, id, name, &text)?;
                Ok(Reply::nothing())
            }
            (&Method::PUT, true, _) if single => {
                let text = reference_in(request, table)?;
                work.associate(table, id, name, &text)?;
                Ok(Reply::nothing())
            }
            (&Method::DELETE, true, _) => {
                let text = untied(request, work, below)?;
                work.disassociate(table, id, name, text.as_deref())?;
                Ok(Reply::nothing())
            }
            (&Method::POST, false, true) if !single => {
                let row = Arc::clone(work.store.existing(&table.name, id)?);
                let (other, made) =
                    work.create_in(table, &row, name, request.object(&table.set)?)?;
                created(request, work, (&other, &made), surroundings)
            }
            _ => Err(ApiError::method(method)),
        };
    }
    property(request, work, below)
}

/// `PUT` and `DELETE` of a single property.
fn property(request: &Request<'_>, work: &mut Work<'_>, below: &Below<'_>) -> Outcome<Reply> {
    let (table, name) = (below.table, below.next.name.as_str());
    let known = table.column(name).is_some_and(|column| !column.is_lookup());
    if !known || below.next.arguments.is_some() || !below.rest.is_empty() {
        return Err(ApiError::no_segment(name));
    }
    let value = match request.call.method {
        Method::PUT => {
            let body = request.object(&table.set)?;
            body.get("value").cloned().ok_or_else(|| {
                ApiError::payload(&table.set, "The body of a property must hold its 'value'.")
            })?
        }
        Method::DELETE => Value::Null,
        ref method => return Err(ApiError::method(method)),
    };
    let mut body = Map::new();
    body.insert(name.to_owned(), value);
    let payload = Payload::read(table, body)?;
    let condition = Condition {
        absent: false,
        ..request.condition()
    };
    work.update(table, below.id, payload, &condition)?;
    Ok(Reply::nothing())
}

fn reference_in(request: &Request<'_>, table: &Table) -> Outcome<String> {
    let body = request.object(&table.set)?;
    match body.get("@odata.id") {
        Some(Value::String(text)) => Ok(text.clone()),
        _ => Err(ApiError::payload(
            &table.set,
            "The body of a reference must hold its '@odata.id'.",
        )),
    }
}

/// The record that is to be untied: by `$id`, or by the key in `nav(key)/$ref`.
fn untied(request: &Request<'_>, work: &Work<'_>, below: &Below<'_>) -> Outcome<Option<String>> {
    if let Some(text) = &request.options.id {
        return Ok(Some(text.clone()));
    }
    let Some(arguments) = &below.next.arguments else {
        return Ok(None);
    };
    let other = match below.table.nav(&below.next.name) {
        Some(Nav::Many(relation)) => &relation.from,
        Some(Nav::Linked(link)) => link.other(&below.table.name),
        Some(Nav::One { .. }) | None => return Ok(None),
    };
    let other = work.store.table(other)?;
    let id = row_key(other, arguments)?.require(work.store, other)?.id;
    Ok(Some(format!("{}({id})", other.set)))
}
