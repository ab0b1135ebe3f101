//! Resources, limits, and refusals that the front decides.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::reply::{Reply, plain};
use super::rest::Rest;
use super::soap;
use super::usage::Usage;
use crate::crm::{Answer, Call, Refusal};
use crate::faults::RowFault;

/// `/services/data/v66.0`
pub(super) fn resources(rest: &Rest<'_>) -> Result<Reply, ApiError> {
    let base = format!("/services/data/v{}", rest.version.text());
    let mut list = Map::new();
    for name in [
        "composite",
        "limits",
        "query",
        "queryAll",
        "search",
        "sobjects",
    ] {
        list.insert(name.to_owned(), Value::String(format!("{base}/{name}")));
    }
    let id = format!(
        "{}/id/{}/{}",
        rest.call.base_url, rest.org.options.org_id, rest.caller.user
    );
    list.insert("identity".to_owned(), Value::String(id));
    Ok(Reply::ok(Value::Object(list)))
}

/// `/limits`
pub(super) fn limits(rest: &Rest<'_>) -> Result<Reply, ApiError> {
    let (used, max) = rest.org.usage.seen();
    let free = |max: u64| json!({"Max": max, "Remaining": max});
    Ok(Reply::ok(json!({
        "DailyApiRequests": {"Max": max, "Remaining": max.saturating_sub(used)},
        "ConcurrentAsyncGetReportInstances": free(200),
        "DailyBulkApiBatches": free(15_000),
        "DailyBulkV2QueryJobs": free(10_000),
        "DailyAsyncApexExecutions": free(250_000),
        "DailyDurableStreamingApiEvents": free(10_000),
        "DataStorageMB": free(1024),
        "FileStorageMB": free(1024),
        "HourlyAsyncReportRuns": free(1200),
        "MassEmail": free(5000),
        "SingleEmail": free(5000),
    })))
}

/// What the front refuses, in the words of the interface that was called.
pub(super) fn refuse(usage: &Usage, call: &Call, refusal: &Refusal) -> Answer {
    let (error, retry_after) = match refusal {
        Refusal::Status {
            status,
            retry_after,
        } => (for_status(*status), *retry_after),
        Refusal::LockedRow => (locked(), None),
        Refusal::TooLarge => (for_status(StatusCode::PAYLOAD_TOO_LARGE), None),
        Refusal::UnknownEncoding(encoding) => {
            let message = format!("Content-Encoding {encoding} not supported");
            (
                ApiError::new(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "UNSUPPORTED_MEDIA_TYPE",
                    message,
                ),
                None,
            )
        }
        Refusal::BrokenEncoding => (
            ApiError::bad(
                "UNKNOWN_EXCEPTION",
                "The request body does not match its Content-Encoding",
            ),
            None,
        ),
    };
    let mut answer = shape(usage, call, &error);
    if let Some(seconds) = retry_after {
        answer
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

fn shape(usage: &Usage, call: &Call, error: &ApiError) -> Answer {
    let (code, message) = error
        .reasons
        .first()
        .map_or(("", ""), |one| (one.code, one.message.as_str()));
    if matches!(
        error.status,
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT
    ) {
        // These come from the edge in front of the org, which knows no JSON.
        let body = format!(
            "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>",
            error.status
        );
        return plain(error.status, "text/html;charset=UTF-8", Bytes::from(body));
    }
    if call.path().starts_with("/services/oauth2/") {
        let error_code = match error.status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::FORBIDDEN => "rate_limit_exceeded",
            StatusCode::UNAUTHORIZED => "invalid_client",
            StatusCode::BAD_REQUEST => "invalid_grant",
            _ => "server_error",
        };
        let body = json!({"error": error_code, "error_description": message});
        return Reply::json(error.status, body).render(false);
    }
    if call.path().starts_with("/services/Soap/") {
        let mut answer = soap::fault(&format!("sf:{code}"), &format!("{code}: {message}"));
        *answer.status_mut() = error.status;
        return answer;
    }
    let mut answer = Reply::from(error.clone()).render(false);
    if let Ok(info) = HeaderValue::from_str(&usage.header()) {
        answer
            .headers_mut()
            .insert(HeaderName::from_static("sforce-limit-info"), info);
    }
    answer
}

fn locked() -> ApiError {
    let message = "unable to obtain exclusive access to this record";
    ApiError::fields("UNABLE_TO_LOCK_ROW", message, [])
}

/// What a fault does to one row, in the words of the interface.
pub(super) fn row_refusal(fault: RowFault) -> ApiError {
    match fault {
        RowFault::Locked => locked(),
        RowFault::Status { status, .. } if status == StatusCode::BAD_REQUEST => {
            let message = "The record was refused by a fault of the simulator";
            ApiError::fields("FIELD_INTEGRITY_EXCEPTION", message, [])
        }
        RowFault::Status { status, .. } => for_status(status),
    }
}

/// The error that the interface answers under this status.
fn for_status(status: StatusCode) -> ApiError {
    let (code, message) = match status.as_u16() {
        400 => ("UNKNOWN_EXCEPTION", "The request couldn't be understood."),
        401 => ("INVALID_SESSION_ID", "Session expired or invalid"),
        403 => ("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."),
        404 => ("NOT_FOUND", "The requested resource does not exist"),
        405 => ("METHOD_NOT_ALLOWED", "HTTP Method not allowed."),
        409 => (
            "CONFLICT",
            "The request conflicts with the current state of the resource.",
        ),
        410 => (
            "UNSUPPORTED_API_VERSION",
            "The requested API version has been retired.",
        ),
        412 => (
            "PRECONDITION_FAILED",
            "A precondition of the request was not satisfied.",
        ),
        413 => ("REQUEST_TOO_LARGE", "The request body is too large."),
        414 => ("URI_TOO_LONG", "The URI is too long."),
        415 => (
            "UNSUPPORTED_MEDIA_TYPE",
            "The request body's format is not supported.",
        ),
        420 => (
            "SERVER_UNAVAILABLE",
            "Salesforce Edge doesn't have routing information available for this request host.",
        ),
        428 => ("PRECONDITION_REQUIRED", "The request was not conditional."),
        429 => (
            "REQUEST_LIMIT_EXCEEDED",
            "ConcurrentRequests (Concurrent API Requests) Limit exceeded.",
        ),
        431 => (
            "REQUEST_HEADER_FIELDS_TOO_LARGE",
            "The URI and the headers are too long together.",
        ),
        503 => (
            "SERVER_UNAVAILABLE",
            "The server is unavailable to handle the request.",
        ),
        500..600 => (
            "UNKNOWN_EXCEPTION",
            "An unexpected error occurred. Please include this ErrorId if you contact support: 1234567890-12345 (-123456789)",
        ),
        _ => ("UNKNOWN_EXCEPTION", "The request was refused."),
    };
    ApiError::new(status, code, message)
}
