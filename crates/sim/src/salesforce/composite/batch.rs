//! `/composite/batch`: up to 25 requests that know nothing of each other.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{MOST_PARTS, Part, parsed};
use crate::salesforce::error::ApiError;
use crate::salesforce::reply::Reply;
use crate::salesforce::rest::Rest;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Body {
    #[serde(default)]
    halt_on_error: bool,
    batch_requests: Vec<Request>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Request {
    method: String,
    url: String,
    rich_input: Option<Value>,
}

pub(super) fn batch(rest: &Rest<'_>) -> Result<Reply, ApiError> {
    let body: Body = parsed(rest.body()?)?;
    if body.batch_requests.is_empty() {
        return Err(ApiError::bad(
            "INVALID_INPUT",
            "At least one subrequest is required",
        ));
    }
    if body.batch_requests.len() > MOST_PARTS {
        let message = format!("Cannot have more than {MOST_PARTS} subrequests in a batch request");
        return Err(ApiError::bad("LIMIT_EXCEEDED", message));
    }
    let mut failed = false;
    let mut results = Vec::with_capacity(body.batch_requests.len());
    for (index, request) in body.batch_requests.iter().enumerate() {
        let reply = if failed && body.halt_on_error {
            halted()
        } else {
            answer(rest, index, request)
        };
        failed |= reply.status.as_u16() >= 400;
        results.push(json!({"statusCode": reply.status.as_u16(), "result": reply.body}));
    }
    Ok(Reply::ok(json!({"hasErrors": failed, "results": results})))
}

fn halted() -> Reply {
    Reply::from(ApiError::new(
        StatusCode::PRECONDITION_FAILED,
        "BATCH_PROCESSING_HALTED",
        "Batch processing halted per request",
    ))
}

/// The address may leave out what all addresses begin with.
fn answer(rest: &Rest<'_>, index: usize, request: &Request) -> Reply {
    let url = match request.url.strip_prefix("/services/data/") {
        Some(_) => request.url.clone(),
        None => format!("/services/data/{}", request.url.trim_start_matches('/')),
    };
    let part = Part {
        index,
        method: &request.method,
        url: &url,
        headers: &Map::new(),
        body: request.rich_input.as_ref(),
    };
    part.answer(rest)
}
