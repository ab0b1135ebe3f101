//! What a body wants written, read field by field.

use serde_json::{Map, Value};

use super::{Change, Writer};
use crate::salesforce::cell::Cell;
use crate::salesforce::coerce::coerce;
use crate::salesforce::error::ApiError;
use crate::salesforce::id::RecordId;
use crate::salesforce::schema::{Field, Kind, ObjectIx, ObjectType};
use crate::salesforce::store::Store;

pub(super) fn read_body(
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
