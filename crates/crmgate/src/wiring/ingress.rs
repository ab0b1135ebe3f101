//! The listener for calls from outside. Nothing calls in yet; it answers so that it can be wired
//! and watched.

use axum::Router;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde_json::json;

/// Health, and "not found" for everything else.
pub(crate) fn router() -> Router {
    Router::new()
        .route(
            "/healthz",
            axum::routing::get(|| async { axum::Json(json!({"status": "ok"})) }),
        )
        .fallback(nothing)
}

async fn nothing(uri: http::Uri) -> Response {
    let body = crmgate_api::ErrorBody {
        code: "not_found".to_owned(),
        message: format!("there is no path `{}`", uri.path()),
        details: json!({}),
    };
    (StatusCode::NOT_FOUND, axum::Json(body)).into_response()
}
