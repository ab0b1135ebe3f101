//! The gate's answers in Salesforce's shape.
//!
//! What real clients do with each status decides: any 401 makes them sign in again, some for ever,
//! so it stands only for bad credentials; 5xx and 429 are retried, so they stand for inabilities;
//! a verdict is 400 or 403. One element per answer, because jsforce makes several into
//! `MULTIPLE_API_ERRORS` and drops the messages.

use crmgate_connector::{Class, Malformed, NativeResponse, Refusal, RequestHead};
use crmgate_domain::{Document, Object};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::door;
use crate::soap;

#[cfg(test)]
mod tests;

/// What Salesforce calls a refusal by a rule of the org; clients show its message as it is.
const VERDICT: &str = "FIELD_CUSTOM_VALIDATION_EXCEPTION";

/// Calls made and calls that may be made.
const LIMITS: HeaderName = HeaderName::from_static("sforce-limit-info");

const JSON: &str = "application/json;charset=UTF-8";

/// How a refusal looks, whatever the protocol.
struct Shown {
    status: StatusCode,
    code: &'static str,
    message: String,
    fields: Vec<String>,
}

/// Which protocol a request speaks.
enum Protocol {
    Rest,
    OAuth,
    Soap,
}

/// Puts an answer of the gate into Salesforce's shape.
pub(crate) fn render(head: &RequestHead, refusal: &Refusal) -> NativeResponse {
    let shown = shown(refusal);
    let mut response = match protocol(head) {
        Protocol::Rest if shown.status == StatusCode::ACCEPTED => unsaved(&shown),
        Protocol::Rest => errors(shown.status, shown.code, &shown.message, &shown.fields),
        Protocol::OAuth => oauth(&shown),
        // There the request was a login, and no session has ended.
        Protocol::Soap if shown.status == StatusCode::UNAUTHORIZED => {
            soap::fault(head.path(), "INVALID_LOGIN", &shown.message)
        }
        Protocol::Soap => soap::fault(head.path(), shown.code, &shown.message),
    };
    if let Refusal::Inability { retry_after, .. } = refusal {
        let seconds = retry_after.as_secs().max(1).to_string();
        if let Ok(seconds) = HeaderValue::from_str(&seconds) {
            response.headers.insert(header::RETRY_AFTER, seconds);
        }
    }
    response
}

fn protocol(head: &RequestHead) -> Protocol {
    if head
        .path()
        .to_ascii_lowercase()
        .starts_with("/services/soap/")
    {
        return Protocol::Soap;
    }
    match door::classify(head) {
        Class::SignIn(_) => Protocol::OAuth,
        _ => Protocol::Rest,
    }
}

fn shown(refusal: &Refusal) -> Shown {
    let show = |status, code, message: String| Shown {
        status,
        code,
        message,
        fields: Vec::new(),
    };
    match refusal {
        Refusal::Denied {
            decision,
            message,
            fields,
            about_actor,
        } => {
            let (status, code) = if *about_actor {
                (StatusCode::FORBIDDEN, "INSUFFICIENT_ACCESS_OR_READONLY")
            } else {
                (StatusCode::BAD_REQUEST, VERDICT)
            };
            Shown {
                fields: fields.clone(),
                ..show(status, code, format!("{message} [decision {decision}]"))
            }
        }
        Refusal::Held {
            decision,
            hold,
            operation: None,
            message,
        } => show(
            StatusCode::BAD_REQUEST,
            VERDICT,
            format!("{message} [hold {hold}, decision {decision}]"),
        ),
        Refusal::Held {
            decision,
            hold,
            operation: Some(operation),
            message,
        } => show(
            StatusCode::ACCEPTED,
            VERDICT,
            format!("{message} [operation {operation}, hold {hold}, decision {decision}]"),
        ),
        Refusal::Inability {
            decision, message, ..
        } => {
            let named = decision.map(|decision| format!(" [decision {decision}]"));
            show(
                StatusCode::SERVICE_UNAVAILABLE,
                "SERVER_UNAVAILABLE",
                format!("{message}{}", named.unwrap_or_default()),
            )
        }
        Refusal::NotUnderstood { message } => show(
            StatusCode::FORBIDDEN,
            "FUNCTIONALITY_NOT_ENABLED",
            message.clone(),
        ),
        Refusal::Malformed(malformed) => malformed_shown(malformed),
        Refusal::TooLarge { limit } => show(
            StatusCode::PAYLOAD_TOO_LARGE,
            "REQUEST_ENTITY_TOO_LARGE",
            format!("the body is longer than {limit} bytes"),
        ),
        Refusal::Unauthenticated { message } => show(
            StatusCode::UNAUTHORIZED,
            "INVALID_SESSION_ID",
            message.clone(),
        ),
        Refusal::Forbidden { message } => show(
            StatusCode::FORBIDDEN,
            "INSUFFICIENT_ACCESS_OR_READONLY",
            message.clone(),
        ),
        Refusal::PreconditionFailed { message } => show(
            StatusCode::PRECONDITION_FAILED,
            "PRECONDITION_FAILED",
            message.clone(),
        ),
    }
}

fn malformed_shown(malformed: &Malformed) -> Shown {
    let bad = StatusCode::BAD_REQUEST;
    let (status, code) = match malformed.code {
        "invalid_json" | "invalid_value" | "body_incomplete" | "broken_encoding" => {
            (bad, "JSON_PARSER_ERROR")
        }
        "invalid_id" => (bad, "MALFORMED_ID"),
        "unknown_field" | "invalid_field" | "duplicate_field" => (bad, "INVALID_FIELD"),
        "unsupported_media_type" | "unsupported_encoding" => {
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE")
        }
        _ => (StatusCode::FORBIDDEN, "FUNCTIONALITY_NOT_ENABLED"),
    };
    Shown {
        status,
        code,
        message: malformed.message.clone(),
        fields: malformed.fields.clone(),
    }
}

/// An error body of the REST API: an array with one element.
pub(crate) fn errors(
    status: StatusCode,
    code: &str,
    message: &str,
    fields: &[String],
) -> NativeResponse {
    let mut error = Object::new();
    error.set("message", message.into());
    error.set("errorCode", code.into());
    // Salesforce names fields for what is wrong with a record, and has none for what is wrong with
    // a request.
    if !fields.is_empty() || code == VERDICT {
        let fields = fields.iter().map(|field| field.as_str().into()).collect();
        error.set("fields", Document::Array(fields));
    }
    let body = Document::Array(vec![error.into()]);
    NativeResponse::full(status, JSON, body.to_json())
}

/// The answer to what waits for people and is written without the caller: a result that is no
/// success.
fn unsaved(shown: &Shown) -> NativeResponse {
    let mut error = Object::new();
    error.set("statusCode", shown.code.into());
    error.set("message", shown.message.as_str().into());
    error.set("fields", Document::Array(Vec::new()));
    let mut body = Object::new();
    body.set("id", Document::Null);
    body.set("success", false.into());
    body.set("errors", Document::Array(vec![error.into()]));
    NativeResponse::full(shown.status, JSON, Document::from(body).to_json())
}

/// The answer to a create, as it would have come, had this been the first to say so.
pub(crate) fn created(place: &str, id: &str, answer: &HeaderMap) -> NativeResponse {
    let mut body = Object::new();
    body.set("id", id.into());
    body.set("success", true.into());
    body.set("errors", Document::Array(Vec::new()));
    let body = Document::from(body).to_json();
    let mut response = NativeResponse::full(StatusCode::CREATED, JSON, body);
    response.headers = created_headers(Some((place, id)), answer);
    response
}

/// Headers of the answer for one record, out of those of the answer that held it.
pub(crate) fn created_headers(made: Option<(&str, &str)>, answer: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    for name in [header::CACHE_CONTROL, LIMITS, header::RETRY_AFTER] {
        if let Some(value) = answer.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    let location = made.map(|(place, id)| format!("{place}/{id}"));
    if let Some(location) = location.and_then(|text| HeaderValue::from_str(&text).ok()) {
        headers.insert(header::LOCATION, location);
    }
    headers
}

/// An error body of a token end point: an object.
fn oauth(shown: &Shown) -> NativeResponse {
    let (status, code) = match shown.status {
        StatusCode::UNAUTHORIZED => (StatusCode::BAD_REQUEST, "invalid_grant"),
        StatusCode::FORBIDDEN => (StatusCode::BAD_REQUEST, "invalid_client"),
        StatusCode::SERVICE_UNAVAILABLE => (shown.status, "temporarily_unavailable"),
        status => (status, "invalid_request"),
    };
    let mut body = Object::new();
    body.set("error", code.into());
    body.set("error_description", shown.message.as_str().into());
    NativeResponse::full(status, JSON, Document::from(body).to_json())
}
