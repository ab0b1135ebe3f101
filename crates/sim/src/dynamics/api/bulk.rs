//! Messages for several records of one table: all of them are written or none.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::super::address::{RowKey, reference};
use super::super::error::{ApiError, Outcome};
use super::super::schema::Table;
use super::super::write::{Condition, Payload, Work};
use super::{NAMESPACE, Reply, Request, Surroundings};
use crate::faults::RowFault;

/// Answers `CreateMultiple` and its siblings.
pub(super) fn change(
    request: &Request<'_>,
    work: &mut Work<'_>,
    (table, name): (&Arc<Table>, &str),
    surroundings: &Surroundings<'_>,
) -> Outcome<Reply> {
    let struck = surroundings.struck;
    match name {
        "CreateMultiple" => {
            let mut ids = Vec::new();
            for target in targets(request, (table, name), struck)? {
                let payload = Payload::read(table, target)?;
                ids.push(json!(work.create(table, payload)?.id));
            }
            let mut answer = Map::new();
            let context = format!(
                "{}/$metadata#{NAMESPACE}CreateMultipleResponse",
                request.service
            );
            answer.insert("@odata.context".to_owned(), json!(context));
            answer.insert("Ids".to_owned(), Value::Array(ids));
            Ok(Reply::json(answer))
        }
        "UpdateMultiple" => {
            for target in targets(request, (table, name), struck)? {
                let payload = Payload::read(table, target)?;
                let id = payload.id.ok_or_else(|| {
                    ApiError::invalid_argument(format!(
                        "Every target of {name} must hold its '{}'.",
                        table.id
                    ))
                })?;
                work.update(table, id, payload, &Condition::default())?;
            }
            Ok(Reply::nothing())
        }
        "UpsertMultiple" => {
            for mut target in targets(request, (table, name), struck)? {
                let named = target.shift_remove("@odata.id");
                let payload = Payload::read(table, target)?;
                let key = key(request, work, table, named.as_ref(), payload.id)?;
                work.upsert(table, &key, payload, &Condition::default())?;
            }
            Ok(Reply::nothing())
        }
        // Only for elastic tables, and here there are none.
        "DeleteMultiple" => Err(ApiError::bad_request(
            "0x80040203",
            format!(
                "DeleteMultiple is not supported for the entity '{}': it is no elastic table.",
                table.name
            ),
        )),
        _ => Err(ApiError::no_segment(&format!("{NAMESPACE}{name}"))),
    }
}

fn targets(
    request: &Request<'_>,
    (table, action): (&Table, &str),
    struck: &dyn Fn(RowFault) -> ApiError,
) -> Outcome<Vec<Map<String, Value>>> {
    let mut body = request.object(action)?;
    let Some(Value::Array(items)) = body.shift_remove("Targets") else {
        return Err(ApiError::payload(
            action,
            "The parameter 'Targets' is missing in the request payload, or is no collection.",
        ));
    };
    if let Some(other) = body.keys().find(|name| !name.starts_with('@')) {
        return Err(ApiError::payload(
            action,
            format!(
                "The parameter '{other}' in the request payload is not a valid parameter for the operation '{action}'."
            ),
        ));
    }
    let typed = |item| match item {
        Value::Object(record) if record.contains_key("@odata.type") => Ok(record),
        _ => Err(ApiError::payload(
            &table.set,
            format!(
                "Every item of 'Targets' must be a record that says its type: \"@odata.type\": \"{}\".",
                table.type_name()
            ),
        )),
    };
    let records: Vec<_> = items.into_iter().map(typed).collect::<Outcome<_>>()?;
    if records.is_empty() {
        return Err(ApiError::invalid_argument(
            "The collection 'Targets' must hold one record at least.",
        ));
    }
    for (index, record) in records.iter().enumerate() {
        if request.call.rows.is_none() {
            break;
        }
        let row = Value::Object(record.clone());
        if let Some(fault) = request.call.row_fault(index, request.call.path(), &row) {
            return Err(struck(fault));
        }
    }
    Ok(records)
}

/// Which record an item of `UpsertMultiple` means: by its `@odata.id`, or by its primary key.
fn key(
    request: &Request<'_>,
    work: &Work<'_>,
    table: &Table,
    named: Option<&Value>,
    id: Option<Uuid>,
) -> Outcome<RowKey> {
    if let Some(text) = named.and_then(Value::as_str) {
        let (to, key) = reference(work.store.schema(), &request.call.base_url, text)?;
        if to.name != table.name {
            return Err(ApiError::payload(
                &table.set,
                format!("The '@odata.id' '{text}' names a '{}'.", to.type_name()),
            ));
        }
        return Ok(key);
    }
    Ok(RowKey::Id(id.unwrap_or_else(|| work.new_id())))
}
