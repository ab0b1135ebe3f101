//! `/sobjects/{Object}/{Field}/{value}`: records by a key of their own.

use http::{Method, StatusCode};
use serde_json::Value;

use super::{ROW_METHODS, by_id, created, delete, read, touched, update};
use crate::salesforce::coerce::coerce;
use crate::salesforce::error::ApiError;
use crate::salesforce::id::RecordId;
use crate::salesforce::reply::Reply;
use crate::salesforce::rest::{Rest, saved};
use crate::salesforce::save;
use crate::salesforce::schema::{Field, FieldIx, Kind, ObjectIx, ObjectType};
use crate::salesforce::store::Store;

/// What a key leads to.
pub(in crate::salesforce) enum Found {
    None,
    One(RecordId),
    Many(Vec<RecordId>),
}

pub(super) fn answer(
    rest: &Rest<'_>,
    object: ObjectIx,
    kind: &ObjectType,
    name: &str,
    value: &str,
) -> Result<Reply, ApiError> {
    let key = kind
        .find(name)
        .filter(|(ix, field)| field.indexed() && rest.caller.access.sees(object, *ix));
    let Some((ix, field)) = key else {
        let message =
            format!("Provided external ID field does not exist or is not accessible: {name}");
        return Err(ApiError::new(StatusCode::NOT_FOUND, "NOT_FOUND", message));
    };
    if field.kind == Kind::Id {
        return by_own_id(rest, object, kind, value);
    }
    match rest.method {
        Method::GET => {
            let store = rest.org.read();
            match find(&store, object, ix, value) {
                Found::One(id) => read(rest, &store, object, kind, id),
                Found::None => Err(ApiError::not_found()),
                Found::Many(ids) => Ok(choices(rest, kind, &ids)),
            }
        }
        Method::PATCH => upsert(rest, object, kind, (ix, field), value),
        Method::DELETE => {
            let found = find(&rest.org.read(), object, ix, value);
            match found {
                Found::One(id) => delete(rest, object, kind, id),
                Found::None => Err(ApiError::not_found()),
                Found::Many(ids) => Ok(choices(rest, kind, &ids)),
            }
        }
        _ => Err(ApiError::method(rest.method.as_str(), ROW_METHODS)),
    }
}

/// `…/Id/{id}`: an upsert by identifier can only update.
fn by_own_id(
    rest: &Rest<'_>,
    object: ObjectIx,
    kind: &ObjectType,
    text: &str,
) -> Result<Reply, ApiError> {
    if rest.method != Method::PATCH {
        return by_id(rest, object, kind, text);
    }
    let id = super::read_id(kind, text)?;
    update(rest, object, kind, id, None)?;
    Ok(updated(rest, id))
}

pub(in crate::salesforce) fn find(
    store: &Store,
    object: ObjectIx,
    field: FieldIx,
    value: &str,
) -> Found {
    match store.find(object, field, value.trim()).unwrap_or_default() {
        [] => Found::None,
        [one] => Found::One(*one),
        many => Found::Many(many.to_vec()),
    }
}

fn upsert(
    rest: &Rest<'_>,
    object: ObjectIx,
    kind: &ObjectType,
    (ix, field): (FieldIx, &Field),
    value: &str,
) -> Result<Reply, ApiError> {
    let update_only = rest
        .parameter("updateOnly")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    // Found and written under one lock, so that two upserts of one key can't both create.
    let body = rest.body()?;
    rest.struck(rest.index, value, || Value::Object(body.clone()))?;
    let writer = rest.writer(Some(ix));
    let mut store = rest.org.write();
    match find(&store, object, ix, value) {
        Found::One(id) => {
            let row = save::live(&store, object, id)?;
            super::conditional::check(rest.call, &rest.method, kind, row)?;
            save::update(&mut store, &writer, object, id, &body)?;
            drop(store);
            touched(rest, kind);
            Ok(updated(rest, id))
        }
        Found::None if update_only => Err(ApiError::not_found()),
        Found::None => {
            if !field.createable || !rest.caller.access.edits(object, ix) {
                let message = format!(
                    "Unable to create/update fields: {}. Please check the security settings of this field and verify that it is read/write for your profile or permission set.",
                    field.name
                );
                return Err(ApiError::fields(
                    "INVALID_FIELD_FOR_INSERT_UPDATE",
                    message,
                    [field.name.as_str()],
                ));
            }
            let cell = coerce(store.schema(), field, &Value::String(value.to_owned()))?;
            let id = save::create(&mut store, &writer, object, &body, Some((ix, cell)))?;
            drop(store);
            touched(rest, kind);
            Ok(created(rest, kind, id, true))
        }
        Found::Many(ids) => Ok(choices(rest, kind, &ids)),
    }
}

/// Up to 45.0 an upsert that updated had nothing to say.
fn updated(rest: &Rest<'_>, id: RecordId) -> Reply {
    if rest.version.since(46) {
        Reply::ok(saved(&id.to_string(), Some(false)))
    } else {
        Reply::empty(StatusCode::NO_CONTENT)
    }
}

/// Several records have the key: nothing is done, and the client is shown them.
fn choices(rest: &Rest<'_>, kind: &ObjectType, ids: &[RecordId]) -> Reply {
    let version = rest.version.text();
    let urls = ids.iter().map(|id| {
        Value::String(format!(
            "/services/data/v{version}/sobjects/{}/{id}",
            kind.name
        ))
    });
    Reply::json(StatusCode::MULTIPLE_CHOICES, urls.collect())
}
