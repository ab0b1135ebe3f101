//! Requests and answers of the Web API, and the way from one to the other.

mod answers;
mod bulk;
mod functions;
mod read_records;
mod write_records;

use std::cell::RefCell;
use std::collections::HashMap;

use http::{Method, StatusCode};
use serde_json::{Map, Value};

use super::address::{Segment, segments};
use super::error::{ApiError, Outcome};
use super::query::bind::Here;
use super::query::{Options, Prefer};
use super::read::Reader;
use super::security::Caller;
use super::store::Store;
use super::write::payload::object;
use super::write::{Bypass, Condition, Terms, Work};
use super::{actions, metadata};
use crate::crm::Call;
use crate::faults::RowFault;

pub(crate) use answers::Reply;
pub(crate) use functions::Organization;

/// The name space that calls of actions and functions may carry.
pub(crate) const NAMESPACE: &str = "Microsoft.Dynamics.CRM.";

/// A request, understood as far as that is possible without the data.
pub(crate) struct Request<'a> {
    pub(crate) call: &'a Call,
    pub(crate) segments: Vec<Segment>,
    pub(crate) options: Options,
    pub(crate) prefer: Prefer,
    /// `https://host/api/data/v9.2`.
    pub(crate) service: String,
    /// The body, where there is one.
    pub(crate) body: RefCell<Option<Map<String, Value>>>,
}

/// What an answer depends on, beside the request and the data.
pub(crate) struct Surroundings<'a> {
    pub(crate) organization: &'a Organization<'a>,
    pub(crate) page_size: usize,
    pub(crate) entropy: &'a crate::Entropy,
    /// The service's words for a fault that hits a row.
    pub(crate) struck: &'a dyn Fn(RowFault) -> ApiError,
}

impl<'a> Request<'a> {
    pub(crate) fn read(call: &'a Call) -> Outcome<Self> {
        let rest = call.path().strip_prefix("/api/data/").unwrap_or_default();
        let (version, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !matches!(version, "v9.0" | "v9.1" | "v9.2") {
            return Err(ApiError::new(
                StatusCode::NOT_FOUND,
                "0x8006088a",
                format!("The version '{version}' of the Web API is not available."),
            ));
        }
        check_protocol(call)?;
        let segments = segments(path)?;
        let set = segments.first().map_or("", |first| &first.name);
        let body = RefCell::new(body(call, set)?);
        Ok(Self {
            call,
            options: Options::read(call.query())?,
            prefer: Prefer::read(&call.headers),
            service: format!("{}/api/data/{version}", call.base_url),
            segments,
            body,
        })
    }

    fn bare(&self) -> bool {
        self.call
            .header("accept")
            .is_some_and(|accept| accept.contains("odata.metadata=none"))
    }

    pub(crate) fn condition(&self) -> Condition {
        Condition {
            matches: self.call.header("if-match").map(str::to_owned),
            // Clients send the text `null` to switch caches off; it is no condition.
            absent: self.call.header("if-none-match") == Some("*"),
        }
    }

    pub(crate) fn reader<'b>(
        &'b self,
        store: &'b Store,
        caller: &'b Caller,
        surroundings: &Surroundings<'_>,
    ) -> Reader<'b> {
        Reader {
            store,
            caller,
            prefer: &self.prefer,
            here: Here {
                user: caller.user.id,
                unit: caller.user.unit,
                now: self.call.at,
            },
            service: &self.service,
            page_size: surroundings.page_size,
            bare: self.bare(),
        }
    }

    /// Puts the addresses of records that were written before in the place of `$1` and its like.
    pub(crate) fn refer(&self, known: &HashMap<String, String>) {
        if let Some(body) = self.body.borrow_mut().as_mut() {
            bodies_refer(body, known, &self.call.base_url);
        }
    }

    /// Takes the body of a call that needs one.
    pub(crate) fn object(&self, set: &str) -> Outcome<Map<String, Value>> {
        match self.body.take() {
            Some(body) => Ok(body),
            None => object(set, b""),
        }
    }
}

fn bodies_refer(body: &mut Map<String, Value>, known: &HashMap<String, String>, base: &str) {
    for (name, value) in body {
        let refers = name.ends_with("@odata.bind") || name == "@odata.id";
        refer(value, refers, known, base);
    }
}

fn refer(value: &mut Value, refers: bool, known: &HashMap<String, String>, base: &str) {
    match value {
        Value::String(text) if refers => {
            let found = text.strip_prefix('$').and_then(|id| known.get(id));
            if let Some(address) = found {
                *text = address.strip_prefix(base).unwrap_or(address).to_owned();
            }
        }
        Value::Array(items) => {
            for item in items {
                refer(item, refers, known, base);
            }
        }
        Value::Object(inner) => bodies_refer(inner, known, base),
        _ => {}
    }
}

fn check_protocol(call: &Call) -> Outcome<()> {
    for name in ["odata-version", "odata-maxversion"] {
        if let Some(version) = call.header(name)
            && !matches!(version.trim(), "4.0" | "4.01")
        {
            return Err(ApiError::query(format!(
                "The header '{name}' has the value '{version}', which the service does not support; it supports 4.0."
            )));
        }
    }
    Ok(())
}

fn body(call: &Call, set: &str) -> Outcome<Option<Map<String, Value>>> {
    if call.body.is_empty() || call.method == Method::GET || set == "$batch" {
        return Ok(None);
    }
    let kind = call.header("content-type").unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "0x80060888",
            format!(
                "A supported MIME type could not be found that matches the content type of the request. None of the supported type(s) 'application/json' matches the content type '{kind}'."
            ),
        ));
    }
    object(set, &call.body).map(Some)
}

/// Answers a call that changes nothing.
pub(crate) fn get(
    request: &Request<'_>,
    store: &Store,
    caller: &Caller,
    surroundings: &Surroundings<'_>,
) -> Outcome<Reply> {
    let reader = request.reader(store, caller, surroundings);
    let Some((first, rest)) = request.segments.split_first() else {
        return Ok(Reply::json(metadata::service_document(
            store.schema(),
            &request.service,
        )));
    };
    match (first.name.as_str(), rest) {
        ("$metadata", []) => Ok(Reply::xml(metadata::csdl(store.schema()))),
        ("EntityDefinitions" | "RelationshipDefinitions" | "GlobalOptionSetDefinitions", _) => {
            metadata::definitions(store.schema(), request).map(Reply::json)
        }
        (name, []) if store.schema().set(name).is_none() => {
            let name = name.strip_prefix(NAMESPACE).unwrap_or(name);
            functions::call(request, &reader, surroundings.organization, name).map(Reply::json)
        }
        _ => read_records::get(request, &reader),
    }
}

/// Answers a call that may change something. What it has changed is to be taken back if it fails.
pub(crate) fn change(
    request: &Request<'_>,
    store: &mut Store,
    caller: &Caller,
    surroundings: &Surroundings<'_>,
) -> Outcome<Reply> {
    let first = request
        .segments
        .first()
        .ok_or_else(|| ApiError::method(&request.call.method))?;
    let name = first.name.strip_prefix(NAMESPACE).unwrap_or(&first.name);
    match name {
        "$batch" => {
            return Err(ApiError::query(
                "A batch request can't hold another batch request.",
            ));
        }
        "EntityDefinitions" | "RelationshipDefinitions" | "GlobalOptionSetDefinitions" => {
            return Err(ApiError::not_simulated(
                "Changing the definitions of tables",
            ));
        }
        _ => {}
    }
    let terms = Terms {
        now: request.call.at,
        base_url: &request.call.base_url,
        bypass: Bypass::read(&request.call.headers),
        detect_duplicates: request
            .call
            .header("mscrm.suppressduplicatedetection")
            .is_some_and(|value| value.eq_ignore_ascii_case("false")),
        entropy: surroundings.entropy,
    };
    let is_set = store.schema().set(&first.name).is_some();
    let mut work = Work {
        store,
        caller,
        terms: &terms,
    };
    if !is_set {
        return match request.call.method {
            Method::POST if request.segments.len() == 1 => {
                actions::unbound(request, &mut work, name)
            }
            Method::POST => Err(ApiError::no_segment(&first.name)),
            ref method => Err(if functions::exists(name) {
                ApiError::method(method)
            } else {
                ApiError::no_segment(&first.name)
            }),
        };
    }
    write_records::change(request, &mut work, surroundings)
}
