//! `POST /v1/operations`: one operation, or many as they come.

#![expect(
    unused_qualifications,
    reason = "utoipa's macro writes the path of the query's type out"
)]

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use crmgate_app::operations::{BrokenOff, Incoming, OnError, Submit, Submitted};
use crmgate_app::{Operations, Principal};
use crmgate_domain::{ConnectionName, State as Stands};
use crmgate_store::TraceRef;
use futures::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

use super::inflate::gunzip;
use crate::access::Caller;
use crate::body::{Answer, Asked};
use crate::openapi::{OperationRequestBody, SubmittedBody};
use crate::{ApiError, ErrorBody, Parts};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// What the media types of lines are called.
const LINES: [&str; 5] = [
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
    "application/json-lines",
];

/// How it is submitted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct How {
    /// What becomes of the other lines when some are wrong: `refuse` (nothing is taken; the
    /// default) or `skip` (they are taken).
    #[param(value_type = Option<String>)]
    #[serde(default)]
    on_error: OnError,
    /// The connection of operations that name none.
    #[param(value_type = Option<String>)]
    connection: Option<ConnectionName>,
}

/// Takes operations into the queue: one as JSON, or many as NDJSON, also with `Content-Encoding:
/// gzip`. After a 202 they are on disk, and each ends in exactly one state; after anything else
/// nothing of them was taken. With an `Idempotency-Key` the same request can be sent again.
#[utoipa::path(post, path = "/v1/operations", tag = "operations",
    params(How, ("Idempotency-Key" = Option<String>, Header,
        description = "1 to 255 visible ASCII characters; one per content and token.")),
    request_body(content((OperationRequestBody = "application/json"), (String = "application/x-ndjson"))),
    responses((status = 202, body = SubmittedBody), (status = "default", body = ErrorBody)))]
pub(crate) async fn submit(
    State(parts): State<Arc<Parts>>,
    Caller(by): Caller,
    Asked(how): Asked<How>,
    request: Request,
) -> Answer {
    let headers = request.headers();
    let submit = Submit {
        key: key(headers)?,
        on_error: how.on_error,
        connection: how.connection,
        single: is_single(headers)?,
        trace: crmgate_telemetry::trace::current().map(|ids| TraceRef {
            trace_id: ids.trace_id,
            span_id: ids.span_id,
        }),
    };
    let packed = is_packed(headers)?;
    let single = submit.single;
    let body = request.into_body().into_data_stream();
    let body: Incoming =
        Box::pin(body.map(|piece| piece.map_err(|error| BrokenOff(error.to_string()))));
    let body = if packed { gunzip(body) } else { body };
    let operations = parts.app.operations()?;
    let submitted = operations.submit(&by, submit, body).await?;
    answer(operations, &by, &submitted, single).await
}

async fn answer(
    operations: &Operations,
    by: &Principal,
    submitted: &Submitted,
    single: bool,
) -> Answer {
    let submission = format!("/v1/submissions/{}", submitted.submission);
    let (body, location) = if let Some(id) = submitted.operation.filter(|_| single) {
        let path = format!("/v1/operations/{id}");
        // One that was there before may have gone on.
        let new = submitted.accepted > 0 && !submitted.replayed;
        let state = if new {
            Stands::Received
        } else {
            let found = operations.show(by, id).await;
            found.map_or(Stands::Received, |found| found.state)
        };
        let body = json!({
            "id": id,
            "submission": submitted.submission,
            "state": state,
            "repeated": submitted.repeated > 0,
            "links": {"operation": path, "submission": submission},
        });
        (body, path)
    } else {
        let body = json!({
            "submission": submitted.submission,
            "accepted": submitted.accepted,
            "repeated": submitted.repeated,
            "refused": submitted.refused,
            "errors": submitted.errors,
            "truncated": submitted.truncated,
            "links": {"submission": submission},
        });
        (body, submission)
    };
    let mut response: Response = (StatusCode::ACCEPTED, axum::Json(body)).into_response();
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::try_from(location) {
        headers.insert(header::LOCATION, location);
    }
    if submitted.replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

fn key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let mut given = headers.get_all(KEY).iter();
    let first = given.next();
    let text = first.map(HeaderValue::to_str).transpose();
    match (text, given.next()) {
        (Ok(text), None) => Ok(text.map(|text| text.trim().to_owned())),
        _ => Err(ApiError::new(
            "invalid",
            "Idempotency-Key: expected one, of visible ASCII characters",
        )
        .with(json!({"parameter": "Idempotency-Key"}))),
    }
}

fn is_single(headers: &HeaderMap) -> Result<bool, ApiError> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|value| value.trim().to_ascii_lowercase())
        .unwrap_or_default();
    if kind == "application/json" {
        return Ok(true);
    }
    if LINES.contains(&kind.as_str()) {
        return Ok(false);
    }
    Err(ApiError::new(
        "unsupported_media_type",
        "expected `Content-Type: application/json` for one operation, or `application/x-ndjson` \
         for one a line",
    ))
}

fn is_packed(headers: &HeaderMap) -> Result<bool, ApiError> {
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    let first = encodings.next().map(HeaderValue::as_bytes);
    match (first, encodings.next()) {
        (None | Some(b"identity"), None) => Ok(false),
        (Some(b"gzip" | b"x-gzip"), None) => Ok(true),
        _ => Err(ApiError::new(
            "unsupported_media_type",
            "expected `Content-Encoding: gzip`, or none",
        )),
    }
}
