//! What must hold of a record before it is saved.

use http::StatusCode;

use super::Writer;
use crate::salesforce::error::ApiError;
use crate::salesforce::schema::{ObjectIx, ObjectType};
use crate::salesforce::soql::{Scope, holds};
use crate::salesforce::store::{Row, Store};

pub(super) fn required(kind: &ObjectType, row: &Row) -> Result<(), ApiError> {
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

pub(super) fn rules(
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

pub(super) fn unique(
    store: &Store,
    object: ObjectIx,
    kind: &ObjectType,
    row: &Row,
) -> Result<(), ApiError> {
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
