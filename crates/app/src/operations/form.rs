//! The two forms in which an operation is asked for, and the draft that either makes.

use std::collections::BTreeMap;

use crmgate_connector::{Body, Class, Draft, Malformed, NativeRequest, ParseFailure, RequestHead};
use crmgate_domain::{
    Actor, ConnectionRef, Document, Kind, Object, Operation, OperationId, Point, Timestamp,
};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use serde::{Deserialize, Serialize};
use url::Url;

use super::kept::GatewayForm;
use crate::{AppError, Connection};

/// Stands for the gate's address where there is none: no answer leaves with it.
const NO_GATE: &str = "https://gate.invalid/";

/// An operation by canonical names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an object with `kind`, `object`, `id` and `record`"
)]
pub struct CanonicalForm {
    /// What it would do: create, update, delete, ….
    pub kind: Kind,
    /// The object, by canonical or native name.
    pub object: String,
    /// The record's id, for all but a create.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The fields it would write, by canonical or `native.X` name; none for a delete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Object>,
}

/// An operation as a native request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an object with `method`, `path`, `headers` and `body`"
)]
pub struct NativeForm {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers; `content-type` is JSON where not given.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The body: a string is sent as it is, anything else as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Document>,
}

/// An operation as asked. As JSON, `{"operation": …}` or `{"request": …}`, it is what a queue
/// stores of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// By canonical names.
    Operation(CanonicalForm),
    /// As a client would send it to the gateway.
    Request(NativeForm),
    /// As a client sent it to the gateway, where it waits for people. Nobody submits one.
    Gateway(GatewayForm),
}

/// Whose operation it is that a form describes.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its id. Where it is written from a queue, a create's key is derived from it.
    pub id: OperationId,
    /// Who asks.
    pub actor: &'a Actor,
    /// Where.
    pub point: Point,
    /// When.
    pub at: Timestamp,
}

/// Why a form makes no draft.
#[derive(Debug, thiserror::Error)]
pub enum FormError {
    /// The form itself is wrong.
    #[error("{field}: {problem}")]
    Wrong {
        /// A stable word: `invalid_operation`, `invalid_request`, ….
        code: &'static str,
        /// The member, with dots: `operation.kind`.
        field: String,
        /// What is wrong and what was expected.
        problem: String,
    },
    /// The connector does not take it.
    #[error(transparent)]
    NotParsed(#[from] ParseFailure),
}

impl FormError {
    pub(crate) fn wrong(code: &'static str, field: &str, problem: impl Into<String>) -> Self {
        Self::Wrong {
            code,
            field: field.to_owned(),
            problem: problem.into(),
        }
    }
}

impl From<FormError> for ParseFailure {
    fn from(error: FormError) -> Self {
        match error {
            FormError::NotParsed(failure) => failure,
            FormError::Wrong { code, .. } => {
                let message = error.to_string();
                Malformed::new(code, message).into()
            }
        }
    }
}

impl From<FormError> for AppError {
    fn from(error: FormError) -> Self {
        match error {
            FormError::Wrong { field, problem, .. } => Self::invalid(&field, problem),
            FormError::NotParsed(failure) => Self::invalid("operation", failure.to_string()),
        }
    }
}

impl Form {
    /// The one that was given.
    ///
    /// # Errors
    /// When none was, or both.
    pub fn one(
        operation: Option<CanonicalForm>,
        request: Option<NativeForm>,
    ) -> Result<Self, FormError> {
        match (operation, request) {
            (Some(operation), None) => Ok(Self::Operation(operation)),
            (None, Some(request)) => Ok(Self::Request(request)),
            _ => Err(FormError::wrong(
                "one_form",
                "operation",
                "expected exactly one of `operation` and `request`",
            )),
        }
    }

    /// Its name in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Operation(_) => "operation",
            Self::Request(_) => "request",
            Self::Gateway(_) => "gateway",
        }
    }
}

/// What the connector makes of a form. Policies see a request only of what came by one, at the
/// gateway.
///
/// # Errors
/// What is wrong with it, or what could not be looked up.
pub async fn draft_of(
    connection: &Connection,
    form: Form,
    subject: &Subject<'_>,
) -> Result<Draft, FormError> {
    let connector = connection.connector();
    let mut draft = match form {
        Form::Operation(form) => {
            check(&form)?;
            let (object, native_object) = names(connection, &form.object);
            let operation = Operation {
                id: subject.id,
                kind: form.kind,
                requested: None,
                point: subject.point,
                at: subject.at,
                connection: ConnectionRef {
                    name: connection.name().clone(),
                    system: connector.system().to_owned(),
                    org: None,
                },
                object,
                native_object,
                record_id: form.id,
                actor: subject.actor.clone(),
                request: None,
                purpose: None,
                batch: None,
                name: None,
                arguments: None,
                relation: None,
            };
            connector.draft(&operation, form.record).await?
        }
        Form::Request(form) => {
            let request = native_request(form)?;
            understood(connection, &request.head)?;
            connector.parse(request).await?
        }
        Form::Gateway(form) => {
            let mut request = native_request(form.request)?;
            request.head.gate = form.gate;
            understood(connection, &request.head)?;
            connector.parse(request).await?
        }
    };
    if subject.point != Point::Gateway {
        draft.request = None;
    }
    let queued = matches!(subject.point, Point::Queue | Point::Gateway);
    draft.seed = queued.then_some(subject.id);
    Ok(draft)
}

/// What a canonical form must have, whatever the CRM.
pub(crate) fn check(form: &CanonicalForm) -> Result<(), FormError> {
    let wrong = |field: &str, problem: String| {
        Err(FormError::wrong(
            "invalid_operation",
            &format!("operation.{field}"),
            problem,
        ))
    };
    let kind = form.kind.as_str();
    if !form.kind.writes() {
        return wrong("kind", format!("`{kind}` writes nothing"));
    }
    if form.kind != Kind::Create && form.id.is_none() {
        return wrong("id", format!("is needed for `{kind}`"));
    }
    if form.kind == Kind::Delete && form.record.is_some() {
        return wrong("record", "a delete has no record".to_owned());
    }
    Ok(())
}

/// Canonical and native name of an object that is named either way.
pub(crate) fn names(connection: &Connection, object: &str) -> (String, String) {
    let mapped = connection.connector().mapped_objects();
    let named = mapped.into_iter().find(|(canonical, native)| {
        object.eq_ignore_ascii_case(canonical) || object.eq_ignore_ascii_case(native)
    });
    named.unwrap_or_else(|| (object.to_ascii_lowercase(), object.to_owned()))
}

/// The write that a request is.
pub(crate) fn understood(
    connection: &Connection,
    head: &RequestHead,
) -> Result<crmgate_connector::Matched, FormError> {
    let problem = match connection.classify(head) {
        Class::Write(matched) => return Ok(matched),
        Class::Unknown { why } => format!("is not understood: {why}"),
        _ => "is not a write".to_owned(),
    };
    Err(FormError::wrong("not_understood", "request", problem))
}

/// The request that a native form stands for.
pub(crate) fn native_request(form: NativeForm) -> Result<NativeRequest, FormError> {
    let wrong = |field: &str, problem: String| FormError::wrong("invalid_request", field, problem);
    let method: Method = form
        .method
        .parse()
        .map_err(|_| wrong("request.method", format!("`{}` is no method", form.method)))?;
    let path = Some(&form.path).filter(|path| path.starts_with('/'));
    let uri = path
        .and_then(|path| path.parse::<Uri>().ok())
        .ok_or_else(|| {
            let problem = format!("`{}` is no path with query, such as `/a/b?c=d`", form.path);
            wrong("request.path", problem)
        })?;
    let mut headers = HeaderMap::new();
    for (name, value) in &form.headers {
        let parsed = (name.parse::<HeaderName>(), value.parse::<HeaderValue>());
        let (Ok(known), Ok(text)) = parsed else {
            return Err(wrong(
                &format!("request.headers.{name}"),
                "is no header".to_owned(),
            ));
        };
        headers.append(known, text);
    }
    headers
        .entry(CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("application/json"));
    let body = match form.body {
        None => String::new(),
        Some(Document::String(text)) => text,
        Some(document) => document.to_json(),
    };
    let gate = Url::parse(NO_GATE)
        .map_err(|error| wrong("request", format!("cannot be addressed: {error}")))?;
    Ok(NativeRequest {
        head: RequestHead {
            method,
            uri,
            headers,
            gate,
        },
        body: Body::Full(body.into()),
    })
}
