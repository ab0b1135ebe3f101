//! `/composite`: up to 25 requests that may refer to each other, all or none of them if that is asked.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::references::{self, Answers};
use super::{MOST_PARTS, Part, parsed};
use crate::salesforce::error::ApiError;
use crate::salesforce::reply::Reply;
use crate::salesforce::rest::Rest;

/// Most collections and queries among the requests.
const MOST_HEAVY: usize = 5;
/// What the call as a whole says for its parts.
const INHERITED: [&str; 3] = ["accept", "authorization", "content-type"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Body {
    #[serde(default)]
    all_or_none: bool,
    /// Only changes the order, which nothing here depends on.
    #[serde(default, rename = "collateSubrequests")]
    _collate: Option<bool>,
    composite_request: Vec<Request>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Request {
    method: String,
    url: String,
    reference_id: String,
    body: Option<Value>,
    #[serde(default)]
    http_headers: Option<Map<String, Value>>,
}

pub(super) fn composite(rest: &Rest<'_>) -> Result<Reply, ApiError> {
    let body: Body = parsed(rest.body()?)?;
    check(rest, &body.composite_request)?;
    let mark = rest.org.write().begin();
    let mut answers = Answers::new();
    let mut shown = Vec::with_capacity(body.composite_request.len());
    let mut failed = None;
    for (index, request) in body.composite_request.iter().enumerate() {
        let reply = answer(rest, &answers, index, request);
        let bad = reply.status.as_u16() >= 400 || (body.all_or_none && holds_failure(&reply));
        if reply.status.is_success() {
            answers.insert(
                request.reference_id.clone(),
                reply.body.clone().unwrap_or_default(),
            );
        }
        shown.push(show(request, reply));
        if bad && body.all_or_none {
            failed = Some(index);
            break;
        }
    }
    let Some(failed) = failed else {
        rest.org.write().commit();
        return Ok(Reply::ok(json!({"compositeResponse": shown})));
    };
    rest.org.write().roll_back(mark);
    let cause = shown.pop().unwrap_or_default();
    let message =
        "The transaction was rolled back since another operation in the same transaction failed.";
    let halted = |request: &Request| {
        show(
            request,
            Reply::from(ApiError::bad("PROCESSING_HALTED", message)),
        )
    };
    let all: Value = body
        .composite_request
        .iter()
        .enumerate()
        .map(|(index, request)| {
            if index == failed {
                cause.clone()
            } else {
                halted(request)
            }
        })
        .collect();
    Ok(Reply::ok(json!({"compositeResponse": all})))
}

fn check(rest: &Rest<'_>, requests: &[Request]) -> Result<(), ApiError> {
    let bad = |message: String| Err(ApiError::bad("INVALID_INPUT", message));
    if requests.is_empty() {
        return bad("At least one subrequest is required".to_owned());
    }
    if requests.len() > MOST_PARTS {
        return Err(ApiError::bad(
            "LIMIT_EXCEEDED",
            format!("Cannot have more than {MOST_PARTS} subrequests in a composite request"),
        ));
    }
    let heavy = requests.iter().filter(|request| is_heavy(&request.url));
    if heavy.count() > MOST_HEAVY {
        return Err(ApiError::bad(
            "LIMIT_EXCEEDED",
            format!("Cannot have more than {MOST_HEAVY} collection or query subrequests"),
        ));
    }
    for (index, request) in requests.iter().enumerate() {
        let name = &request.reference_id;
        let legal = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !legal && rest.version.since(52) {
            return bad(format!(
                "The reference ID {name} contains illegal characters"
            ));
        }
        if requests
            .iter()
            .take(index)
            .any(|before| before.reference_id == *name)
        {
            return bad(format!(
                "Duplicate ReferenceId provided in the request: {name}"
            ));
        }
        if !request.url.starts_with("/services/data/v") {
            return bad(format!(
                "The url must start with /services/data/: {}",
                request.url
            ));
        }
        let headers = request.http_headers.iter().flat_map(Map::keys);
        let mut own = headers.filter(|name| {
            INHERITED
                .iter()
                .any(|other| name.eq_ignore_ascii_case(other))
        });
        if let Some(name) = own.next() {
            return bad(format!("The header {name} can't be set in a subrequest"));
        }
    }
    Ok(())
}

fn is_heavy(url: &str) -> bool {
    let path = url.split('?').next().unwrap_or_default();
    path.contains("/composite/sobjects") || path.contains("/query")
}

fn answer(rest: &Rest<'_>, answers: &Answers, index: usize, request: &Request) -> Reply {
    let halted =
        |missing: references::Missing| Reply::from(ApiError::bad("PROCESSING_HALTED", missing.0));
    let url = match references::text(answers, &request.url) {
        Ok(url) => url,
        Err(missing) => return halted(missing),
    };
    let body = match request
        .body
        .as_ref()
        .map(|body| references::value(answers, body))
    {
        Some(Err(missing)) => return halted(missing),
        Some(Ok(body)) => Some(body),
        None => None,
    };
    let none = Map::new();
    let part = Part {
        index,
        method: &request.method,
        url: &url,
        headers: request.http_headers.as_ref().unwrap_or(&none),
        body: body.as_ref(),
    };
    part.answer(rest)
}

/// Whether a collection among the requests had a record that failed.
fn holds_failure(reply: &Reply) -> bool {
    reply.status == StatusCode::OK
        && reply
            .body
            .as_ref()
            .and_then(Value::as_array)
            .is_some_and(|rows| {
                rows.iter()
                    .any(|row| row.get("success") == Some(&Value::Bool(false)))
            })
}

fn show(request: &Request, reply: Reply) -> Value {
    let headers: Map<String, Value> = reply
        .headers
        .into_iter()
        .map(|(name, value)| (capitalized(name.as_str()), Value::String(value)))
        .collect();
    json!({
        "body": reply.body,
        "httpHeaders": headers,
        "httpStatusCode": reply.status.as_u16(),
        "referenceId": request.reference_id,
    })
}

/// `last-modified` → `Last-Modified`.
fn capitalized(name: &str) -> String {
    let mut start = true;
    let each = |c: char| {
        let shown = if start { c.to_ascii_uppercase() } else { c };
        start = c == '-';
        shown
    };
    match name {
        "etag" => "ETag".to_owned(),
        _ => name.chars().map(each).collect(),
    }
}
