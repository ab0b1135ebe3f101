//! Creates, updates and deletes, with everything that the platform checks before it saves.

use std::collections::HashSet;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::access::Access;
use super::cell::Cell;
use super::coerce::coerce;
use super::derive::{Circumstances, derive};
use super::error::ApiError;
use super::id::RecordId;
use super::schema::{Field, FieldIx, Kind, ObjectIx, ObjectType};
use super::soql::{Scope, holds};
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
    let mut change = read_body(store, writer, object, kind, body, true)?;
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
    let change = read_body(store, writer, object, kind, body, false)?;
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
    required(kind, &row)?;
    rules(store, writer, object, kind, &row)?;
    unique(store, object, kind, &row)?;
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

fn read_body(
    store: &Store,
    writer: &Writer<'_>,
    object: ObjectIx,
    kind: &ObjectType,
    body: &Map<String, Value>,
    creating: bool,
) -> Result<Change, ApiError> {
    let mut change = Change::with_capacity(body.len());
    let mut denied: Vec<&str> = Vec::new();
    for (name, value) in body.iter().filter(|(name, _)| *name != "attributes") {
        let found = kind
            .find(name)
            .filter(|(ix, _)| writer.access.sees(object, *ix));
        let related = || {
            kind.find_relationship(name)
                .filter(|(ix, _)| writer.access.sees(object, *ix))
        };
        let (ix, field, nested) = match found {
            Some((ix, field)) => (ix, field, false),
            None => related()
                .map(|(ix, field)| (ix, field, true))
                .ok_or_else(|| ApiError::no_column(name, &kind.name))?,
        };
        if writer.key == Some(ix) || field.kind == Kind::Id {
            let message = format!(
                "The {} field should not be specified in the sobject data.",
                field.name
            );
            return Err(ApiError::fields(
                "INVALID_FIELD",
                message,
                [field.name.as_str()],
            ));
        }
        let open = if creating {
            field.createable
        } else {
            field.updateable
        };
        if !open || !writer.access.edits(object, ix) {
            denied.push(&field.name);
            continue;
        }
        if change
            .iter()
            .any(|(before, _)| *before == ix && field.kind == Kind::Reference)
        {
            let relationship = field.relationship.as_deref().unwrap_or_default();
            let message = format!(
                "Cannot specify both an external ID reference {relationship} and a salesforce id, {}",
                field.name
            );
            return Err(ApiError::fields(
                "INVALID_FIELD",
                message,
                [field.name.as_str()],
            ));
        }
        let cell = if nested {
            by_key(store, writer, field, value)?
        } else {
            coerce(store.schema(), field, value)?
        };
        check_reference(store, field, &cell)?;
        change.push((ix, cell));
    }
    if !denied.is_empty() {
        let message = format!(
            "Unable to create/update fields: {}. Please check the security settings of this field and verify that it is read/write for your profile or permission set.",
            denied.join(", ")
        );
        return Err(ApiError::fields(
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            message,
            denied,
        ));
    }
    Ok(change)
}

/// `"Account": {"Ext_Id__c": "X"}`: a lookup by the other record's own key.
fn by_key(
    store: &Store,
    writer: &Writer<'_>,
    field: &Field,
    value: &Value,
) -> Result<Cell, ApiError> {
    let Value::Object(keys) = value else {
        return if value.is_null() {
            Ok(Cell::Null)
        } else {
            coerce(store.schema(), field, value)
        };
    };
    let named = keys
        .get("attributes")
        .and_then(|attributes| attributes.get("type"))
        .and_then(Value::as_str);
    let target = match (named, field.reference_to.as_slice()) {
        (None, [only]) => only.as_str(),
        (Some(name), allowed) if allowed.iter().any(|one| one.eq_ignore_ascii_case(name)) => name,
        _ => {
            let message = format!(
                "The type of {} must be one of {}",
                field.name,
                field.reference_to.join(", ")
            );
            return Err(ApiError::fields(
                "INVALID_FIELD",
                message,
                [field.name.as_str()],
            ));
        }
    };
    let (object, kind) = store
        .schema()
        .find(target)
        .ok_or_else(ApiError::not_found)?;
    let mut pairs = keys.iter().filter(|(name, _)| *name != "attributes");
    let (Some((name, value)), None) = (pairs.next(), pairs.next()) else {
        let message = format!(
            "More than 1 field provided in an external foreign key reference in entity: {}",
            kind.name
        );
        return Err(ApiError::bad("INVALID_FIELD", message));
    };
    let key = kind
        .find(name)
        .filter(|(ix, _)| writer.access.sees(object, *ix));
    let (ix, key) = key.ok_or_else(|| ApiError::no_column(name, &kind.name))?;
    if !key.indexed() {
        let message = format!(
            "Field name provided, {name} does not match an External ID, Salesforce Id, or indexed field for {}",
            kind.name
        );
        return Err(ApiError::bad("INVALID_FIELD", message));
    }
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), |text| text.trim().to_owned());
    let found = match key.kind {
        Kind::Id => RecordId::parse(&text)
            .filter(|id| store.row(object, *id).is_some())
            .into_iter()
            .collect(),
        _ => store.find(object, ix, &text).unwrap_or_default().to_vec(),
    };
    match found.as_slice() {
        [one] => Ok(Cell::Ref(*one)),
        [] => {
            let message = format!(
                "Foreign key external ID: {text} not found for field {} in entity {}",
                key.name, kind.name
            );
            Err(ApiError::bad("INVALID_FIELD", message))
        }
        many => {
            let message = format!(
                "{}: more than one record found for external id field: {many:?}",
                key.label
            );
            Err(ApiError::bad("DUPLICATE_EXTERNAL_ID", message))
        }
    }
}

fn check_reference(store: &Store, field: &Field, cell: &Cell) -> Result<(), ApiError> {
    let Cell::Ref(id) = cell else { return Ok(()) };
    let Some((object, kind)) = store.schema().object_of(*id) else {
        return Ok(());
    };
    let Some(row) = store.any_row(object, *id) else {
        return Err(ApiError::fields(
            "INVALID_CROSS_REFERENCE_KEY",
            "invalid cross reference id",
            [],
        ));
    };
    if row.deleted {
        return Err(ApiError::fields(
            "ENTITY_IS_DELETED",
            "entity is deleted",
            [],
        ));
    }
    if field.name == "OwnerId" && *row.named(kind, "IsActive") == Cell::Bool(false) {
        let message = format!(
            "operation performed with inactive user [{}] as owner of record",
            id.short()
        );
        return Err(ApiError::fields(
            "INACTIVE_OWNER_OR_USER",
            message,
            ["OwnerId"],
        ));
    }
    Ok(())
}

fn required(kind: &ObjectType, row: &Row) -> Result<(), ApiError> {
    let missing = kind
        .fields
        .iter()
        .enumerate()
        .filter(|(ix, field)| field.required && row.cell(*ix).is_null());
    let missing: Vec<&str> = missing.map(|(_, field)| field.name.as_str()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("Required fields are missing: [{}]", missing.join(", "));
    Err(ApiError::fields("REQUIRED_FIELD_MISSING", message, missing))
}

fn rules(
    store: &Store,
    writer: &Writer<'_>,
    object: ObjectIx,
    kind: &ObjectType,
    row: &Row,
) -> Result<(), ApiError> {
    if kind.rules.is_empty() {
        return Ok(());
    }
    let schema = store.schema();
    let scope = Scope {
        schema,
        store,
        access: writer.full,
        now: writer.now,
    };
    let mut broken = Vec::new();
    for rule in &kind.rules {
        if holds(&scope, object, row, &rule.when)
            .map_err(|error| ApiError::bad(error.code, error.message))?
        {
            let fields = rule.field.as_deref();
            broken.extend(
                ApiError::fields("FIELD_CUSTOM_VALIDATION_EXCEPTION", &rule.message, fields)
                    .reasons,
            );
        }
    }
    if broken.is_empty() {
        Ok(())
    } else {
        Err(ApiError {
            status: StatusCode::BAD_REQUEST,
            reasons: broken,
        })
    }
}

fn unique(store: &Store, object: ObjectIx, kind: &ObjectType, row: &Row) -> Result<(), ApiError> {
    for (ix, field) in kind
        .fields
        .iter()
        .enumerate()
        .filter(|(_, field)| field.unique)
    {
        let Some(text) = row.cell(ix).as_text() else {
            continue;
        };
        let others = store.find(object, ix, text).unwrap_or_default();
        if let Some(other) = others.iter().find(|id| **id != row.id) {
            let message = format!(
                "duplicate value found: {} duplicates value on record with id: {}",
                field.name,
                other.short()
            );
            return Err(ApiError::fields("DUPLICATE_VALUE", message, []));
        }
    }
    Ok(())
}
