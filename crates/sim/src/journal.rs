//! The journal: every call that reached a simulator, also those that got no answer.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::crm::Call;
use crate::faults::Kind;

const MAX_ENTRIES: usize = 100_000;
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// Form fields, SOAP elements and JSON keys that are shown as a hash.
const SECRET_FIELDS: [&str; 9] = [
    "oauth_token",
    "password",
    "client_secret",
    "assertion",
    "client_assertion",
    "refresh_token",
    "token",
    "access_token",
    "code",
];

/// Headers that are shown as a hash.
const SECRET_HEADERS: [&str; 4] = [
    "authorization",
    "x-sfdc-session",
    "cookie",
    "proxy-authorization",
];

/// The newest calls, bounded in number and in bytes held.
#[derive(Debug, Default)]
pub struct Journal {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: VecDeque<Entry>,
    next: u64,
    body_bytes: usize,
}

#[derive(Debug)]
struct Entry {
    seq: u64,
    at: Timestamp,
    method: Method,
    path: Box<str>,
    /// One `name: value` a line.
    headers: Box<[u8]>,
    body: Box<[u8]>,
    status: Option<StatusCode>,
    fault: Option<Kind>,
}

impl Journal {
    /// Notes a call. `status` is `None` where the connection was closed without an answer.
    pub fn note(&self, call: &Call, status: Option<StatusCode>, fault: Option<Kind>) {
        // Copied: what a call holds are slices of its connection's buffers, which would stay alive whole.
        let path = call.uri.path_and_query().map_or("/", |path| path.as_str());
        let headers = lines(&call.headers);
        let body: Box<[u8]> = call.body.as_ref().into();
        let mut kept = self.lock();
        kept.next += 1;
        kept.body_bytes += body.len();
        let entry = Entry {
            seq: kept.next,
            at: call.at,
            method: call.method.clone(),
            path: path.into(),
            headers,
            body,
            status,
            fault,
        };
        kept.entries.push_back(entry);
        while kept.entries.len() > MAX_ENTRIES
            || (kept.body_bytes > MAX_BODY_BYTES && kept.entries.len() > 1)
        {
            let Some(gone) = kept.entries.pop_front() else {
                break;
            };
            kept.body_bytes -= gone.body.len();
        }
    }

    /// The calls after number `seq`, oldest first, as the documented JSON.
    #[must_use]
    pub fn after(&self, seq: u64) -> Vec<Value> {
        let kept = self.lock();
        let oldest = kept
            .entries
            .front()
            .map_or(kept.next, |entry| entry.seq.saturating_sub(1));
        let skip = usize::try_from(seq.saturating_sub(oldest)).unwrap_or(usize::MAX);
        kept.entries.iter().skip(skip).map(Entry::to_json).collect()
    }

    /// Forgets all calls. Numbers go on, so that a `seq` noted before stays usable.
    pub fn clear(&self) {
        let mut kept = self.lock();
        kept.entries.clear();
        kept.body_bytes = 0;
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn to_json(&self) -> Value {
        let mut headers = Map::new();
        for (name, text) in self.header_lines() {
            let secret = SECRET_HEADERS.contains(&name.as_ref());
            let shown = if secret {
                hide_credential(&text)
            } else {
                text.into_owned()
            };
            match headers.get_mut(name.as_ref()) {
                Some(Value::String(before)) => *before = format!("{before}, {shown}"),
                _ => drop(headers.insert(name.into_owned(), Value::String(shown))),
            }
        }
        let body = String::from_utf8_lossy(&self.body);
        json!({
            "seq": self.seq,
            "at": self.at.to_string(),
            "method": self.method.as_str(),
            "path": self.shown_path(),
            "headers": headers,
            "body": self.shown_body(&body),
            "status": self.status.map(|status| status.as_u16()),
            "fault": self.fault,
        })
    }

    fn header_lines(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let lines = self
            .headers
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        lines.map(|line| {
            let at = line
                .iter()
                .position(|byte| *byte == b':')
                .unwrap_or(line.len());
            let (name, value) = line.split_at(at);
            let value = value.get(2..).unwrap_or_default();
            (
                String::from_utf8_lossy(name),
                String::from_utf8_lossy(value),
            )
        })
    }

    fn shown_path(&self) -> String {
        match self.path.split_once('?') {
            Some((path, query)) if query.contains("token=") => {
                format!("{path}?{}", hide_fields(query))
            }
            _ => self.path.to_string(),
        }
    }

    fn shown_body(&self, body: &str) -> String {
        let mut headers = self.header_lines();
        let kind = headers
            .find(|(name, _)| name == "content-type")
            .map(|(_, value)| value);
        let kind = kind.unwrap_or_default();
        if kind.starts_with("application/x-www-form-urlencoded") {
            hide_fields(body)
        } else if kind.starts_with("text/xml") {
            hide_element(&hide_element(body, "password"), "sessionId")
        } else {
            body.to_owned()
        }
    }
}

/// All headers in one piece. No value has a line break in it, and no name a colon.
fn lines(headers: &HeaderMap) -> Box<[u8]> {
    let size = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 3)
        .sum();
    let mut lines = Vec::with_capacity(size);
    for (name, value) in headers {
        lines.extend_from_slice(name.as_str().as_bytes());
        lines.extend_from_slice(b": ");
        lines.extend_from_slice(value.as_bytes());
        lines.push(b'\n');
    }
    lines.into_boxed_slice()
}

/// A value that shows that two secrets are equal, and nothing else.
fn hash(secret: &str) -> String {
    let digest = hex::encode(Sha256::digest(secret.as_bytes()));
    format!("sha256:{}", digest.get(..12).unwrap_or_default())
}

/// `Bearer abc` → `Bearer sha256:…`.
fn hide_credential(value: &str) -> String {
    match value.split_once(' ') {
        Some((scheme, secret)) => format!("{scheme} {}", hash(secret)),
        None => hash(value),
    }
}

fn hide_fields(form: &str) -> String {
    form.split('&')
        .map(hide_form_field)
        .collect::<Vec<_>>()
        .join("&")
}

fn hide_form_field(field: &str) -> String {
    match field.split_once('=') {
        Some((name, value)) if SECRET_FIELDS.contains(&name) => format!("{name}={}", hash(value)),
        _ => field.to_owned(),
    }
}

/// Hides the text of an XML element, whatever its prefix.
fn hide_element(body: &str, name: &str) -> String {
    let Some(open) = body.find(&format!("{name}>")) else {
        return body.to_owned();
    };
    let start = open + name.len() + 1;
    let (before, rest) = body.split_at(start);
    match rest.split_once("</") {
        Some((secret, after)) => format!("{before}{}</{after}", hash(secret)),
        None => before.to_owned(),
    }
}

#[cfg(test)]
mod tests;
