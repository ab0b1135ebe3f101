//! `/v1/processes`: who shares the store.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse as _;
use serde_json::json;

use crate::access::Caller;
use crate::body::Answer;
use crate::openapi::ProcessList;
use crate::{ErrorBody, Parts};

/// The processes that live, the oldest first.
#[utoipa::path(get, path = "/v1/processes", tag = "processes",
    responses((status = 200, body = ProcessList), (status = "default", body = ErrorBody)))]
pub(crate) async fn list(State(parts): State<Arc<Parts>>, Caller(by): Caller) -> Answer {
    let items = match parts.app.presence() {
        Some(presence) => presence.list(&by).await?,
        None => Vec::new(),
    };
    Ok(axum::Json(json!({"items": items})).into_response())
}
