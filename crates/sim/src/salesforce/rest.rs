//! The REST interface: from a call to the resource that answers it.

use http::{HeaderMap, Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::identity::bearer;
use super::org::{Caller, Org};
use super::reply::Reply;
use super::save::Writer;
use super::schema::{FieldIx, ObjectIx, ObjectType};
use super::version::{self, Served, Version};
use super::{composite, describe, misc, query, rows, search};
use crate::crm::{Answer, Call};

/// What an address alone, and an address with all headers, may be long.
const MAX_HEAD: usize = 16_384;

/// One call, signed in and with its address taken apart.
pub(super) struct Rest<'a> {
    pub(super) org: &'a Org,
    pub(super) call: &'a Call,
    pub(super) caller: Caller,
    pub(super) version: Version,
    /// After `_HttpMethod`; `HEAD` is `GET`.
    pub(super) method: Method,
    /// Its place in the call that it is part of.
    pub(super) index: usize,
}

/// `/services/data…`; `path` is what follows.
pub(super) fn answer(org: &Org, call: &Call, path: &str) -> Answer {
    let pretty = call
        .header("x-prettyprint")
        .is_some_and(|value| value == "1" || value == "true");
    let reply = respond(org, call, path).unwrap_or_else(Reply::from);
    reply.render(pretty)
}

fn respond(org: &Org, call: &Call, path: &str) -> Result<Reply, ApiError> {
    check_size(call)?;
    let mut segments = split(path)?;
    if segments.is_empty() {
        return match call.method {
            Method::GET | Method::HEAD => Ok(Reply::ok(version::list(org.options.max_version))),
            _ => Err(ApiError::method(call.method.as_str(), "HEAD,GET")),
        };
    }
    let version = match version::served(&segments.remove(0), org.options.max_version) {
        Served::Yes(version) => version,
        Served::Retired => {
            let message = "The requested API version has been retired.";
            return Err(ApiError::new(
                StatusCode::GONE,
                "UNSUPPORTED_API_VERSION",
                message,
            ));
        }
        Served::Unknown => return Err(ApiError::not_found()),
    };
    let may = org.usage.take();
    let reply = answer_call(org, call, version, &mut segments, may).unwrap_or_else(Reply::from);
    let info = http::HeaderName::from_static("sforce-limit-info");
    Ok(reply.with(info, org.usage.header()))
}

fn answer_call(
    org: &Org,
    call: &Call,
    version: Version,
    segments: &mut [String],
    may: bool,
) -> Result<Reply, ApiError> {
    let rest = Rest {
        org,
        call,
        caller: sign_in(org, call)?,
        version,
        method: method(call)?,
        index: 0,
    };
    if !may {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "REQUEST_LIMIT_EXCEEDED",
            "TotalRequests Limit exceeded.",
        ));
    }
    strip_suffix(&rest, segments)?;
    if segments.first().is_some_and(|first| first == "composite") {
        let _alone = org.turn_alone();
        rest.route(segments)
    } else {
        let _turn = org.turn();
        rest.route(segments)
    }
}

fn check_size(call: &Call) -> Result<(), ApiError> {
    let address = call
        .uri
        .path_and_query()
        .map_or(0, |path| path.as_str().len());
    if address > MAX_HEAD {
        let message = format!("The URI is longer than {MAX_HEAD} bytes");
        return Err(ApiError::new(
            StatusCode::URI_TOO_LONG,
            "URI_TOO_LONG",
            message,
        ));
    }
    let size = |headers: &HeaderMap| {
        headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum::<usize>()
    };
    if address + size(&call.headers) > MAX_HEAD {
        let message = format!("The URI and the headers are longer than {MAX_HEAD} bytes together");
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(ApiError::new(
            status,
            "REQUEST_HEADER_FIELDS_TOO_LARGE",
            message,
        ));
    }
    Ok(())
}

/// The decoded segments. Slashes at the end don't count; an encoded slash stays part of its segment.
pub(super) fn split(path: &str) -> Result<Vec<String>, ApiError> {
    let trimmed = path.trim_matches('/');
    if trimmed.is_empty() {
        return Ok(Vec::new());
    }
    let decode = |segment: &str| {
        percent_decode_str(segment)
            .decode_utf8()
            .map(std::borrow::Cow::into_owned)
    };
    trimmed
        .split('/')
        .map(|segment| decode(segment).map_err(|_| ApiError::not_found()))
        .collect()
}

fn sign_in(org: &Org, call: &Call) -> Result<Caller, ApiError> {
    if call.headers.contains_key(http::header::AUTHORIZATION) && bearer(call).is_none() {
        let unauthorized = StatusCode::UNAUTHORIZED;
        return Err(ApiError::new(
            unauthorized,
            "INVALID_AUTH_HEADER",
            "INVALID_HEADER_TYPE",
        ));
    }
    let session = bearer(call)
        .and_then(|token| org.sessions.touch(token))
        .ok_or_else(ApiError::session)?;
    if !session.may_use_api() {
        let message = "This session is not valid for use with the REST API";
        return Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "INVALID_SESSION_ID",
            message,
        ));
    }
    Ok(org.caller(&session))
}

/// `POST …?_HttpMethod=PATCH` means PATCH. The value's case counts.
pub(super) fn method(call: &Call) -> Result<Method, ApiError> {
    let pairs = url::form_urlencoded::parse(call.query().as_bytes());
    let wanted = pairs
        .filter(|(name, _)| name == "_HttpMethod")
        .map(|(_, value)| value.into_owned())
        .last();
    match (&call.method, wanted.as_deref()) {
        (&Method::HEAD, _) => Ok(Method::GET),
        (&Method::POST, Some("PATCH")) => Ok(Method::PATCH),
        (&Method::POST, Some("DELETE")) => Ok(Method::DELETE),
        (&Method::POST, Some("PUT")) => Ok(Method::PUT),
        (&Method::POST, Some("GET")) => Ok(Method::GET),
        (&Method::POST, Some("POST")) | (_, None) => Ok(call.method.clone()),
        (&Method::POST, Some(other)) => Err(ApiError::method(other, "HEAD,GET,POST,PATCH,DELETE")),
        (method, Some(_)) => Ok(method.clone()),
    }
}

/// Up to 57.0, an address may end in the format that is wanted.
fn strip_suffix(rest: &Rest<'_>, segments: &mut [String]) -> Result<(), ApiError> {
    if rest.version.since(58) {
        return Ok(());
    }
    let Some(last) = segments.last_mut() else {
        return Ok(());
    };
    if last.ends_with(".xml") {
        return Err(ApiError::new(
            StatusCode::NOT_ACCEPTABLE,
            "NOT_ACCEPTABLE",
            "the simulator answers in JSON only",
        ));
    }
    if let Some(stem) = last.strip_suffix(".json") {
        *last = stem.to_owned();
    }
    Ok(())
}

impl Rest<'_> {
    pub(super) fn route(&self, segments: &[String]) -> Result<Reply, ApiError> {
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match segments.as_slice() {
            [] => self.only_get(|| misc::resources(self)),
            ["limits"] => self.only_get(|| misc::limits(self)),
            ["sobjects"] => self.only_get(|| describe::global(self)),
            ["sobjects", rest @ ..] => rows::answer(self, rest),
            ["query"] => self.only_get(|| query::query(self, false)),
            ["queryAll"] => self.only_get(|| query::query(self, true)),
            ["query" | "queryAll", locator] => self.only_get(|| query::more(self, locator)),
            ["composite", rest @ ..] => composite::answer(self, rest),
            ["search"] => self.only_get(|| search::search(self)),
            _ => Err(ApiError::not_found()),
        }
    }

    pub(super) fn only_get(
        &self,
        get: impl FnOnce() -> Result<Reply, ApiError>,
    ) -> Result<Reply, ApiError> {
        match self.method {
            Method::GET => get(),
            _ => Err(ApiError::method(self.method.as_str(), "HEAD,GET")),
        }
    }

    /// The object of an address.
    pub(super) fn object(&self, name: &str) -> Result<(ObjectIx, &ObjectType), ApiError> {
        self.org.object(name).ok_or_else(ApiError::not_found)
    }

    /// A parameter of the query, by its exact name.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.call.query().as_bytes());
        pairs
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    /// The record in the body.
    pub(super) fn body(&self) -> Result<Map<String, Value>, ApiError> {
        let kind = self
            .call
            .header("content-type")
            .unwrap_or("application/json");
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            let message = format!("Content-Type {essence} not supported");
            return Err(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "UNSUPPORTED_MEDIA_TYPE",
                message,
            ));
        }
        if self.call.body.is_empty() {
            let message = "The HTTP entity body is required, but this request has no entity body";
            return Err(ApiError::bad("JSON_PARSER_ERROR", message));
        }
        serde_json::from_slice(&self.call.body).map_err(|error| {
            let place = format!("[line:{}, column:{}]", error.line(), error.column());
            let text = error.to_string();
            let reason = text.split(" at line").next().unwrap_or_default();
            ApiError::bad("JSON_PARSER_ERROR", format!("{reason} at {place}"))
        })
    }

    /// Whether a fault hits a row of the call; asked once for each.
    pub(super) fn struck(
        &self,
        index: usize,
        place: &str,
        row: impl FnOnce() -> Value,
    ) -> Result<(), ApiError> {
        if self.call.rows.is_none() {
            return Ok(());
        }
        match self.call.row_fault(index, place, &row()) {
            Some(fault) => Err(misc::row_refusal(fault)),
            None => Ok(()),
        }
    }

    pub(super) fn writer(&self, key: Option<FieldIx>) -> Writer<'_> {
        let Caller { user, access } = &self.caller;
        Writer {
            user: *user,
            access,
            full: &self.org.full,
            now: self.call.at,
            key,
        }
    }
}

/// What every successful create answers with.
pub(super) fn saved(id: &str, created: Option<bool>) -> Value {
    let mut body = json!({"id": id, "success": true, "errors": []});
    if let (Some(created), Value::Object(map)) = (created, &mut body) {
        map.insert("created".to_owned(), Value::Bool(created));
    }
    body
}
