//! Actions: messages that do more than a write of one record.

mod close;
mod qualify;

use std::sync::Arc;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::api::{NAMESPACE, Reply, Request};
use super::error::{ApiError, Outcome};
use super::schema::Table;
use super::write::Work;

/// Actions of the real service that the simulator leaves out.
const LEFT_OUT: [&str; 16] = [
    "Merge",
    "GrantAccess",
    "ModifyAccess",
    "RevokeAccess",
    "Assign",
    "ExecuteWorkflow",
    "BulkDelete",
    "CreateEntities",
    "ImportSolution",
    "ExportSolution",
    "PublishXml",
    "PublishAllXml",
    "BulkDetectDuplicates",
    "SendEmail",
    "CalculateActualValueOpportunity",
    "DeleteAsync",
];

/// An action of its own.
pub(crate) fn unbound(request: &Request<'_>, work: &mut Work<'_>, name: &str) -> Outcome<Reply> {
    let body = || request.object(name);
    match name {
        "WinOpportunity" => close::opportunity(work, name, &body()?, 1),
        "LoseOpportunity" => close::opportunity(work, name, &body()?, 2),
        "CloseIncident" => close::incident(work, name, &body()?),
        _ if LEFT_OUT.contains(&name) => Err(ApiError::not_simulated(name)),
        _ => Err(ApiError::no_segment(name)),
    }
}

/// An action on a record.
pub(crate) fn bound(
    request: &Request<'_>,
    work: &mut Work<'_>,
    (table, id): (&Arc<Table>, Uuid),
    name: &str,
) -> Outcome<Reply> {
    let short = name.trim_start_matches(NAMESPACE);
    match (&*table.name, short) {
        ("lead", "QualifyLead") => {
            let body = request.object(&table.set)?;
            qualify::lead(work, request, id, &body)
        }
        _ if LEFT_OUT.contains(&short) => Err(ApiError::not_simulated(short)),
        _ => Err(ApiError::no_segment(name)),
    }
}

/// A parameter that is a record.
fn record<'a>(
    action: &str,
    body: &'a Map<String, Value>,
    parameter: &str,
) -> Outcome<&'a Map<String, Value>> {
    match body.get(parameter) {
        Some(Value::Object(record)) => Ok(record),
        _ => Err(ApiError::payload(
            action,
            format!(
                "The parameter '{parameter}' is missing in the request payload, or is no record."
            ),
        )),
    }
}

/// A parameter that is a whole number.
fn number(action: &str, body: &Map<String, Value>, parameter: &str) -> Outcome<i64> {
    body.get(parameter).and_then(Value::as_i64).ok_or_else(|| {
        ApiError::payload(
            action,
            format!(
                "The parameter '{parameter}' is missing in the request payload, or is no Edm.Int32."
            ),
        )
    })
}

/// Refuses parameters that the action does not have.
fn only(action: &str, body: &Map<String, Value>, known: &[&str]) -> Outcome<()> {
    match body.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(other) => Err(ApiError::payload(
            action,
            format!(
                "The parameter '{other}' in the request payload is not a valid parameter for the operation '{action}'."
            ),
        )),
    }
}
