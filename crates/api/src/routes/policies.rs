//! `/v1/policies`: what is in force, and what is broken.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse as _;

use crate::access::Caller;
use crate::body::Answer;
use crate::openapi::{PoliciesBody, ReloadedBody};
use crate::{ErrorBody, Parts};

/// The revision in force, and why newer sources are not.
#[utoipa::path(get, path = "/v1/policies", tag = "policies",
    responses((status = 200, body = PoliciesBody), (status = "default", body = ErrorBody)))]
pub(crate) async fn show(State(parts): State<Arc<Parts>>, Caller(by): Caller) -> Answer {
    let status = parts.app.policies().show(&by)?;
    Ok(axum::Json(status).into_response())
}

/// Reads the policies on disk again. Broken ones do not come into force.
#[utoipa::path(post, path = "/v1/policies/reload", tag = "policies",
    responses((status = 200, body = ReloadedBody), (status = "default", body = ErrorBody)))]
pub(crate) async fn reload(State(parts): State<Arc<Parts>>, Caller(by): Caller) -> Answer {
    let reloaded = parts.app.policies().reload_by(&by).await?;
    Ok(axum::Json(reloaded).into_response())
}
