//! One submitted operation: what may stand in it, and the row that it becomes.

use std::borrow::Cow;

use crmgate_connector::{Matched, NativeRequest, Target};
use crmgate_domain::{Actor, ConnectionName, Document, OperationId, PayloadHash, Timestamp};
use crmgate_store::{Callback, Dependency, NewOperation, TraceRef};
use serde::{Deserialize, Serialize};

use super::form::{self, CanonicalForm, Form, FormError, NativeForm};
use super::secrets;
use crate::Connection;

/// The longest words of callers' own.
const MOST_CLIENT_ID: usize = 200;
const MOST_GROUP: usize = 100;
const MOST_PURPOSE: usize = 500;
/// What one operation may wait for.
const MOST_DEPENDENCIES: usize = 100;
/// Priorities lie between this and its negative.
const MOST_PRIORITY: i16 = 1000;
/// Keys longer than this are told by their hash.
const MOST_KEY: usize = 200;

/// One operation as submitted: a JSON body, or a line of NDJSON.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an object with `connection` and `operation` or `request`"
)]
pub struct OperationRequest {
    /// At which connection; the submission's, where not given.
    #[serde(default)]
    pub connection: Option<ConnectionName>,
    /// The operation in canonical form. Exactly one of the two forms is given.
    #[serde(default)]
    pub operation: Option<CanonicalForm>,
    /// The operation as a client would send it to the gateway.
    #[serde(default)]
    pub request: Option<NativeForm>,
    /// The submitter's own id for it: the same one again is the same operation.
    #[serde(default)]
    pub client_id: Option<String>,
    /// Not before this.
    #[serde(default)]
    pub not_before: Option<Timestamp>,
    /// When it is not wanted any more.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// `low`, `normal`, `high`, or a number from -1000 to 1000.
    #[serde(default)]
    pub priority: Option<Document>,
    /// What must have succeeded before: `{"id": …}` or `{"client_id": …}`.
    #[serde(default)]
    pub depends_on: Vec<Dependency>,
    /// Those of one group happen together or not at all.
    #[serde(default)]
    pub group: Option<String>,
    /// Why.
    #[serde(default)]
    pub purpose: Option<String>,
    /// Who asks; the submitter's token, where not given.
    #[serde(default)]
    pub actor: Option<Actor>,
    /// Whom to tell of its end.
    #[serde(default)]
    pub callback: Option<CallbackForm>,
}

/// Whom to tell.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `url`")]
pub struct CallbackForm {
    /// The address.
    pub url: String,
}

/// Why one operation is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineError {
    /// The line, from 1.
    pub line: u64,
    /// A stable word.
    pub code: Cow<'static, str>,
    /// What is wrong, and what was expected.
    pub message: String,
    /// The member it is about, with dots.
    pub field: Option<String>,
    /// The submitter's own id for the operation, where it was read.
    pub client_id: Option<String>,
}

/// Something wrong with a line whose number whoever reads lines knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) field: Option<String>,
}

impl Wrong {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            code,
            message,
            field: None,
        }
    }

    pub(crate) fn at(code: &'static str, field: &str, message: impl Into<String>) -> Self {
        Self {
            field: Some(field.to_owned()),
            ..Self::new(code, message)
        }
    }

    pub(crate) fn on(self, line: u64, client_id: Option<&str>) -> LineError {
        LineError {
            line,
            code: self.code.into(),
            message: self.message,
            field: self.field,
            client_id: client_id.map(str::to_owned),
        }
    }
}

impl From<FormError> for Wrong {
    fn from(error: FormError) -> Self {
        match error {
            FormError::Wrong {
                code,
                field,
                problem,
            } => Self::at(code, &field, problem),
            FormError::NotParsed(failure) => Self::new("invalid_operation", failure.to_string()),
        }
    }
}

/// How `serde_json` announces a number; a text with it could pass for one.
const RESERVED: &[u8] = b"$serde_json::private::";

impl OperationRequest {
    /// Reads one line.
    ///
    /// # Errors
    /// What is wrong with it, and in which member.
    pub(crate) fn read(text: &[u8]) -> Result<Self, Wrong> {
        if text
            .windows(RESERVED.len())
            .any(|window| window == RESERVED)
        {
            return Err(Wrong::new("invalid_json", "a reserved name stands in it"));
        }
        serde_json::from_slice(text).map_err(|_| Self::what_is_wrong(text))
    }

    /// The error again, with its place. Only bad lines are read twice.
    fn what_is_wrong(text: &[u8]) -> Wrong {
        let mut json = serde_json::Deserializer::from_slice(text);
        let told = match serde_path_to_error::deserialize::<_, Self>(&mut json) {
            Err(error) => {
                let path = error.path().to_string();
                let path = path.trim_end_matches(['.', '?']).to_owned();
                let inner = error.into_inner();
                let broken = inner.is_syntax() || inner.is_eof();
                (path, inner.to_string(), broken)
            }
            Ok(_) => match json.end() {
                Err(error) => (String::new(), error.to_string(), true),
                Ok(()) => (String::new(), "it cannot be read".to_owned(), true),
            },
        };
        let (path, message, broken) = told;
        let code = if broken {
            "invalid_json"
        } else {
            "invalid_member"
        };
        // Every line is its own document: "line 1" would mislead.
        let message = message.replace(" at line 1 column ", " at column ");
        Wrong {
            code,
            message,
            field: (!path.is_empty() && !broken).then_some(path),
        }
    }

    pub(crate) fn priority(&self) -> Result<i16, Wrong> {
        let wrong = |found: &str| {
            let message = format!(
                "`{found}`: expected `low`, `normal`, `high` or a number from -{MOST_PRIORITY} to {MOST_PRIORITY}"
            );
            Wrong::at("invalid_member", "priority", message)
        };
        match &self.priority {
            None | Some(Document::Null) => Ok(0),
            Some(Document::String(word)) => match word.as_str() {
                "low" => Ok(-10),
                "normal" => Ok(0),
                "high" => Ok(10),
                other => Err(wrong(other)),
            },
            Some(other) => {
                let text = other.to_json();
                text.parse::<i16>()
                    .ok()
                    .filter(|number| (-MOST_PRIORITY..=MOST_PRIORITY).contains(number))
                    .ok_or_else(|| wrong(&text))
            }
        }
    }

    /// Holds texts and times to what they may be.
    pub(crate) fn check(&self, now: Timestamp) -> Result<(), Wrong> {
        let texts = [
            ("client_id", &self.client_id, MOST_CLIENT_ID),
            ("group", &self.group, MOST_GROUP),
            ("purpose", &self.purpose, MOST_PURPOSE),
        ];
        for (field, text, most) in texts {
            let Some(text) = text else { continue };
            if text.is_empty() || text.chars().count() > most || text.chars().any(char::is_control)
            {
                let message =
                    format!("expected 1 to {most} characters, none of them a control character");
                return Err(Wrong::at("invalid_member", field, message));
            }
        }
        if self.depends_on.len() > MOST_DEPENDENCIES {
            let message = format!("expected at most {MOST_DEPENDENCIES} of them");
            return Err(Wrong::at("invalid_member", "depends_on", message));
        }
        let own = self.depends_on.iter().any(
            |on| matches!(on, Dependency::ClientId(id) if Some(id) == self.client_id.as_ref()),
        );
        if own {
            let message = "it depends on itself";
            return Err(Wrong::at("circular_dependency", "depends_on", message));
        }
        let Some(end) = self.expires_at else {
            return Ok(());
        };
        if end <= now {
            let message = format!("`{end}` has passed: it is {now} now");
            return Err(Wrong::at("already_expired", "expires_at", message));
        }
        if self.not_before.is_some_and(|start| start >= end) {
            let message = "lies before `not_before`: it could never happen";
            return Err(Wrong::at("never_due", "expires_at", message));
        }
        Ok(())
    }
}

/// What a form is about, without a look at the CRM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct About {
    /// `create`, `upsert`, ….
    pub(crate) kind: &'static str,
    /// The object, as named.
    pub(crate) named: String,
    /// The record.
    pub(crate) target: Target,
}

impl About {
    /// What the form is about; the same checks that a worker will make, as far as they need
    /// nobody.
    pub(crate) fn of(connection: &Connection, form: &Form) -> Result<Self, Wrong> {
        match form {
            Form::Operation(form) => Self::canonical(connection, form),
            Form::Request(form) => Self::native(connection, form),
            Form::Gateway(form) => Self::native(connection, &form.request),
        }
    }

    fn canonical(connection: &Connection, form: &CanonicalForm) -> Result<Self, Wrong> {
        form::check(form)?;
        if form.object.is_empty() {
            let message = "expected an object's name";
            return Err(Wrong::at("invalid_operation", "operation.object", message));
        }
        let twice = form
            .record
            .as_ref()
            .and_then(|record| record.first_duplicate(str::to_owned));
        if let Some(name) = twice {
            let field = format!("operation.record.{name}");
            return Err(Wrong::at("duplicate_field", &field, "stands twice"));
        }
        let target = match &form.id {
            None => Target::New,
            Some(id) => {
                let normal = connection.connector().normal_id(id);
                let normal =
                    normal.map_err(|error| Wrong::at(error.code, "operation.id", error.message))?;
                Target::Id(normal)
            }
        };
        Ok(Self {
            kind: form.kind.as_str(),
            named: form.object.clone(),
            target,
        })
    }

    fn native(connection: &Connection, form: &NativeForm) -> Result<Self, Wrong> {
        secrets::refuse_names(form)?;
        let request = form::native_request(form.clone())?;
        let connector = connection.connector();
        if connector.caller_token(&request.head).is_some() {
            return Err(secrets::refused("request"));
        }
        let matched = form::understood(connection, &request.head)?;
        check_body(&request, &matched)?;
        let outline = connector
            .outline(&request.head, &matched)
            .map_err(|error| Wrong::at(error.code, "request.path", error.message))?;
        Ok(Self {
            kind: outline.requested.as_str(),
            named: outline.object,
            target: outline.target,
        })
    }

    /// The record's normalized id, or its key.
    pub(crate) fn record(&self) -> Option<String> {
        match &self.target {
            Target::New => None,
            Target::Id(id) => Some(id.clone()),
            Target::Key(key) => {
                let parts: Vec<String> = key
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                let text = parts.join(",");
                if text.len() > MOST_KEY {
                    return Some(PayloadHash::of(&[text.as_bytes()]).to_hex());
                }
                Some(text)
            }
        }
    }

    /// The record's lane. An id names its record whatever the object is called; a key only with
    /// the object.
    pub(crate) fn lane(&self, connection: &ConnectionName, native: &str) -> Option<String> {
        let record = self.record()?;
        Some(match &self.target {
            Target::Key(_) => format!("{connection}/{}/{record}", native.to_ascii_lowercase()),
            _ => format!("{connection}/{record}"),
        })
    }
}

/// A JSON body must be an object in which nothing stands twice.
fn check_body(request: &NativeRequest, matched: &Matched) -> Result<(), Wrong> {
    let json = request
        .head
        .header("content-type")
        .is_some_and(|kind| kind.to_ascii_lowercase().contains("json"));
    let crmgate_connector::Body::Full(body) = &request.body else {
        return Ok(());
    };
    if !json || matched.method == http::Method::DELETE {
        return Ok(());
    }
    let wrong = |message: String| Wrong::at("invalid_body", "request.body", message);
    let body = Document::parse(body).map_err(|error| wrong(format!("is no JSON: {error}")))?;
    let Document::Object(object) = &body else {
        let message = format!("expected an object, found {}", body.type_name());
        return Err(wrong(message));
    };
    match object.first_duplicate(str::to_owned) {
        Some(name) => Err(Wrong::at(
            "duplicate_field",
            &format!("request.body.{name}"),
            "stands twice",
        )),
        None => Ok(()),
    }
}

/// What whoever reads lines knows of one that was read.
pub(crate) struct Placed<'a> {
    pub(crate) id: OperationId,
    pub(crate) line: u64,
    pub(crate) connection: &'a ConnectionName,
    pub(crate) object: String,
    pub(crate) native: &'a str,
    pub(crate) actor: Actor,
    pub(crate) trace: Option<TraceRef>,
}

/// The row.
pub(crate) fn row(
    request: OperationRequest,
    form: &Form,
    about: &About,
    placed: Placed<'_>,
) -> Result<NewOperation, Wrong> {
    let priority = request.priority()?;
    let text = serde_json::to_string(form)
        .map_err(|error| Wrong::new("invalid_member", error.to_string()))?;
    let how = serde_json::json!({
        "connection": placed.connection,
        "not_before": request.not_before,
        "expires_at": request.expires_at,
        "priority": priority,
        "depends_on": request.depends_on,
        "group": request.group,
        "purpose": request.purpose,
        "actor": request.actor,
        "callback": request.callback.as_ref().map(|callback| &callback.url),
    });
    let content = PayloadHash::of(&[text.as_bytes(), how.to_string().as_bytes()]);
    Ok(NewOperation {
        id: placed.id,
        connection: placed.connection.clone(),
        client_id: request.client_id,
        line: placed.line,
        actor: placed.actor,
        kind: about.kind.to_owned(),
        object: placed.object,
        record_id: about.record(),
        lane: about.lane(placed.connection, placed.native),
        group: request.group,
        depends_on: request.depends_on,
        priority,
        not_before: request.not_before,
        expires_at: request.expires_at,
        purpose: request.purpose,
        callback: request
            .callback
            .map(|callback| Callback { url: callback.url }),
        request: text,
        content,
        trace: placed.trace,
    })
}
