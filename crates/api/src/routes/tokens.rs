//! `/v1/tokens`: who may call.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse as _;
use crmgate_app::TokenRequest;
use http::StatusCode;
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::access::Caller;
use crate::body::{Answer, Json, Named};
use crate::openapi::{CreatedTokenBody, TokenList, TokenRequestBody};
use crate::{ErrorBody, Parts};

/// All tokens, newest first, without their secrets.
#[utoipa::path(get, path = "/v1/tokens", tag = "tokens",
    responses((status = 200, body = TokenList), (status = "default", body = ErrorBody)))]
pub(crate) async fn list(State(parts): State<Arc<Parts>>, Caller(by): Caller) -> Answer {
    let items = parts.app.tokens().list(&by).await?;
    Ok(axum::Json(json!({"items": items})).into_response())
}

/// Makes a token. Its text is in this answer and nowhere else.
#[utoipa::path(post, path = "/v1/tokens", tag = "tokens",
    request_body = TokenRequestBody,
    responses((status = 201, body = CreatedTokenBody), (status = "default", body = ErrorBody)))]
pub(crate) async fn create(
    State(parts): State<Arc<Parts>>,
    Caller(by): Caller,
    Json(wanted): Json<TokenRequest>,
) -> Answer {
    let made = parts.app.tokens().create(&by, wanted).await?;
    let body = json!({"token": made.token.expose_secret(), "info": made.info});
    Ok((StatusCode::CREATED, axum::Json(body)).into_response())
}

/// Ends a token at once.
#[utoipa::path(delete, path = "/v1/tokens/{id}", tag = "tokens",
    params(("id" = String, Path, description = "The token's id, not its text.")),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn revoke(
    State(parts): State<Arc<Parts>>,
    Caller(by): Caller,
    Named(id): Named<String>,
) -> Answer {
    parts.app.tokens().revoke(&by, &id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
