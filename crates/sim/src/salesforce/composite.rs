//! `/composite…`: several records or requests in one call.
//!
//! One such call has the org to itself: what it does can be taken back as a whole.

mod batch;
mod collections;
mod references;
mod requests;
mod tree;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::reply::Reply;
use super::rest::{self, Rest};
use super::version::{self, Served};
use crate::crm::Call;

/// Most parts of a composite or batch call.
const MOST_PARTS: usize = 25;
/// Most records of a collection or tree.
const MOST_RECORDS: usize = 200;

/// Answers what follows `/composite`.
pub(super) fn answer(rest: &Rest<'_>, segments: &[&str]) -> Result<Reply, ApiError> {
    match segments {
        [] if rest.method == Method::POST => requests::composite(rest),
        [] => rest.only_get(|| Ok(resources(rest))),
        ["sobjects"] => collections::answer(rest),
        ["sobjects", object] => only(rest, &Method::POST, || collections::read(rest, object)),
        ["sobjects", object, field] if rest.version.since(46) => only(rest, &Method::PATCH, || {
            collections::upsert(rest, object, field)
        }),
        ["batch"] => only(rest, &Method::POST, || batch::batch(rest)),
        ["tree", object] => only(rest, &Method::POST, || tree::tree(rest, object)),
        _ => Err(ApiError::not_found()),
    }
}

fn only(
    rest: &Rest<'_>,
    method: &Method,
    run: impl FnOnce() -> Result<Reply, ApiError>,
) -> Result<Reply, ApiError> {
    if rest.method == *method {
        run()
    } else {
        Err(ApiError::method(rest.method.as_str(), method.as_str()))
    }
}

fn resources(rest: &Rest<'_>) -> Reply {
    let base = format!("/services/data/v{}/composite", rest.version.text());
    let named = ["batch", "sobjects", "tree"].map(|name| {
        let url = Value::String(format!("{base}/{name}"));
        (name.to_owned(), url)
    });
    Reply::ok(Value::Object(named.into_iter().collect()))
}

/// A body of a shape of its own.
fn parsed<T: DeserializeOwned>(body: Map<String, Value>) -> Result<T, ApiError> {
    serde_json::from_value(Value::Object(body)).map_err(|error| {
        ApiError::bad(
            "JSON_PARSER_ERROR",
            format!("{error} at [line:1, column:1]"),
        )
    })
}

/// One part of a call that holds several.
struct Part<'a> {
    index: usize,
    method: &'a str,
    /// Path and query, `/services/data/` included.
    url: &'a str,
    headers: &'a Map<String, Value>,
    body: Option<&'a Value>,
}

impl Part<'_> {
    /// Answers the part as if it had come alone.
    fn answer(&self, rest: &Rest<'_>) -> Reply {
        self.respond(rest).unwrap_or_else(Reply::from)
    }

    fn respond(&self, rest: &Rest<'_>) -> Result<Reply, ApiError> {
        let bad_url = || {
            ApiError::bad(
                "INVALID_INPUT",
                format!("The url is not valid: {}", self.url),
            )
        };
        let uri: Uri = self.url.parse().map_err(|_| bad_url())?;
        let path = uri
            .path()
            .strip_prefix("/services/data")
            .ok_or_else(bad_url)?;
        let mut segments = rest::split(path)?;
        if segments.is_empty() {
            return Err(bad_url());
        }
        let Served::Yes(version) =
            version::served(&segments.remove(0), rest.org.options.max_version)
        else {
            return Err(ApiError::not_found());
        };
        let call = Call {
            method: method(self.method)?,
            uri,
            headers: self.all_headers(rest.call),
            body: self
                .body
                .map(|body| body.to_string().into())
                .unwrap_or_default(),
            base_url: rest.call.base_url.clone(),
            at: rest.call.at,
            rows: rest.call.rows.clone(),
        };
        let part = Rest {
            org: rest.org,
            call: &call,
            caller: rest.caller.clone(),
            version,
            method: rest::method(&call)?,
            index: self.index,
        };
        if matches!(segments.first().map(String::as_str), Some("composite"))
            && segments.get(1).map(String::as_str) != Some("sobjects")
        {
            return Err(bad_url());
        }
        part.route(&segments)
    }

    /// Parts inherit the call's format and nothing else; conditions stand at the part they are for.
    fn all_headers(&self, call: &Call) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let inherited = [http::header::CONTENT_TYPE, http::header::ACCEPT];
        for name in inherited {
            if let Some(value) = call.headers.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        for (name, value) in self.headers {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            if let (Ok(name), Ok(value)) = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_str(&value),
            ) {
                headers.insert(name, value);
            }
        }
        headers
    }
}

/// The methods of parts; their case counts.
fn method(name: &str) -> Result<Method, ApiError> {
    match name {
        "GET" => Ok(Method::GET),
        "POST" => Ok(Method::POST),
        "PATCH" => Ok(Method::PATCH),
        "PUT" => Ok(Method::PUT),
        "DELETE" => Ok(Method::DELETE),
        other => Err(ApiError::method(other, "HEAD,GET,POST,PATCH,DELETE")),
    }
}

/// A refusal as the answer for one record of several has it: `statusCode` instead of `errorCode`.
fn row_errors(error: &ApiError) -> Value {
    let reasons = error.reasons.iter().map(|reason| {
        json!({
            "statusCode": reason.code,
            "message": reason.message,
            "fields": reason.fields.clone().unwrap_or_default(),
        })
    });
    reasons.collect()
}

/// Whether a record couldn't even be read, which refuses the call it stands in.
fn is_unreadable(error: &ApiError) -> bool {
    error.reasons.iter().any(|reason| {
        reason.code == "JSON_PARSER_ERROR"
            || (reason.code == "INVALID_FIELD" && reason.message.starts_with("No such column"))
    })
}
