//! `/v1/submissions`: what came in one request, and where it stands as a whole.

#![expect(
    unused_qualifications,
    reason = "utoipa's macro writes the path of the query's type out"
)]

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse as _;
use crmgate_domain::SubmissionId;
use serde::Deserialize;
use utoipa::IntoParams;

use super::waiting;
use crate::access::Caller;
use crate::body::{Answer, Asked, Named};
use crate::openapi::SubmissionBody;
use crate::{ErrorBody, Parts};

/// How long to wait.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Waiting {
    /// Answer only when nothing more happens before somebody acts, or after this long: `30s`, at
    /// most `60s`.
    wait: Option<String>,
}

/// A submission: how many of its operations stand where, and why.
#[utoipa::path(get, path = "/v1/submissions/{id}", tag = "operations",
    params(("id" = String, Path, description = "As submitting told."), Waiting),
    responses((status = 200, body = SubmissionBody), (status = "default", body = ErrorBody)))]
pub(crate) async fn show(
    State(parts): State<Arc<Parts>>,
    Caller(by): Caller,
    Named(id): Named<SubmissionId>,
    Asked(waiting): Asked<Waiting>,
) -> Answer {
    let most = waiting::time(waiting.wait.as_deref())?;
    let operations = parts.app.operations()?;
    let state = operations.wait_for_submission(&by, id, most).await?;
    Ok(axum::Json(state).into_response())
}
