//! `/sobjects/{Object}/…`: records by identifier, by key, and by way of a relationship.

mod changes;
pub(super) mod keyed;

use http::{Method, StatusCode, header};
use serde_json::{Value, json};

use super::conditional::{self, Outcome};
use super::describe;
use super::error::ApiError;
use super::id::RecordId;
use super::reply::Reply;
use super::rest::{Rest, saved};
use super::save::{self, live};
use super::schema::{FieldIx, ObjectIx, ObjectType};
use super::soql::{Projection, Scope};
use super::store::Store;

const ROW_METHODS: &str = "HEAD,GET,PATCH,DELETE";

/// Answers what follows `/sobjects/`.
pub(super) fn answer(rest: &Rest<'_>, segments: &[&str]) -> Result<Reply, ApiError> {
    let [name, segments @ ..] = segments else {
        return Err(ApiError::not_found());
    };
    let (object, kind) = rest.object(name)?;
    match segments {
        [] => collection(rest, object, kind),
        ["describe"] => rest.only_get(|| describe::describe(rest, object, kind)),
        ["updated"] => rest.only_get(|| changes::updated(rest, object, kind)),
        ["deleted"] => rest.only_get(|| changes::deleted(rest, object, kind)),
        [key]
            if key.eq_ignore_ascii_case("Id")
                && matches!(rest.method, Method::POST | Method::PATCH) =>
        {
            create(rest, object, kind, true)
        }
        [key, value] if !is_id(kind, key) => keyed::answer(rest, object, kind, key, value),
        [id] => by_id(rest, object, kind, id),
        [id, path @ ..] if is_id(kind, id) && path.len() <= 5 => related(rest, object, id, path),
        _ => Err(ApiError::not_found()),
    }
}

/// Whether a segment is an identifier of this object, rather than a field's name.
fn is_id(kind: &ObjectType, segment: &str) -> bool {
    RecordId::parse(segment).is_some() && kind.find(segment).is_none()
}

/// What is known of an identifier in an address.
fn read_id(kind: &ObjectType, text: &str) -> Result<RecordId, ApiError> {
    match RecordId::parse(text) {
        Some(id) if id.prefix() == kind.prefix => Ok(id),
        Some(_) => Err(ApiError::not_found()),
        None if text.starts_with(&kind.prefix) && matches!(text.len(), 15 | 18) => Err(
            ApiError::bad("MALFORMED_ID", format!("malformed id {text}")),
        ),
        None => {
            let message =
                format!("Provided external ID field does not exist or is not accessible: {text}");
            Err(ApiError::new(StatusCode::NOT_FOUND, "NOT_FOUND", message))
        }
    }
}

fn collection(rest: &Rest<'_>, object: ObjectIx, kind: &ObjectType) -> Result<Reply, ApiError> {
    match rest.method {
        Method::GET => Ok(Reply::ok(json!({
            "objectDescribe": describe::brief(rest, object, kind),
            "recentItems": [],
        }))),
        Method::POST => create(rest, object, kind, false),
        _ => Err(ApiError::method(rest.method.as_str(), "HEAD,GET,POST")),
    }
}

fn create(
    rest: &Rest<'_>,
    object: ObjectIx,
    kind: &ObjectType,
    upserting: bool,
) -> Result<Reply, ApiError> {
    let body = rest.body()?;
    rest.struck(rest.index, "", || Value::Object(body.clone()))?;
    let id = save::create(
        &mut rest.org.write(),
        &rest.writer(None),
        object,
        &body,
        None,
    )?;
    touched(rest, kind);
    Ok(created(rest, kind, id, upserting))
}

fn created(rest: &Rest<'_>, kind: &ObjectType, id: RecordId, upserting: bool) -> Reply {
    let id = id.to_string();
    let location = format!(
        "/services/data/v{}/sobjects/{}/{id}",
        rest.version.text(),
        kind.name
    );
    let shown = upserting.then_some(true).filter(|_| rest.version.since(46));
    Reply::json(StatusCode::CREATED, saved(&id, shown)).with(header::LOCATION, location)
}

/// A change of a user may change what that user may do.
fn touched(rest: &Rest<'_>, kind: &ObjectType) {
    if kind.name == "User" {
        rest.org.forget_access();
    }
}

fn by_id(
    rest: &Rest<'_>,
    object: ObjectIx,
    kind: &ObjectType,
    text: &str,
) -> Result<Reply, ApiError> {
    let id = read_id(kind, text)?;
    match rest.method {
        Method::GET => {
            let store = rest.org.read();
            read(rest, &store, object, kind, id)
        }
        Method::PATCH => update(rest, object, kind, id, None),
        Method::DELETE => delete(rest, object, kind, id),
        _ => Err(ApiError::method(rest.method.as_str(), ROW_METHODS)),
    }
}

fn read(
    rest: &Rest<'_>,
    store: &Store,
    object: ObjectIx,
    kind: &ObjectType,
    id: RecordId,
) -> Result<Reply, ApiError> {
    let row = live(store, object, id)?;
    if conditional::check(rest.call, &rest.method, kind, row)? == Outcome::NotModified {
        return Ok(conditional::mark(
            Reply::empty(StatusCode::NOT_MODIFIED),
            kind,
            row,
        ));
    }
    let scope = scope(rest, store);
    let projection = match rest.parameter("fields") {
        Some(names) => Projection::named(&scope, object, &names)
            .map_err(|error| ApiError::bad(error.code, error.to_string()))?,
        None => Projection::everything(&scope, object),
    };
    let shown = projection.show(&scope, &rest.version.text(), object, row);
    Ok(conditional::mark(Reply::ok(shown), kind, row))
}

fn scope<'a>(rest: &'a Rest<'_>, store: &'a Store) -> Scope<'a> {
    Scope {
        schema: &rest.org.schema,
        store,
        access: &rest.caller.access,
        now: rest.call.at,
    }
}

fn update(
    rest: &Rest<'_>,
    object: ObjectIx,
    kind: &ObjectType,
    id: RecordId,
    key: Option<FieldIx>,
) -> Result<Reply, ApiError> {
    let body = rest.body()?;
    rest.struck(rest.index, &id.to_string(), || Value::Object(body.clone()))?;
    let mut store = rest.org.write();
    conditional::check(rest.call, &rest.method, kind, live(&store, object, id)?)?;
    save::update(&mut store, &rest.writer(key), object, id, &body)?;
    drop(store);
    touched(rest, kind);
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

fn delete(
    rest: &Rest<'_>,
    object: ObjectIx,
    kind: &ObjectType,
    id: RecordId,
) -> Result<Reply, ApiError> {
    rest.struck(rest.index, &id.to_string(), || Value::Null)?;
    let mut store = rest.org.write();
    conditional::check(rest.call, &rest.method, kind, live(&store, object, id)?)?;
    save::delete(&mut store, &rest.writer(None), object, id)?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// `/Contact/{id}/Account`: what is done is done to the record at the end of the way.
fn related(
    rest: &Rest<'_>,
    object: ObjectIx,
    text: &str,
    path: &[&str],
) -> Result<Reply, ApiError> {
    let store = rest.org.read();
    let schema = &rest.org.schema;
    let mut at = (
        object,
        read_id(schema.object(object).ok_or_else(ApiError::not_found)?, text)?,
    );
    for (index, name) in path.iter().enumerate() {
        let kind = schema.object(at.0).ok_or_else(ApiError::not_found)?;
        let row = live(&store, at.0, at.1)?;
        let lookup = kind
            .find_relationship(name)
            .filter(|(field, _)| rest.caller.access.sees(at.0, *field));
        if let Some((field, _)) = lookup {
            let parent = row.cell(field).as_ref_id().and_then(|id| store.by_id(id));
            at = parent
                .map(|(object, row)| (object, row.id))
                .ok_or_else(ApiError::not_found)?;
            continue;
        }
        let last = index + 1 == path.len();
        let children = kind
            .find_children(name)
            .filter(|_| last)
            .ok_or_else(ApiError::not_found)?;
        let ids = store
            .children(children.object, children.field, at.1)
            .unwrap_or_default();
        return rest.only_get(|| Ok(list(rest, &store, children.object, &ids)));
    }
    drop(store);
    let kind = schema.object(at.0).ok_or_else(ApiError::not_found)?;
    by_id(rest, at.0, kind, &at.1.to_string())
}

fn list(rest: &Rest<'_>, store: &Store, object: ObjectIx, ids: &[RecordId]) -> Reply {
    let scope = scope(rest, store);
    let projection = Projection::everything(&scope, object);
    let version = rest.version.text();
    let rows = ids.iter().filter_map(|id| store.row(object, *id));
    let records: Vec<Value> = rows
        .map(|row| projection.show(&scope, &version, object, row))
        .collect();
    Reply::ok(json!({"totalSize": records.len(), "done": true, "records": records}))
}
