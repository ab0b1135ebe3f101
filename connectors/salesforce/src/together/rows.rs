//! One record of a collection, and its part of the answer.

use bytes::Bytes;
use crmgate_connector::Failure;
use crmgate_domain::{Document, Object};
use http::{HeaderMap, StatusCode};

use crate::failure::Answer;
use crate::render::created_headers;
use crate::write::Sent;

/// One record of a call.
pub(super) struct Row {
    /// Its place among the writes that were asked for.
    pub(super) index: usize,
    pub(super) version: String,
    pub(super) object: String,
    pub(super) record: Object,
    pub(super) headers: HeaderMap,
    pub(super) sent: Sent,
}

impl Row {
    /// The record as collections have it: with the name of its object.
    pub(super) fn json(&self) -> String {
        let mut attributes = Object::new();
        attributes.set("type", self.object.as_str().into());
        let mut whole = Object::new();
        whole.set("attributes", attributes.into());
        for (name, value) in self.record.iter().filter(|(name, _)| *name != "attributes") {
            whole.set(name, value.clone());
        }
        Document::from(whole).to_json()
    }
}

/// The answer that each record would have had alone, or what else became of it; `None` where that
/// cannot be told.
pub(super) fn answers(
    rows: &[Row],
    answer: &Answer,
    atomic: bool,
) -> Option<Vec<Result<Answer, Failure>>> {
    let Ok(Document::Array(parts)) = Document::parse(&answer.body) else {
        return None;
    };
    if parts.len() != rows.len() {
        return None;
    }
    let parts: Vec<Part<'_>> = parts.iter().map(Part::of).collect::<Option<_>>()?;
    let failed = |part: &Part<'_>| matches!(part, Part::Failed(_));
    // All or none: an answer that says both is none.
    if atomic && parts.iter().any(failed) && !parts.iter().all(failed) {
        return None;
    }
    let each = rows.iter().zip(&parts);
    Some(each.map(|(row, part)| part.alone(row, answer)).collect())
}

/// What a collection's answer says of one record.
enum Part<'a> {
    Made(&'a str),
    Failed(&'a [Document]),
}

impl<'a> Part<'a> {
    fn of(part: &'a Document) -> Option<Self> {
        let part = part.as_object()?;
        match (part.get("success")?, part.get("id"), part.get("errors")) {
            (Document::Bool(true), Some(Document::String(id)), _) => Some(Self::Made(id)),
            (Document::Bool(false), _, Some(Document::Array(errors))) if !errors.is_empty() => {
                Some(Self::Failed(errors))
            }
            _ => None,
        }
    }

    fn alone(&self, row: &Row, whole: &Answer) -> Result<Answer, Failure> {
        match self {
            Self::Made(id) => Ok(made(row, id, whole)),
            Self::Failed(errors) => failed(errors, whole),
        }
    }
}

fn made(row: &Row, id: &str, whole: &Answer) -> Answer {
    let mut body = Object::new();
    body.set("id", id.into());
    body.set("success", true.into());
    body.set("errors", Document::Array(Vec::new()));
    Answer {
        status: StatusCode::CREATED,
        headers: created_headers(Some((&row.sent.place, id)), &whole.headers),
        body: Bytes::from(Document::from(body).to_json()),
    }
}

fn failed(errors: &[Document], whole: &Answer) -> Result<Answer, Failure> {
    let text = |error: &Document, name: &str| {
        let found = error
            .as_object()
            .and_then(|error| error.get(name)?.as_str());
        found.unwrap_or_default().to_owned()
    };
    let first = errors.first();
    let code = first
        .map(|error| text(error, "statusCode"))
        .unwrap_or_default();
    let message = first
        .map(|error| text(error, "message"))
        .unwrap_or_default();
    if matches!(
        code.as_str(),
        "ALL_OR_NONE_OPERATION_ROLLED_BACK" | "PROCESSING_HALTED"
    ) {
        return Err(Failure::rolled_back(message, None));
    }
    if code == "UNKNOWN_EXCEPTION" && !message.contains("UNABLE_TO_LOCK_ROW") {
        // Alone it would leave the outcome unknown. Here it is told that nothing was written, and
        // of one record it says nothing about the org.
        return Err(Failure::Repeatable {
            code: "failed".to_owned(),
            reason: format!("{code}: {message}"),
            retry_after: None,
            response: None,
        });
    }
    let alone = errors.iter().map(|error| {
        let mut shown = Object::new();
        shown.set("message", text(error, "message").into());
        shown.set("errorCode", text(error, "statusCode").into());
        let fields = error.as_object().and_then(|error| error.get("fields"));
        shown.set(
            "fields",
            fields.cloned().unwrap_or(Document::Array(Vec::new())),
        );
        Document::from(shown)
    });
    Ok(Answer {
        status: status_of(&code),
        headers: created_headers(None, &whole.headers),
        body: Bytes::from(Document::Array(alone.collect()).to_json()),
    })
}

/// The status under which a code comes when the record goes alone.
fn status_of(code: &str) -> StatusCode {
    match code {
        "INSUFFICIENT_ACCESS_OR_READONLY"
        | "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY"
        | "REQUEST_LIMIT_EXCEEDED" => StatusCode::FORBIDDEN,
        "NOT_FOUND" => StatusCode::NOT_FOUND,
        "SERVER_UNAVAILABLE" => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    }
}
