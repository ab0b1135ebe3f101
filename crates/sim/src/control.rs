//! The `/_sim/…` calls, with which a test looks behind the scenes.

use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::crm::{Answer, Call, Crm};
use crate::faults::{FaultList, Faults};
use crate::journal::Journal;

/// What the calls begin with.
pub const PREFIX: &str = "/_sim/";

/// Answers one `/_sim/…` call. None of them is journaled.
pub fn answer(crm: &dyn Crm, journal: &Journal, faults: &Faults, call: &Call) -> Answer {
    let path = call
        .path()
        .strip_prefix(PREFIX)
        .unwrap_or_default()
        .trim_end_matches('/');
    let (resource, rest) = path.split_once('/').unwrap_or((path, ""));
    match (resource, rest, &call.method) {
        ("records", object, &Method::GET) => records(crm, object),
        ("requests", "", &Method::GET) => numbered(call, |after| journal.after(after)),
        ("effects", "", &Method::GET) => numbered(call, |after| crm.effects(after)),
        ("requests", "", &Method::DELETE) => {
            journal.clear();
            nothing()
        }
        ("faults", "", &Method::GET) => reply(StatusCode::OK, &json!({"faults": faults.list()})),
        ("faults", "", &Method::PUT) => put_faults(faults, &call.body),
        ("faults", "", &Method::DELETE) => {
            faults.set(Vec::new());
            nothing()
        }
        ("limits", "", &Method::GET) => match crm.limits() {
            Some(limits) => reply(StatusCode::OK, &limits),
            None => complain(
                StatusCode::NOT_FOUND,
                "this CRM has no limits that can be set",
            ),
        },
        ("limits", "", &Method::PUT) => put_limits(crm, Some(&call.body)),
        ("limits", "", &Method::DELETE) => put_limits(crm, None),
        ("reset", "", &Method::POST) => {
            crm.reset();
            faults.set(Vec::new());
            journal.clear();
            nothing()
        }
        ("records" | "requests" | "effects" | "faults" | "limits" | "reset", _, _) => complain(
            StatusCode::METHOD_NOT_ALLOWED,
            &format!("`{}` does not take {}", call.path(), call.method),
        ),
        _ => complain(
            StatusCode::NOT_FOUND,
            &format!(
                "`{}` is none of /_sim/records/{{Object}}, /_sim/requests, /_sim/effects, /_sim/faults, /_sim/limits, /_sim/reset",
                call.path()
            ),
        ),
    }
}

fn records(crm: &dyn Crm, object: &str) -> Answer {
    match crm.records(object) {
        Some(records) => reply(StatusCode::OK, &Value::Array(records)),
        None => complain(
            StatusCode::NOT_FOUND,
            &format!(
                "no object `{object}`; the simulator keeps: {}",
                crm.objects().join(", ")
            ),
        ),
    }
}

fn numbered(call: &Call, entries: impl FnOnce(u64) -> Vec<Value>) -> Answer {
    let mut after = 0;
    for (name, value) in url::form_urlencoded::parse(call.query().as_bytes()) {
        match (name.as_ref(), value.parse::<u64>()) {
            ("after", Ok(seq)) => after = seq,
            ("after", Err(_)) => {
                return complain(
                    StatusCode::BAD_REQUEST,
                    &format!("`after` must be a number, not `{value}`"),
                );
            }
            _ => {
                return complain(
                    StatusCode::BAD_REQUEST,
                    &format!("unknown parameter `{name}`; expected `after`"),
                );
            }
        }
    }
    reply(StatusCode::OK, &Value::Array(entries(after)))
}

fn put_faults(faults: &Faults, body: &[u8]) -> Answer {
    let list: FaultList = match serde_json::from_slice(body) {
        Ok(list) => list,
        Err(error) => {
            return complain(
                StatusCode::BAD_REQUEST,
                &format!("faults can't be read: {error}"),
            );
        }
    };
    if let Err(error) = list.check() {
        return complain(StatusCode::BAD_REQUEST, &error.to_string());
    }
    faults.set(list.faults);
    reply(StatusCode::OK, &json!({"faults": faults.list()}))
}

fn put_limits(crm: &dyn Crm, body: Option<&[u8]>) -> Answer {
    match crm.set_limits(body) {
        Ok(()) => reply(StatusCode::OK, &crm.limits().unwrap_or_default()),
        Err(message) => complain(StatusCode::BAD_REQUEST, &message),
    }
}

fn complain(status: StatusCode, message: &str) -> Answer {
    reply(status, &json!({"code": "sim_control", "message": message}))
}

fn nothing() -> Answer {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn reply(status: StatusCode, body: &Value) -> Answer {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    response
}
