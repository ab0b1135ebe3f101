//! `/v1/operations`: what is queued, where it stands, and answering for it.

#![expect(
    unused_qualifications,
    reason = "utoipa's macro writes the path of the query's type out"
)]

use std::str::FromStr as _;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use crmgate_app::operations::{Found, Life, Until};
use crmgate_app::{AppError, Principal};
use crmgate_domain::{ConnectionName, OperationId, State as Stands, SubmissionId, Timestamp};
use crmgate_store::{OperationFilter, Role, StoredOperation};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

use super::decisions::{PAGE, public as public_decision};
use super::waiting;
use crate::access::Caller;
use crate::body::{Answer, Asked, Json, Named, OrNothing};
use crate::openapi::{
    LifeBody, OperationPage, QueuedBody, ReasonedBody, ResolveBody, RetryBody, SweepBody, SweptBody,
};
use crate::{ErrorBody, Parts};

pub(crate) mod inflate;
pub(crate) mod submit;

/// Narrows the list. All that is given must hold.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// The connection.
    #[param(value_type = Option<String>)]
    connection: Option<ConnectionName>,
    /// One state, or several with commas: `held,stale`.
    state: Option<String>,
    /// The object, by canonical name.
    object: Option<String>,
    /// The record's id.
    record_id: Option<String>,
    /// The actor's id.
    actor: Option<String>,
    /// The id of the token that submitted it.
    owner: Option<String>,
    /// The submission.
    #[param(value_type = Option<String>)]
    submission: Option<SubmissionId>,
    /// The submitter's own id for it.
    client_id: Option<String>,
    /// The code of why it stands where it stands.
    reason: Option<String>,
    /// Submitted from this time on, RFC 3339.
    #[param(value_type = Option<String>)]
    since: Option<Timestamp>,
    /// Submitted before this time, RFC 3339.
    #[param(value_type = Option<String>)]
    until: Option<Timestamp>,
    /// Where the page starts, as the last one said.
    cursor: Option<String>,
    /// How many, 1 to 500; 50 where not given.
    limit: Option<usize>,
}

impl Wanted {
    fn filter(self) -> Result<OperationFilter, AppError> {
        let words = self.state.as_deref().unwrap_or_default();
        let states = words.split(',').filter(|word| !word.is_empty());
        let states = states
            .map(|word| Stands::from_str(word.trim()))
            .collect::<Result<_, _>>()
            .map_err(|error| AppError::invalid("state", error.to_string()))?;
        Ok(OperationFilter {
            connection: self.connection,
            states,
            object: self.object,
            record_id: self.record_id,
            actor: self.actor,
            owner: self.owner,
            submission: self.submission,
            client_id: self.client_id,
            reason: self.reason,
            since: self.since,
            until: self.until,
            ..OperationFilter::default()
        })
    }
}

/// Queued operations, newest first.
#[utoipa::path(get, path = "/v1/operations", tag = "operations", params(Wanted),
    responses((status = 200, body = OperationPage), (status = "default", body = ErrorBody)))]
pub(crate) async fn list(
    State(parts): State<Arc<Parts>>,
    Caller(by): Caller,
    Asked(wanted): Asked<Wanted>,
) -> Answer {
    let (cursor, limit) = (wanted.cursor.clone(), wanted.limit.unwrap_or(PAGE));
    let operations = parts.app.operations()?;
    let page = operations.list(&by, wanted.filter()?, cursor.as_deref(), limit);
    let page = page.await?;
    let items: Vec<Value> = page.items.iter().map(|item| public(item, false)).collect();
    Ok(axum::Json(json!({"items": items, "next": page.next})).into_response())
}

/// How long to wait, and for what.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Waiting {
    /// Answer only when it is there, or after this long: `30s`, at most `60s`.
    wait: Option<String>,
    /// `settled` (it has ended, or waits for people or other policies; the default) or `any` (it
    /// has moved).
    wait_for: Option<String>,
}

/// One operation. With `wait`, once it is at its end or waits for people.
#[utoipa::path(get, path = "/v1/operations/{id}", tag = "operations",
    params(("id" = String, Path, description = "As submitting told."), Waiting),
    responses((status = 200, body = QueuedBody), (status = "default", body = ErrorBody)))]
pub(crate) async fn show(
    State(parts): State<Arc<Parts>>,
    Caller(by): Caller,
    Named(id): Named<OperationId>,
    Asked(waiting): Asked<Waiting>,
) -> Answer {
    let until = match waiting.wait_for.as_deref() {
        None | Some("settled") => Until::Settled,
        Some("any") => Until::Moved,
        Some(other) => {
            let problem = format!("`{other}`: expected settled or any");
            return Err(AppError::invalid("wait_for", problem).into());
        }
    };
    let most = waiting::time(waiting.wait.as_deref())?;
    let operations = parts.app.operations()?;
    let operation = operations.wait(&by, id, until, most).await?;
    Ok(shown(&by, &operation))
}

/// The whole life of one operation: what was asked, how it moved, what was decided, whom it waited
/// for, what was called.
#[utoipa::path(get, path = "/v1/operations/{id}/history", tag = "operations",
    params(("id" = String, Path, description = "As submitting told.")),
    responses((status = 200, body = LifeBody), (status = "default", body = ErrorBody)))]
pub(crate) async fn history(
    State(parts): State<Arc<Parts>>,
    Caller(by): Caller,
    Named(id): Named<OperationId>,
) -> Answer {
    let life = parts.app.operations()?.life(&by, id).await?;
    let decisions: Vec<Value> = life.decisions.iter().map(public_decision).collect();
    let full = sees_request(&by, &life.operation);
    let Life {
        operation,
        history,
        hold,
        depends_on,
        dependants,
        group,
        callback,
        ..
    } = life;
    let body = json!({
        "operation": public(&operation, full),
        "history": history,
        "decisions": decisions,
        "hold": hold,
        "depends_on": depends_on,
        "dependants": dependants,
        "group": group,
        "callback": callback,
    });
    Ok(axum::Json(body).into_response())
}

/// Why.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `reason`")]
pub(crate) struct Reasoned {
    #[serde(default)]
    pub(crate) reason: Option<String>,
}

/// Takes an operation back, and its group with it.
#[utoipa::path(post, path = "/v1/operations/{id}/cancel", tag = "operations",
    params(("id" = String, Path, description = "As submitting told.")), request_body = ReasonedBody,
    responses((status = 200, body = QueuedBody), (status = "default", body = ErrorBody)))]
pub(crate) async fn cancel(
    State(parts): State<Arc<Parts>>,
    Caller(by): Caller,
    Named(id): Named<OperationId>,
    OrNothing(given): OrNothing<Reasoned>,
) -> Answer {
    let operations = parts.app.operations()?;
    let now = operations.cancel(&by, id, given.reason.as_deref()).await?;
    Ok(shown(&by, &now))
}

/// Why, and whether it did not happen.
#[derive(Debug, Default, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an object with `reason` and `did_not_happen`"
)]
pub(crate) struct Again {
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    did_not_happen: bool,
}

/// Tries an operation once more that is denied, refused or dead, and its group with it; an
/// uncertain one with `did_not_happen`, by whoever may resolve it.
#[utoipa::path(post, path = "/v1/operations/{id}/retry", tag = "operations",
    params(("id" = String, Path, description = "As submitting told.")), request_body = RetryBody,
    responses((status = 200, body = QueuedBody), (status = "default", body = ErrorBody)))]
pub(crate) async fn retry(
    State(parts): State<Arc<Parts>>,
    Caller(by): Caller,
    Named(id): Named<OperationId>,
    OrNothing(given): OrNothing<Again>,
) -> Answer {
    let operations = parts.app.operations()?;
    let again = operations.retry(&by, id, given.did_not_happen, given.reason.as_deref());
    let now = again.await?;
    Ok(shown(&by, &now))
}

/// What was found out.
#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an object with `as`, `record_id` and `reason`"
)]
pub(crate) struct Resolved {
    r#as: Found,
    #[serde(default)]
    record_id: Option<String>,
    #[serde(default)]
    reason: Option<String>,
}

/// Says what became of an operation whose outcome is uncertain.
#[utoipa::path(post, path = "/v1/operations/{id}/resolve", tag = "operations",
    params(("id" = String, Path, description = "As submitting told.")), request_body = ResolveBody,
    responses((status = 200, body = QueuedBody), (status = "default", body = ErrorBody)))]
pub(crate) async fn resolve(
    State(parts): State<Arc<Parts>>,
    Caller(by): Caller,
    Named(id): Named<OperationId>,
    Json(found): Json<Resolved>,
) -> Answer {
    let operations = parts.app.operations()?;
    let (record, why) = (found.record_id.as_deref(), found.reason.as_deref());
    let now = operations.resolve(&by, id, found.r#as, record, why).await?;
    Ok(shown(&by, &now))
}

/// Which operations, and why.
#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an object with `filter` and `reason`"
)]
pub(crate) struct Sweep {
    filter: OperationFilter,
    #[serde(default)]
    reason: Option<String>,
}

/// Takes back whatever the filter narrows to and has not begun to be written; at most 10,000.
#[utoipa::path(post, path = "/v1/operations/cancel", tag = "operations", request_body = SweepBody,
    responses((status = 200, body = SweptBody), (status = "default", body = ErrorBody)))]
pub(crate) async fn cancel_all(
    State(parts): State<Arc<Parts>>,
    Caller(by): Caller,
    Json(sweep): Json<Sweep>,
) -> Answer {
    let operations = parts.app.operations()?;
    let why = sweep.reason.as_deref();
    let swept = operations.cancel_all(&by, sweep.filter, why).await?;
    Ok(axum::Json(swept).into_response())
}

/// Tries once more whatever the filter narrows to and is denied, refused or dead; at most 10,000.
#[utoipa::path(post, path = "/v1/operations/retry", tag = "operations", request_body = SweepBody,
    responses((status = 200, body = SweptBody), (status = "default", body = ErrorBody)))]
pub(crate) async fn retry_all(
    State(parts): State<Arc<Parts>>,
    Caller(by): Caller,
    Json(sweep): Json<Sweep>,
) -> Answer {
    let operations = parts.app.operations()?;
    let why = sweep.reason.as_deref();
    let swept = operations.retry_all(&by, sweep.filter, why).await?;
    Ok(axum::Json(swept).into_response())
}

/// An operation as the caller may see it.
fn shown(by: &Principal, operation: &StoredOperation) -> Response {
    axum::Json(public(operation, sees_request(by, operation))).into_response()
}

/// Whoever submitted it, and whoever operates the gate, may see what is asked, values included.
fn sees_request(by: &Principal, operation: &StoredOperation) -> bool {
    by.has(Role::Admin) || by.has(Role::Operator) || operation.owner == by.token.id
}

/// An operation as it is shown. What it asks for holds values of records.
pub(crate) fn public(operation: &StoredOperation, with_request: bool) -> Value {
    let mut shown = json!(operation);
    let request = operation
        .request
        .as_deref()
        .filter(|_| with_request)
        .and_then(|text| serde_json::from_str::<Value>(text).ok());
    if let Value::Object(fields) = &mut shown {
        fields.insert("request".to_owned(), request.unwrap_or(Value::Null));
        fields.insert("final".to_owned(), operation.state.is_final().into());
        let calls = operation.millicalls;
        fields.shift_remove("millicalls");
        fields.insert("calls".to_owned(), calls_of(calls));
        if let Some(callback) = &operation.callback {
            // What follows the path may be a secret of the receiver's.
            let url = callback.url.split(['?', '#']).next().unwrap_or_default();
            fields.insert("callback".to_owned(), json!({"url": url}));
        }
    }
    shown
}

/// Calls to the CRM: shared ones count in parts.
fn calls_of(millicalls: u64) -> Value {
    let text = format!("{}.{:03}", millicalls / 1000, millicalls % 1000);
    serde_json::from_str(text.trim_end_matches('0').trim_end_matches('.')).unwrap_or(Value::Null)
}
