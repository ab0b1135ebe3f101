//! Conditional requests: entity tags on accounts, dates on every record.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::{Method, StatusCode, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};
use sha2::{Digest, Sha256};

use super::cell::Cell;
use super::error::ApiError;
use super::reply::Reply;
use super::schema::ObjectType;
use super::store::Row;
use crate::crm::Call;

/// How a condition turned out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Go,
    /// The client has the current version already.
    NotModified,
}

/// The only object whose records have entity tags.
fn tagged(object: &ObjectType) -> bool {
    object.name == "Account"
}

fn tag(row: &Row) -> String {
    let digest = Sha256::new()
        .chain_update(row.id.short())
        .chain_update(row.version.to_be_bytes())
        .finalize();
    format!("\"{}\"", STANDARD_NO_PAD.encode(digest))
}

/// Checks the conditions of a call against the stored record.
pub(super) fn check(
    call: &Call,
    method: &Method,
    object: &ObjectType,
    row: &Row,
) -> Result<Outcome, ApiError> {
    let reading = *method == Method::GET;
    if tagged(object) {
        let own = tag(row);
        let matches = |list: &str| {
            list.split(',')
                .any(|one| one.trim() == "*" || same_tag(one.trim(), &own))
        };
        if call
            .header(header::IF_MATCH.as_str())
            .is_some_and(|list| !matches(list))
        {
            return Err(failed());
        }
        if call
            .header(header::IF_NONE_MATCH.as_str())
            .is_some_and(matches)
        {
            return if reading {
                Ok(Outcome::NotModified)
            } else {
                Err(failed())
            };
        }
    }
    let Cell::Moment(modified) = row.named(object, "LastModifiedDate") else {
        return Ok(Outcome::Go);
    };
    dates(call, reading, *modified)
}

/// Checks the conditions on dates alone. Dates have no fractions: changes within a second look alike.
pub(super) fn dates(call: &Call, reading: bool, modified: i64) -> Result<Outcome, ApiError> {
    let date = |name: header::HeaderName| {
        let text = call.header(name.as_str())?;
        Some(
            DateTimeParser::new()
                .parse_timestamp(text)
                .ok()?
                .as_second(),
        )
    };
    if date(header::IF_UNMODIFIED_SINCE).is_some_and(|since| modified > since) {
        return Err(failed());
    }
    if date(header::IF_MODIFIED_SINCE).is_some_and(|since| modified <= since) {
        return if reading {
            Ok(Outcome::NotModified)
        } else {
            Err(failed())
        };
    }
    Ok(Outcome::Go)
}

/// Compression marks a tag; both forms mean the same version.
fn same_tag(given: &str, own: &str) -> bool {
    let plain = given.trim_start_matches("W/").trim_matches('"');
    plain.strip_suffix("-gzip").unwrap_or(plain) == own.trim_matches('"')
}

fn failed() -> ApiError {
    let message = "The request was not executed because one or more of the preconditions that the client specified in the request headers was not satisfied.";
    ApiError::new(
        StatusCode::PRECONDITION_FAILED,
        "PRECONDITION_FAILED",
        message,
    )
}

/// Adds what a later conditional request needs.
pub(super) fn mark(reply: Reply, object: &ObjectType, row: &Row) -> Reply {
    let reply = if tagged(object) {
        reply.with(header::ETAG, tag(row))
    } else {
        reply
    };
    match row.named(object, "LastModifiedDate") {
        Cell::Moment(seconds) => modified(reply, *seconds),
        _ => reply,
    }
}

/// Adds `Last-Modified`.
pub(super) fn modified(reply: Reply, seconds: i64) -> Reply {
    let at = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    match DateTimePrinter::new().timestamp_to_rfc9110_string(&at) {
        Ok(date) => reply.with(header::LAST_MODIFIED, date),
        Err(_) => reply,
    }
}
