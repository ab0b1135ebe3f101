//! What the control API answers when it does not do what it was asked: the one place where
//! failures become HTTP.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use crmgate_app::AppError;
use crmgate_app::operations::{LineError, SubmitError};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

/// Every error of the control API has this shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// A stable word; see [`CODES`].
    #[schema(example = "invalid")]
    pub code: String,
    /// What is wrong and what was expected, for people.
    pub message: String,
    /// More of it, for programs; its form depends on the code.
    pub details: Value,
}

/// Every code, and what it means. Part of the OpenAPI document.
pub const CODES: &[(&str, StatusCode, &str)] = &[
    (
        "invalid_json",
        StatusCode::BAD_REQUEST,
        "The body is not JSON, has a field that is not known, lacks one, or has one of another \
         type. `details.line` and `details.column` say where.",
    ),
    (
        "invalid",
        StatusCode::BAD_REQUEST,
        "A parameter of the path, the query or the body makes no sense. `details.parameter` names \
         it.",
    ),
    (
        "unauthenticated",
        StatusCode::UNAUTHORIZED,
        "There is no valid API token: send `Authorization: Bearer crmgate_…`.",
    ),
    (
        "forbidden",
        StatusCode::FORBIDDEN,
        "The token's roles, or the connections it is made for, do not allow it. The message names \
         the roles that would do.",
    ),
    (
        "not_found",
        StatusCode::NOT_FOUND,
        "There is no such thing, or the token may not see it: the two are not told apart.",
    ),
    (
        "method_not_allowed",
        StatusCode::METHOD_NOT_ALLOWED,
        "The path takes other methods; `Allow` names them.",
    ),
    (
        "conflict",
        StatusCode::CONFLICT,
        "It contradicts what is there already.",
    ),
    (
        "wrong_state",
        StatusCode::CONFLICT,
        "The operation stands where this cannot be done to it, perhaps since a moment ago. \
         `details.state` says where, `details.version` counts its moves.",
    ),
    (
        "already_decided",
        StatusCode::CONFLICT,
        "Somebody, or time, was faster. `details.ended` tells how, by whom and when.",
    ),
    (
        "idempotency_key_reused",
        StatusCode::UNPROCESSABLE_ENTITY,
        "The `Idempotency-Key` was used with another content, which was accepted as \
         `details.submission`.",
    ),
    (
        "submission_under_way",
        StatusCode::CONFLICT,
        "A request with this `Idempotency-Key` is not at its end: try again after `Retry-After`.",
    ),
    (
        "lines_refused",
        StatusCode::UNPROCESSABLE_ENTITY,
        "Lines are wrong, so nothing was taken. `details.errors` tells the first of them (`line`, \
         `code`, `message`, `field`, `client_id`), `details.refused` how many there are.",
    ),
    (
        "empty_submission",
        StatusCode::BAD_REQUEST,
        "There is no operation in the body.",
    ),
    (
        "body_broke_off",
        StatusCode::BAD_REQUEST,
        "The body did not come to its end; nothing of it was taken.",
    ),
    (
        "body_too_slow",
        StatusCode::REQUEST_TIMEOUT,
        "The body did not come in time; nothing of it was taken.",
    ),
    (
        "too_many_submissions",
        StatusCode::TOO_MANY_REQUESTS,
        "Too many submissions of this token are under way: try again after `Retry-After`.",
    ),
    (
        "busy",
        StatusCode::TOO_MANY_REQUESTS,
        "There is too much in the queue; nothing was taken. `details.reason` says of what \
         (`queue_full`, …); try again after `Retry-After`.",
    ),
    (
        "body_too_large",
        StatusCode::PAYLOAD_TOO_LARGE,
        "The body is longer than the control API takes. `details.limit` says how many bytes it does.",
    ),
    (
        "unsupported_media_type",
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "Bodies are JSON: send `Content-Type: application/json`, and no `Content-Encoding`.",
    ),
    (
        "policies_broken",
        StatusCode::UNPROCESSABLE_ENTITY,
        "The policies on disk cannot come into force; the last good revision stays. \
         `details.faults` lists every fault with its place.",
    ),
    (
        "refused_by_crm",
        StatusCode::UNPROCESSABLE_ENTITY,
        "The CRM said no to something that had to be looked up. `details.crm_code` is its code.",
    ),
    (
        "unavailable",
        StatusCode::SERVICE_UNAVAILABLE,
        "It cannot be done now and can be tried again: a store, or a CRM, does not answer.",
    ),
    (
        "internal",
        StatusCode::INTERNAL_SERVER_ERROR,
        "A fault of crmgate itself. The log says more.",
    ),
];

/// A failure on its way to the caller.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    code: &'static str,
    message: String,
    details: Box<Value>,
    retry_after: Option<Duration>,
}

impl ApiError {
    /// A failure of that code.
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        let details = Box::new(Value::Object(serde_json::Map::new()));
        Self {
            code,
            message,
            details,
            retry_after: None,
        }
    }

    /// The same with more for programs.
    #[must_use]
    pub fn with(mut self, details: Value) -> Self {
        self.details = Box::new(details);
        self
    }

    /// The same, to be tried again after this long.
    #[must_use]
    pub const fn after(mut self, time: Duration) -> Self {
        self.retry_after = Some(time);
        self
    }

    /// The status that goes with the code.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        CODES
            .iter()
            .find(|(code, _, _)| *code == self.code)
            .map_or(StatusCode::INTERNAL_SERVER_ERROR, |(_, status, _)| *status)
    }
}

impl From<AppError> for ApiError {
    fn from(error: AppError) -> Self {
        let failure = Self::new(error.code(), error.to_string());
        match error {
            AppError::Unauthenticated(_)
            | AppError::Forbidden(_)
            | AppError::Conflict(_)
            | AppError::Unavailable(_) => failure,
            AppError::Decided { ended, .. } => failure.with(json!({"ended": ended})),
            AppError::Stands { state, version, .. } => {
                failure.with(json!({"state": state, "version": version}))
            }
            AppError::NotFound { what, id } => failure.with(json!({"what": what, "id": id})),
            AppError::Invalid { parameter, .. } => failure.with(json!({"parameter": parameter})),
            AppError::Policies(faults) => failure.with(json!({"faults": faults_json(&faults)})),
            AppError::Refused { code, .. } => failure.with(json!({"crm_code": code})),
        }
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        let message = error.to_string();
        let told = |code| Self::new(code, message.clone());
        match error {
            SubmitError::App(error) => error.into(),
            SubmitError::Pushback(pushback) => {
                let code = if pushback.busy { "busy" } else { "unavailable" };
                told(code)
                    .with(json!({"reason": pushback.code}))
                    .after(pushback.retry_after)
            }
            SubmitError::KeyReused(id) => {
                told("idempotency_key_reused").with(json!({"submission": id}))
            }
            SubmitError::UnderWay(id) => told("submission_under_way")
                .with(json!({"submission": id}))
                .after(AGAIN),
            SubmitError::TooMany(_) => told("too_many_submissions").after(AGAIN),
            SubmitError::Wrong(line) => wrong(line),
            SubmitError::Refused {
                lines,
                refused,
                errors,
                truncated,
            } => told("lines_refused").with(json!({
                "lines": lines,
                "refused": refused,
                "errors": errors,
                "truncated": truncated,
            })),
            SubmitError::Empty => told("empty_submission"),
            SubmitError::TooLarge { limit, .. } => {
                told("body_too_large").with(json!({"limit": limit}))
            }
            SubmitError::TooSlow(_) => told("body_too_slow"),
            SubmitError::BrokenOff(_) => told("body_broke_off"),
        }
    }
}

/// What is wrong with a single operation: like every other body.
fn wrong(line: LineError) -> ApiError {
    let message = match &line.field {
        Some(field) => format!("{field}: {}", line.message),
        None => format!("the body: {}", line.message),
    };
    let (code, parameter) = match line.code.as_ref() {
        "unknown_connection" => ("not_found", line.field),
        "not_for_others" => ("forbidden", line.field),
        "invalid_json" | "invalid_member" if line.field.is_none() => ("invalid_json", None),
        _ => ("invalid", line.field),
    };
    ApiError::new(code, message).with(json!({"parameter": parameter, "reason": line.code}))
}

/// Faults of policies with their places.
pub(crate) fn faults_json(faults: &crmgate_policy::LoadErrors) -> Value {
    let faults = faults.all().iter().map(|fault| {
        json!({
            "file": fault.file,
            "line": fault.line,
            "column": fault.column,
            "code": fault.code,
            "message": fault.message,
            "remedy": fault.remedy,
        })
    });
    faults.collect()
}

/// When to try again what is not possible now, where nobody knows better.
const AGAIN: Duration = Duration::from_secs(2);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        let unavailable = status == StatusCode::SERVICE_UNAVAILABLE;
        let again = self.retry_after.or(unavailable.then_some(AGAIN));
        let body = ErrorBody {
            code: self.code.to_owned(),
            message: self.message,
            details: *self.details,
        };
        let mut response = (status, axum::Json(body)).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"crmgate\""),
            );
        }
        if let Some(again) = again {
            let seconds = again.as_secs() + u64::from(again.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}

/// For paths that nothing serves.
pub(crate) async fn no_such_path(uri: http::Uri) -> ApiError {
    ApiError::new("not_found", format!("there is no path `{}`", uri.path()))
}

/// For methods that a path does not take.
pub(crate) async fn no_such_method(method: http::Method, uri: http::Uri) -> ApiError {
    ApiError::new(
        "method_not_allowed",
        format!("`{}` does not take {method}", uri.path()),
    )
}

/// Turns a panic in a handler into the API's own shape.
pub(crate) async fn never_panic(
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> Response {
    use futures::FutureExt as _;
    let path = request.uri().path().to_owned();
    let run = std::panic::AssertUnwindSafe(next.run(request)).catch_unwind();
    run.await.unwrap_or_else(|_| {
        tracing::error!(path, "a handler of the control API panicked");
        ApiError::new(
            "internal",
            "crmgate met a fault of its own; its log says more",
        )
        .into_response()
    })
}
