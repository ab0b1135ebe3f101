//! `/v1/connections`: the CRMs behind the gate.

#![expect(
    unused_qualifications,
    reason = "utoipa's macro writes the path of the query's type out"
)]

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse as _;
use crmgate_domain::{ConnectionName, Mode, Timestamp};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

use crate::access::Caller;
use crate::body::{Answer, Asked, Json, Named};
use crate::openapi::{ConnectionBody, ConnectionList, ModeBody, ReportBody};
use crate::{ErrorBody, Parts};

/// The connections that the caller may see.
#[utoipa::path(get, path = "/v1/connections", tag = "connections",
    responses((status = 200, body = ConnectionList), (status = "default", body = ErrorBody)))]
pub(crate) async fn list(State(parts): State<Arc<Parts>>, Caller(by): Caller) -> Answer {
    let items = parts.app.connections().list(&by).await?;
    Ok(axum::Json(json!({"items": items})).into_response())
}

/// One connection.
#[utoipa::path(get, path = "/v1/connections/{name}", tag = "connections",
    params(("name" = String, Path, description = "The connection.")),
    responses((status = 200, body = ConnectionBody), (status = "default", body = ErrorBody)))]
pub(crate) async fn show(
    State(parts): State<Arc<Parts>>,
    Caller(by): Caller,
    Named(name): Named<ConnectionName>,
) -> Answer {
    let status = parts.app.connections().show(&by, &name).await?;
    Ok(axum::Json(status).into_response())
}

/// What the report covers.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Covered {
    /// From this time on, RFC 3339; since the connection last began to observe, where not given.
    #[param(value_type = Option<String>)]
    since: Option<Timestamp>,
}

/// What was seen per client and route, what enforcing does to it and why, and whether it is safe
/// to enforce.
#[utoipa::path(get, path = "/v1/connections/{name}/report", tag = "connections",
    params(("name" = String, Path, description = "The connection."), Covered),
    responses((status = 200, body = ReportBody), (status = "default", body = ErrorBody)))]
pub(crate) async fn report(
    State(parts): State<Arc<Parts>>,
    Caller(by): Caller,
    Named(name): Named<ConnectionName>,
    Asked(covered): Asked<Covered>,
) -> Answer {
    let connections = parts.app.connections();
    let report = connections.report(&by, &name, covered.since).await?;
    Ok(axum::Json(report).into_response())
}

/// The wanted mode.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    mode: Mode,
}

/// Switches between observing and enforcing. The change is recorded with the token's name.
#[utoipa::path(put, path = "/v1/connections/{name}/mode", tag = "connections",
    params(("name" = String, Path, description = "The connection.")),
    request_body = ModeBody,
    responses((status = 200, body = ConnectionBody), (status = "default", body = ErrorBody)))]
pub(crate) async fn set_mode(
    State(parts): State<Arc<Parts>>,
    Caller(by): Caller,
    Named(name): Named<ConnectionName>,
    Json(wanted): Json<Wanted>,
) -> Answer {
    let connections = parts.app.connections();
    let status = connections.set_mode(&by, &name, wanted.mode).await?;
    Ok(axum::Json(status).into_response())
}
