//! `$batch`: many requests in one.

mod inner;
mod mime;

use std::collections::HashMap;

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};

use super::error::{ApiError, Outcome};
use super::service::Environment;
use crate::crm::{Answer, Call};
use inner::Item;

pub(crate) use inner::Step;

/// How many requests one batch may hold.
const MOST: usize = 1000;

/// Whether this is a batch.
pub(crate) fn is(call: &Call) -> bool {
    let rest = call.path().strip_prefix("/api/data/").unwrap_or_default();
    let place = rest.split_once('/').map_or("", |(_, place)| place);
    place == "$batch" || place.eq_ignore_ascii_case("%24batch")
}

/// Answers a batch.
pub(crate) fn answer(environment: &Environment, call: &Call) -> Answer {
    let items = read(call);
    // A batch that can't be read is one request all the same.
    let operations = items.as_deref().map_or(1, count).max(1);
    let left = match environment.look(|store| environment.who(call, store, operations)) {
        Ok((_, left)) => left,
        Err(error) => return environment.dress(call, error.answer(), None),
    };
    let answer = match items {
        Ok(items) => done(environment, call, &items),
        Err(error) => error.answer(),
    };
    environment.dress(call, answer, Some(left))
}

fn count(items: &[Item]) -> usize {
    items.iter().map(Item::len).sum()
}

/// Reads all of it before any of it is done.
fn read(call: &Call) -> Outcome<Vec<Item>> {
    if call.method != Method::POST {
        return Err(ApiError::method(&call.method));
    }
    let kind = call.header("content-type").unwrap_or_default();
    let boundary = mime::boundary(kind).ok_or_else(|| {
        ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "0x80060888",
            format!(
                "The batch request has the Content-Type '{kind}'; it must be 'multipart/mixed' with a boundary."
            ),
        )
    })?;
    let body = std::str::from_utf8(&call.body)
        .map_err(|_| ApiError::query("The batch request is not UTF-8."))?;
    let parts = mime::split(body, &boundary).map_err(ApiError::query)?;
    let mut items = Vec::with_capacity(parts.len());
    for part in &parts {
        let kind = part.header("content-type").unwrap_or_default();
        items.push(match mime::boundary(kind) {
            Some(boundary) => change_set(part.body, &boundary)?,
            None => Item::Alone(Step::read(part)?),
        });
    }
    if count(&items) > MOST {
        return Err(ApiError::query(format!(
            "The batch request holds {} operations; it may hold {MOST} at most.",
            count(&items)
        )));
    }
    Ok(items)
}

fn change_set(body: &str, boundary: &str) -> Outcome<Item> {
    let parts = mime::split(body, boundary).map_err(ApiError::query)?;
    let mut steps: Vec<Step> = Vec::with_capacity(parts.len());
    for part in &parts {
        let step = Step::read(part)?;
        if step.method == Method::GET {
            return Err(ApiError::query(
                "An invalid HTTP method 'GET' was detected for a request in a change set. Requests in change sets only support the HTTP methods 'POST', 'PUT', 'DELETE', and 'PATCH'.",
            ));
        }
        let id = step.content_id.as_ref().ok_or_else(|| {
            ApiError::query(
                "The 'Content-ID' header is missing for a request in a change set. Each operation in a change set must have one.",
            )
        })?;
        if steps.iter().any(|one| one.content_id.as_ref() == Some(id)) {
            return Err(ApiError::query(format!(
                "The content ID '{id}' was found more than once in the same change set. Content IDs have to be unique across all operations of a change set."
            )));
        }
        steps.push(step);
    }
    Ok(Item::Together(steps))
}

/// Does one after the other; after an error only if the client asked for it.
fn done(environment: &Environment, call: &Call, items: &[Item]) -> Answer {
    let goes_on = call
        .headers
        .get_all("prefer")
        .into_iter()
        .filter_map(|line| line.to_str().ok())
        .any(|line| line.contains("odata.continue-on-error"));
    let mut status = StatusCode::OK;
    let boundary = format!("batchresponse_{}", environment.fresh_id());
    let mut text = String::new();
    let mut row = 0;
    for item in items {
        let out = (boundary.as_str(), &mut text);
        let failed = match item {
            Item::Alone(step) => alone(environment, call, (row, step), out),
            Item::Together(steps) => together(environment, call, (row, steps), out),
        };
        row += item.len();
        if let Some(failed) = failed
            && !goes_on
        {
            status = failed;
            break;
        }
    }
    text.push_str(&format!("--{boundary}--\r\n"));
    let mut answer = Response::new(Bytes::from(text));
    *answer.status_mut() = status;
    let kind = format!("multipart/mixed; boundary={boundary}");
    if let Ok(kind) = HeaderValue::from_str(&kind) {
        answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    let version = HeaderValue::from_static("4.0");
    answer.headers_mut().insert("odata-version", version);
    answer
}

fn alone(
    environment: &Environment,
    batch: &Call,
    (row, step): (usize, &Step),
    (boundary, text): (&str, &mut String),
) -> Option<StatusCode> {
    let answer = step
        .call(batch, &HashMap::new())
        .and_then(|call| environment.part(&call, row))
        .map_or_else(|error| error.answer(), super::api::Reply::answer);
    put(text, boundary, step.content_id.as_deref(), &answer);
    let status = answer.status();
    (status.is_client_error() || status.is_server_error()).then_some(status)
}

fn together(
    environment: &Environment,
    batch: &Call,
    (first, steps): (usize, &[Step]),
    (boundary, text): (&str, &mut String),
) -> Option<StatusCode> {
    let inner = format!("changesetresponse_{}", environment.fresh_id());
    text.push_str(&format!(
        "--{boundary}\r\nContent-Type: multipart/mixed; boundary={inner}\r\n\r\n"
    ));
    let done = environment.together((first..).zip(steps), |step, known| step.call(batch, known));
    let failed = match done {
        Ok(replies) => {
            for (step, reply) in steps.iter().zip(replies) {
                put(text, &inner, step.content_id.as_deref(), &reply.answer());
            }
            None
        }
        Err((index, error)) => {
            let id = steps.get(index).and_then(|step| step.content_id.as_deref());
            put(text, &inner, id, &error.answer());
            Some(error.status)
        }
    };
    text.push_str(&format!("--{inner}--\r\n\r\n"));
    failed
}

/// Writes an answer as a part.
fn put(text: &mut String, boundary: &str, content_id: Option<&str>, answer: &Answer) {
    let status = answer.status();
    let id = content_id.map_or_else(String::new, |id| format!("Content-ID: {id}\r\n"));
    let reason = status.canonical_reason().unwrap_or("Unknown");
    text.push_str(&format!(
        "--{boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n{id}\r\nHTTP/1.1 {} {reason}\r\n",
        status.as_u16()
    ));
    for (name, value) in answer.headers() {
        let shown = shown(name.as_str());
        let value = String::from_utf8_lossy(value.as_bytes());
        text.push_str(&format!("{shown}: {value}\r\n"));
    }
    let body = String::from_utf8_lossy(answer.body());
    text.push_str(&format!("\r\n{body}\r\n"));
}

/// Header names as the service writes them: `OData-EntityId`.
fn shown(name: &str) -> String {
    match name {
        "odata-entityid" => return "OData-EntityId".to_owned(),
        "odata-version" => return "OData-Version".to_owned(),
        "etag" => return "ETag".to_owned(),
        _ => {}
    }
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        format!("{}{rest}", first.to_ascii_uppercase())
    });
    words.collect::<Vec<_>>().join("-")
}
