//! Reading: lists, records, their properties and what they lead to.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::super::address::{Segment, row_key};
use super::super::error::{ApiError, Outcome};
use super::super::query::{aggregate, bind::property, fetch};
use super::super::read::{List, Reader, Rows};
use super::super::schema::{Nav, Table};
use super::super::security::Right;
use super::super::store::Row;
use super::{Reply, Request};

/// Answers a read of records.
pub(super) fn get(request: &Request<'_>, reader: &Reader<'_>) -> Outcome<Reply> {
    let Some((first, rest)) = request.segments.split_first() else {
        return Err(ApiError::no_segment(""));
    };
    let table = reader
        .store
        .schema()
        .set(&first.name)
        .ok_or_else(|| ApiError::no_segment(&first.name))?;
    match &first.arguments {
        None => collection(request, reader, (table, Rows::All), rest, &table.set),
        Some(arguments) => {
            let key = row_key(table, arguments)?;
            reader.caller.check(table, Right::Read)?;
            let row = key.require(reader.store, table)?;
            reader.caller.check_row(table, row, Right::Read)?;
            member(request, reader, (table, row), rest)
        }
    }
}

/// A collection, or its count.
fn collection(
    request: &Request<'_>,
    reader: &Reader<'_>,
    (table, rows): (&Arc<Table>, Rows),
    rest: &[Segment],
    address: &str,
) -> Outcome<Reply> {
    let all = matches!(rows, Rows::All);
    let address = format!("{}/{address}", reader.service);
    let list = List {
        table,
        rows,
        options: &request.options,
        address: &address,
    };
    match rest {
        [] => {
            let answer = match (&request.options.fetch, &request.options.apply) {
                (Some(xml), _) if all => fetch::fetch(reader, table, xml)?,
                (None, Some(apply)) if all => {
                    aggregate::apply(reader, table, &request.options, apply)?
                }
                (None, None) => reader.list(&list)?,
                _ => {
                    return Err(ApiError::not_simulated(
                        "Such a query of a related collection",
                    ));
                }
            };
            Ok(applied(request, Reply::json(answer), true))
        }
        [count] if count.plain() == Some("$count") => {
            let count = reader.count(&list)?;
            Ok(Reply::text(count.to_string()))
        }
        [other, ..] => Err(ApiError::no_segment(&other.name)),
    }
}

fn applied(request: &Request<'_>, reply: Reply, paged: bool) -> Reply {
    match request.prefer.applied(paged) {
        Some(applied) => reply.header("preference-applied", applied),
        None => reply,
    }
}

/// A record, or what its address leads on to.
fn member(
    request: &Request<'_>,
    reader: &Reader<'_>,
    (table, row): (&Arc<Table>, &Arc<Row>),
    rest: &[Segment],
) -> Outcome<Reply> {
    let Some((next, rest)) = rest.split_first() else {
        return record(request, reader, (table, row));
    };
    if let Some(nav) = table.nav(&next.name) {
        let through = Through {
            nav,
            segment: next,
            rest,
        };
        return follow(request, reader, (table, row), &through);
    }
    if next.arguments.is_some() || next.name.contains('.') {
        return Err(ApiError::no_segment(&next.name));
    }
    let position = property(table, &next.name).ok_or_else(|| ApiError::no_segment(&next.name))?;
    let column = table
        .columns
        .get(position)
        .filter(|column| reader.caller.sees(column));
    let value = column.map_or(Value::Null, |column| row.at(position).to_json(column));
    match rest {
        [] if value.is_null() => Ok(Reply::nothing()),
        [] => {
            let mut answer = Map::new();
            reader.put_context(
                &mut answer,
                &format!("{}({})/{}", table.set, row.id, next.name),
            );
            answer.insert("value".to_owned(), value);
            Ok(Reply::json(answer))
        }
        [raw] if raw.plain() == Some("$value") => Ok(match value {
            Value::Null => Reply::nothing(),
            Value::String(text) => Reply::text(text),
            other => Reply::text(other.to_string()),
        }),
        [other, ..] => Err(ApiError::no_segment(&other.name)),
    }
}

fn record(
    request: &Request<'_>,
    reader: &Reader<'_>,
    (table, row): (&Arc<Table>, &Arc<Row>),
) -> Outcome<Reply> {
    let etag = row.etag();
    let known = request.call.header("if-none-match");
    let conditional = request.options.is_plain() && request.prefer.annotations.is_empty();
    if conditional && known == Some(etag.as_str()) {
        return Ok(Reply::unchanged().header("etag", etag));
    }
    let answer = reader.single(table, row, &request.options)?;
    Ok(applied(request, Reply::json(answer), false).header("etag", etag))
}

/// A step along a navigation property.
struct Through<'a> {
    nav: &'a Nav,
    segment: &'a Segment,
    rest: &'a [Segment],
}

fn follow(
    request: &Request<'_>,
    reader: &Reader<'_>,
    (table, row): (&Arc<Table>, &Arc<Row>),
    through: &Through<'_>,
) -> Outcome<Reply> {
    let wants_ref = matches!(through.rest, [only] if only.plain() == Some("$ref"));
    match through.nav {
        Nav::One { column, .. } => {
            let Some(to) = row.get(table, column).as_lookup() else {
                return Ok(Reply::nothing());
            };
            let other = reader.store.table(&to.table)?;
            let found = reader.store.existing(&to.table, to.id)?;
            reader.caller.check_row(other, found, Right::Read)?;
            if wants_ref {
                let mut answer = Map::new();
                reader.put_context(&mut answer, "$ref");
                answer.insert("@odata.id".to_owned(), link(reader, other, found));
                return Ok(Reply::json(answer));
            }
            member(request, reader, (other, found), through.rest)
        }
        Nav::Many(_) | Nav::Linked(_) => {
            let name = &through.segment.name;
            let (other, rows) = reader.related(table, row, name)?;
            reader.caller.check(&other, Right::Read)?;
            if let Some(arguments) = &through.segment.arguments {
                let key = row_key(&other, arguments)?;
                let found = key.require(reader.store, &other)?;
                if !rows.iter().any(|one| one.id == found.id) {
                    return Err(ApiError::no_row(&other.name, found.id));
                }
                reader.caller.check_row(&other, found, Right::Read)?;
                return member(request, reader, (&other, found), through.rest);
            }
            if wants_ref {
                let links = rows
                    .iter()
                    .filter(|one| reader.may_see(&other, one))
                    .map(|one| {
                        let mut item = Map::new();
                        item.insert("@odata.id".to_owned(), link(reader, &other, one));
                        Value::Object(item)
                    })
                    .collect();
                let mut answer = Map::new();
                reader.put_context(&mut answer, "Collection($ref)");
                answer.insert("value".to_owned(), Value::Array(links));
                return Ok(Reply::json(answer));
            }
            let address = format!("{}({})/{name}", table.set, row.id);
            collection(
                request,
                reader,
                (&other, Rows::These(rows)),
                through.rest,
                &address,
            )
        }
    }
}

fn link(reader: &Reader<'_>, table: &Table, row: &Row) -> Value {
    Value::String(format!("{}/{}({})", reader.service, table.set, row.id))
}
