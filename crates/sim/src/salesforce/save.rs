//! Creates, updates and deletes, with everything that the platform checks before it saves.

mod body;
mod checks;

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::access::Access;
use super::cell::Cell;
use super::coerce::coerce;
use super::derive::{Circumstances, derive};
use super::error::ApiError;
use super::id::RecordId;
use super::schema::{Field, FieldIx, Kind, ObjectIx, ObjectType};
use super::store::{Row, Store};

/// Who writes, and when.
#[derive(Clone, Copy)]
pub(crate) struct Writer<'a> {
    pub(crate) user: RecordId,
    pub(crate) access: &'a Access,
    /// What validation rules see: every field, whatever the user sees.
    pub(crate) full: &'a Access,
    pub(crate) now: Timestamp,
    /// The field that an upsert's address names, which the body must not repeat.
    pub(crate) key: Option<FieldIx>,
}

/// What a body wants written.
type Change = Vec<(FieldIx, Cell)>;

/// Creates a record.
pub(crate) fn create(
    store: &mut Store,
    writer: &Writer<'_>,
    object: ObjectIx,
    body: &Map<String, Value>,
    key: Option<(FieldIx, Cell)>,
) -> Result<RecordId, ApiError> {
    let schema = store.schema_handle();
    let kind = schema.object(object).ok_or_else(ApiError::not_found)?;
    if !writer.access.verbs(object).create {
        return Err(ApiError::no_access());
    }
    let mut change = body::read_body(store, writer, object, kind, body, true)?;
    change.extend(key);
    let (id, number) = store.next_id(object).ok_or_else(ApiError::not_found)?;
    let mut row = Row {
        id,
        cells: vec![Cell::Null; kind.fields.len()],
        deleted: false,
        version: 0,
    };
    for (ix, field) in kind.fields.iter().enumerate() {
        row.put(ix, default(store, writer, field)?);
    }
    let seconds = writer.now.as_second();
    for (name, cell) in [
        ("Id", Cell::Ref(id)),
        ("CreatedDate", Cell::Moment(seconds)),
        ("CreatedById", Cell::Ref(writer.user)),
    ] {
        put_named(kind, &mut row, name, cell);
    }
    finish(
        store,
        writer,
        object,
        kind,
        Draft {
            row,
            before: None,
            change,
            number: Some(number),
        },
    )?;
    Ok(id)
}

/// Changes a record.
pub(crate) fn update(
    store: &mut Store,
    writer: &Writer<'_>,
    object: ObjectIx,
    id: RecordId,
    body: &Map<String, Value>,
) -> Result<(), ApiError> {
    let schema = store.schema_handle();
    let kind = schema.object(object).ok_or_else(ApiError::not_found)?;
    let before = live(store, object, id)?.clone();
    if !writer.access.verbs(object).update {
        return Err(ApiError::no_access());
    }
    let change = body::read_body(store, writer, object, kind, body, false)?;
    let draft = Draft {
        row: before.clone(),
        before: Some(before),
        change,
        number: None,
    };
    finish(store, writer, object, kind, draft)
}

/// Moves a record, and what belongs to it, to the recycle bin.
pub(crate) fn delete(
    store: &mut Store,
    writer: &Writer<'_>,
    object: ObjectIx,
    id: RecordId,
) -> Result<(), ApiError> {
    let schema = store.schema_handle();
    let kind = schema.object(object).ok_or_else(ApiError::not_found)?;
    live(store, object, id)?;
    if !kind.verbs.delete {
        return Err(ApiError::method("DELETE", "HEAD,GET,PATCH"));
    }
    if !writer.access.verbs(object).delete {
        return Err(ApiError::no_access());
    }
    let mut waiting = vec![(object, id)];
    while let Some((object, id)) = waiting.pop() {
        let Some(kind) = schema.object(object) else {
            continue;
        };
        for child in kind.children.iter().filter(|child| child.cascade) {
            let children = store
                .children(child.object, child.field, id)
                .unwrap_or_default();
            waiting.extend(children.into_iter().map(|id| (child.object, id)));
        }
        if let Some(row) = store.row(object, id).cloned() {
            let mut row = Row {
                deleted: true,
                ..row
            };
            put_named(kind, &mut row, "IsDeleted", Cell::Bool(true));
            stamp(kind, &mut row, writer);
            store.put(object, row);
        }
    }
    Ok(())
}

/// The record, or why there is none.
pub(crate) fn live(store: &Store, object: ObjectIx, id: RecordId) -> Result<&Row, ApiError> {
    match store.any_row(object, id) {
        Some(row) if row.deleted => Err(ApiError::deleted()),
        Some(row) => Ok(row),
        None => Err(ApiError::not_found()),
    }
}

/// A record on its way to being saved.
struct Draft {
    row: Row,
    before: Option<Row>,
    change: Change,
    number: Option<u64>,
}

fn finish(
    store: &mut Store,
    writer: &Writer<'_>,
    object: ObjectIx,
    kind: &ObjectType,
    draft: Draft,
) -> Result<(), ApiError> {
    let Draft {
        mut row,
        before,
        change,
        number,
    } = draft;
    let written: HashSet<FieldIx> = change.iter().map(|(ix, _)| *ix).collect();
    for (ix, cell) in change {
        row.put(ix, cell);
    }
    let now = writer.now.as_second();
    let around = Circumstances {
        before: before.as_ref(),
        written: &written,
        number,
        now,
        store,
    };
    derive(kind, &mut row, &around);
    stamp(kind, &mut row, writer);
    checks::required(kind, &row)?;
    checks::rules(store, writer, object, kind, &row)?;
    checks::unique(store, object, kind, &row)?;
    store.put(object, row);
    Ok(())
}

fn stamp(kind: &ObjectType, row: &mut Row, writer: &Writer<'_>) {
    let now = Cell::Moment(writer.now.as_second());
    put_named(kind, row, "LastModifiedDate", now.clone());
    put_named(kind, row, "SystemModstamp", now);
    put_named(kind, row, "LastModifiedById", Cell::Ref(writer.user));
}

/// Sets a field by its exact name.
pub(crate) fn put_named(kind: &ObjectType, row: &mut Row, name: &str, cell: Cell) {
    if let Some((ix, _)) = kind.find(name) {
        row.put(ix, cell);
    }
}

fn default(store: &Store, writer: &Writer<'_>, field: &Field) -> Result<Cell, ApiError> {
    if let Some(default) = &field.default {
        return coerce(store.schema(), field, default);
    }
    if let Some(value) = field.values.iter().find(|value| value.default) {
        return Ok(Cell::text(&value.value));
    }
    Ok(match field.kind {
        Kind::Boolean => Cell::Bool(false),
        Kind::Reference if field.name == "OwnerId" => Cell::Ref(writer.user),
        _ => Cell::Null,
    })
}
