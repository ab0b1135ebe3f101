//! `/composite/sobjects…`: up to 200 records in one call, each with an answer of its own.

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{MOST_RECORDS, is_unreadable, parsed, row_errors};
use crate::salesforce::coerce::coerce;
use crate::salesforce::error::ApiError;
use crate::salesforce::id::RecordId;
use crate::salesforce::reply::Reply;
use crate::salesforce::rest::Rest;
use crate::salesforce::rows::keyed::{Found, find};
use crate::salesforce::save;
use crate::salesforce::schema::{FieldIx, ObjectIx, ObjectType};
use crate::salesforce::soql::{Projection, Scope};
use crate::salesforce::store::Store;

/// Most runs of records of one object.
const MOST_CHUNKS: usize = 10;
/// Most records read in one call.
const MOST_READ: usize = 2000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Body {
    #[serde(default)]
    all_or_none: bool,
    records: Vec<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadBody {
    ids: Vec<String>,
    fields: Vec<String>,
}

/// What one record came to.
struct Done {
    id: RecordId,
    /// Whether the record was there before.
    known: bool,
    /// What an upsert says.
    created: Option<bool>,
}

type Outcome = Result<Done, ApiError>;

/// `/composite/sobjects`
pub(super) fn answer(rest: &Rest<'_>) -> Result<Reply, ApiError> {
    match rest.method {
        Method::POST => {
            let body = body(rest)?;
            let rows = typed(rest, &body.records)?;
            run(
                rest,
                body.all_or_none,
                &rows,
                |store, (object, kind, record)| {
                    let id = save::create(store, &rest.writer(None), *object, record, None);
                    if kind.name == "User" {
                        rest.org.forget_access();
                    }
                    id.map(|id| Done {
                        id,
                        known: false,
                        created: None,
                    })
                },
            )
        }
        Method::PATCH => {
            let body = body(rest)?;
            let rows = typed(rest, &body.records)?;
            run(rest, body.all_or_none, &rows, |store, row| {
                update(rest, store, row)
            })
        }
        Method::DELETE => delete(rest),
        _ => Err(ApiError::method(rest.method.as_str(), "POST,PATCH,DELETE")),
    }
}

/// `/composite/sobjects/{Object}/{Field}`
pub(super) fn upsert(rest: &Rest<'_>, object: &str, field: &str) -> Result<Reply, ApiError> {
    let (object, kind) = rest.object(object)?;
    let key = kind
        .find(field)
        .filter(|(ix, key)| key.indexed() && rest.caller.access.sees(object, *ix));
    let Some((key, _)) = key else {
        let message =
            format!("Provided external ID field does not exist or is not accessible: {field}");
        return Err(ApiError::bad("NOT_FOUND", message));
    };
    let body = body(rest)?;
    let rows = typed(rest, &body.records)?;
    if rows.iter().any(|(other, ..)| *other != object) {
        let message = format!("All records must be of type {}", kind.name);
        return Err(ApiError::bad("INVALID_INPUT", message));
    }
    run(rest, body.all_or_none, &rows, |store, row| {
        upsert_one(rest, store, key, row)
    })
}

/// `/composite/sobjects/{Object}`, read.
pub(super) fn read(rest: &Rest<'_>, object: &str) -> Result<Reply, ApiError> {
    let (object, _) = rest.object(object)?;
    let body: ReadBody = parsed(rest.body()?)?;
    if body.ids.len() > MOST_READ {
        return Err(too_many(MOST_READ));
    }
    let store = rest.org.read();
    let scope = Scope {
        schema: &rest.org.schema,
        store: &store,
        access: &rest.caller.access,
        now: rest.call.at,
    };
    let projection = Projection::named(&scope, object, &body.fields.join(","))
        .map_err(|error| ApiError::bad(error.code, error.to_string()))?;
    let version = rest.version.text();
    let shown = body.ids.iter().map(|id| {
        let row = RecordId::parse(id).and_then(|id| store.row(object, id));
        row.map_or(Value::Null, |row| {
            projection.show(&scope, &version, object, row)
        })
    });
    Ok(Reply::ok(shown.collect()))
}

fn body(rest: &Rest<'_>) -> Result<Body, ApiError> {
    let body: Body = parsed(rest.body()?)?;
    match body.records.len() {
        0 => Err(ApiError::bad(
            "INVALID_INPUT",
            "At least one record is required",
        )),
        count if count > MOST_RECORDS => Err(too_many(MOST_RECORDS)),
        _ => Ok(body),
    }
}

fn too_many(most: usize) -> ApiError {
    let message =
        format!("record limit reached. cannot submit more than {most} records into this call");
    ApiError::bad("EXCEEDED_ID_LIMIT", message)
}

type Typed<'a> = (ObjectIx, &'a ObjectType, &'a Map<String, Value>);

/// The object of each record, as its `attributes` name it.
fn typed<'a>(
    rest: &'a Rest<'_>,
    records: &'a [Map<String, Value>],
) -> Result<Vec<Typed<'a>>, ApiError> {
    let mut rows: Vec<Typed<'a>> = Vec::with_capacity(records.len());
    for (index, record) in records.iter().enumerate() {
        let name = record
            .get("attributes")
            .and_then(|attributes| attributes.get("type")?.as_str());
        let Some(name) = name else {
            let message = format!("The type attribute of record {index} is missing");
            return Err(ApiError::bad("INVALID_INPUT", message));
        };
        let (object, kind) = rest.org.object(name).ok_or_else(|| {
            ApiError::bad(
                "INVALID_TYPE",
                format!("sObject type '{name}' is not supported."),
            )
        })?;
        rows.push((object, kind, record));
    }
    let borders = rows.windows(2).filter(|pair| match pair {
        [(one, ..), (other, ..)] => one != other,
        _ => false,
    });
    if borders.count() >= MOST_CHUNKS {
        let message = "Cannot have more than 10 chunks in a single operation. Please rearrange the data to reduce chunking.";
        return Err(ApiError::bad("INVALID_INPUT", message));
    }
    Ok(rows)
}

/// Does one thing to each row, and all or none of it if that is asked.
fn run<T>(
    rest: &Rest<'_>,
    all_or_none: bool,
    rows: &[T],
    mut each: impl FnMut(&mut Store, &T) -> Outcome,
) -> Result<Reply, ApiError>
where
    T: Row,
{
    let mut store = rest.org.write();
    let mark = store.begin();
    let mut outcomes = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        let outcome = rest
            .struck(index, row.place(), || row.shown())
            .and_then(|()| each(&mut store, row));
        if let Err(error) = &outcome
            && is_unreadable(error)
        {
            store.roll_back(mark);
            return Err(error.clone());
        }
        outcomes.push(outcome);
    }
    let failed = outcomes.iter().any(Result::is_err);
    if failed && all_or_none {
        store.roll_back(mark);
    } else {
        store.commit();
    }
    let shown = outcomes
        .iter()
        .map(|outcome| show(outcome, failed && all_or_none));
    Ok(Reply::ok(shown.collect()))
}

/// What a fault can select a row by.
trait Row {
    fn place(&self) -> &str;
    fn shown(&self) -> Value;
}

impl Row for Typed<'_> {
    fn place(&self) -> &str {
        self.2.get("id").and_then(Value::as_str).unwrap_or_default()
    }

    fn shown(&self) -> Value {
        Value::Object(self.2.clone())
    }
}

impl Row for String {
    fn place(&self) -> &str {
        self
    }

    fn shown(&self) -> Value {
        Value::Null
    }
}

fn show(outcome: &Outcome, rolled_back: bool) -> Value {
    match outcome {
        Ok(done) if rolled_back => {
            let mut shown = json!({
                "success": false,
                "errors": [{
                    "statusCode": "ALL_OR_NONE_OPERATION_ROLLED_BACK",
                    "message": "Record rolled back because not all records were valid and the request was using AllOrNone header",
                    "fields": [],
                }],
            });
            // A record that was there before keeps its identifier.
            if done.known {
                put(&mut shown, "id", Value::String(done.id.to_string()));
            }
            shown
        }
        Ok(done) => {
            let mut shown = json!({"id": done.id.to_string(), "success": true, "errors": []});
            if let Some(created) = done.created {
                put(&mut shown, "created", Value::Bool(created));
            }
            shown
        }
        Err(error) => json!({"success": false, "errors": row_errors(error)}),
    }
}

fn put(shown: &mut Value, name: &str, value: Value) {
    if let Value::Object(map) = shown {
        map.insert(name.to_owned(), value);
    }
}

/// A record without some of its members, whatever the case of their names.
fn without(record: &Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    record
        .iter()
        .filter(|(own, _)| !names.iter().any(|name| own.eq_ignore_ascii_case(name)))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn member<'a>(record: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    record
        .iter()
        .find(|(own, _)| own.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

fn update(rest: &Rest<'_>, store: &mut Store, row: &Typed<'_>) -> Outcome {
    let (object, kind, record) = row;
    let text = member(record, "id").and_then(Value::as_str);
    let Some(text) = text else {
        let message = "Id not specified in an update call";
        return Err(ApiError::fields("MISSING_ARGUMENT", message, ["Id"]));
    };
    let id = RecordId::parse(text).filter(|id| id.prefix() == kind.prefix);
    let Some(id) = id else {
        let message = format!("{} ID: id value of incorrect type: {text}", kind.name);
        return Err(ApiError::fields("MALFORMED_ID", message, ["Id"]));
    };
    let change = without(record, &["id"]);
    save::update(store, &rest.writer(None), *object, id, &change).map_err(no_such_row)?;
    if kind.name == "User" {
        rest.org.forget_access();
    }
    Ok(Done {
        id,
        known: true,
        created: None,
    })
}

fn upsert_one(rest: &Rest<'_>, store: &mut Store, key: FieldIx, row: &Typed<'_>) -> Outcome {
    let (object, kind, record) = row;
    let field = kind.field(key).ok_or_else(ApiError::not_found)?;
    let value = member(record, &field.name).filter(|value| !value.is_null());
    let Some(value) = value else {
        let message = format!("{} not specified", field.name);
        return Err(ApiError::fields("MISSING_ARGUMENT", message, []));
    };
    let cell = coerce(store.schema(), field, value)?;
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    let change = without(record, &[&field.name]);
    let writer = rest.writer(Some(key));
    match find(store, *object, key, &text) {
        Found::One(id) => {
            save::update(store, &writer, *object, id, &change)?;
            Ok(Done {
                id,
                known: true,
                created: Some(false),
            })
        }
        Found::None => {
            let id = save::create(store, &writer, *object, &change, Some((key, cell)))?;
            Ok(Done {
                id,
                known: false,
                created: Some(true),
            })
        }
        Found::Many(ids) => {
            let message = format!(
                "{}: more than one record found for external id field: {ids:?}",
                field.label
            );
            Err(ApiError::fields("DUPLICATE_EXTERNAL_ID", message, []))
        }
    }
}

fn delete(rest: &Rest<'_>) -> Result<Reply, ApiError> {
    let ids = rest.parameter("ids").unwrap_or_default();
    let ids: Vec<String> = ids
        .split(',')
        .map(|id| id.trim().to_owned())
        .filter(|id| !id.is_empty())
        .collect();
    if ids.is_empty() {
        return Err(ApiError::bad(
            "MISSING_ARGUMENT",
            "The ids parameter is required",
        ));
    }
    if ids.len() > MOST_RECORDS {
        return Err(too_many(MOST_RECORDS));
    }
    let all_or_none = rest
        .parameter("allOrNone")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    run(rest, all_or_none, &ids, |store, text| {
        let id = RecordId::parse(text)
            .ok_or_else(|| ApiError::fields("MALFORMED_ID", format!("malformed id {text}"), []))?;
        let object = store.schema().object_of(id).map(|(object, _)| object);
        let object = object.ok_or_else(|| no_such_row(ApiError::not_found()))?;
        save::delete(store, &rest.writer(None), object, id).map_err(no_such_row)?;
        Ok(Done {
            id,
            known: true,
            created: None,
        })
    })
}

/// Among several records, one that isn't there is a reference to nothing.
fn no_such_row(error: ApiError) -> ApiError {
    match error.reasons.first() {
        Some(reason) if reason.code == "NOT_FOUND" => ApiError::fields(
            "INVALID_CROSS_REFERENCE_KEY",
            "invalid cross reference id",
            [],
        ),
        _ => error,
    }
}
