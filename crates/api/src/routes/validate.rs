//! `POST /v1/validate`: a decision without a write.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse as _;
use crmgate_app::ValidateRequest;

use crate::ErrorBody;
use crate::Parts;
use crate::access::Caller;
use crate::body::{Answer, Json};
use crate::openapi::{ValidateBody, ValidatedBody};

/// Judges an operation and records the decision; nothing is written to the CRM.
#[utoipa::path(post, path = "/v1/validate", tag = "decisions",
    request_body = ValidateBody,
    responses((status = 200, body = ValidatedBody), (status = "default", body = ErrorBody)))]
pub(crate) async fn validate(
    State(parts): State<Arc<Parts>>,
    Caller(by): Caller,
    Json(request): Json<ValidateRequest>,
) -> Answer {
    let validated = parts.app.validate(&by, request).await?;
    Ok(axum::Json(validated).into_response())
}
