//! Bodies and queries, refused with the place of what is wrong.

use axum::body::HttpBody as _;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::Response;
use http::header;
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::ApiError;

/// The longest body that the control API takes.
pub const MAX_BODY: usize = 1 << 20;

/// A JSON body. Unknown fields are refused by the types themselves.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, Self::Rejection> {
        check_type(&request)?;
        let bytes = axum::body::to_bytes(request.into_body(), MAX_BODY)
            .await
            .map_err(|_| {
                let message = format!("the body is longer than {MAX_BODY} bytes, or broke off");
                ApiError::new("body_too_large", message).with(json!({"limit": MAX_BODY}))
            })?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            ApiError::new("invalid_json", format!("the body: {error}"))
                .with(json!({"line": error.line(), "column": error.column()}))
        })
    }
}

/// A JSON body that may as well be missing.
pub(crate) struct OrNothing<T>(pub(crate) T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OrNothing<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let typed = request.headers().contains_key(header::CONTENT_TYPE);
        if !typed && request.body().size_hint().exact() == Some(0) {
            return Ok(Self(T::default()));
        }
        Json::from_request(request, state)
            .await
            .map(|Json(given)| Self(given))
    }
}

fn check_type(request: &Request) -> Result<(), ApiError> {
    let headers = request.headers();
    let plain = !headers.contains_key(header::CONTENT_ENCODING);
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|value| value.trim().to_ascii_lowercase());
    if plain && kind.as_deref() == Some("application/json") {
        Ok(())
    } else {
        Err(ApiError::new(
            "unsupported_media_type",
            "expected a body of `Content-Type: application/json`, without `Content-Encoding`",
        ))
    }
}

/// Query parameters. Unknown ones are refused by the types themselves.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|rejection| {
                // The library's own words come last in its sources and are the only useful ones.
                let mut error: &dyn std::error::Error = &rejection;
                while let Some(source) = error.source() {
                    error = source;
                }
                ApiError::new("invalid", format!("the query: {error}"))
                    .with(json!({"parameter": "query"}))
            })
    }
}

/// A part of the path that names something.
pub(crate) struct Named<T>(pub(crate) T);

impl<T, S> FromRequestParts<S> for Named<T>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let path = axum::extract::Path::<String>::from_request_parts(parts, state).await;
        let text = path.map_or_else(|_| String::new(), |axum::extract::Path(text)| text);
        text.parse().map(Self).map_err(|error: T::Err| {
            ApiError::new("invalid", format!("`{text}` in the path: {error}"))
                .with(json!({"parameter": "path"}))
        })
    }
}

/// What handlers give back.
pub(crate) type Answer = Result<Response, ApiError>;
