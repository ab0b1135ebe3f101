//! A decision without a write: `POST /v1/validate`.

use std::collections::BTreeMap;

use crmgate_connector::{
    Body, Class, Credential, Draft, Failure, NativeRequest, ParseFailure, RequestHead,
};
use crmgate_domain::{
    Actor, ConnectionName, ConnectionRef, Decision, Document, Effect, Judgement, Kind, Mode,
    Object, Operation, OperationId, Point, Timestamp,
};
use crmgate_enforce::{Ask, Caller, NotDecided, NotJudged, Stage};
use crmgate_store::Role;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::identify::actor_of;
use crate::{Action, App, AppError, Connection, Principal};

/// Stands for the gate's address where there is none: no answer leaves with it.
const NO_GATE: &str = "https://gate.invalid/";

/// What is to be judged.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an object with `connection` and `operation` or `request`"
)]
pub struct ValidateRequest {
    /// At which connection.
    pub connection: ConnectionName,
    /// Who would do it; the caller's own token, where not given. Only an admin, an operator or an
    /// author may speak for others.
    #[serde(default)]
    pub actor: Option<Actor>,
    /// Why.
    #[serde(default)]
    pub purpose: Option<String>,
    /// The operation in canonical form. Exactly one of the two forms is given.
    #[serde(default)]
    pub operation: Option<CanonicalForm>,
    /// The operation as a client would send it to the gateway.
    #[serde(default)]
    pub request: Option<NativeForm>,
}

/// An operation by canonical names.
#[derive(Debug, Clone, PartialEq, Deserialize)]
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
    #[serde(default)]
    pub id: Option<String>,
    /// The fields it would write, by canonical or `native.X` name; none for a delete.
    #[serde(default)]
    pub record: Option<Object>,
}

/// An operation as a native request.
#[derive(Debug, Clone, PartialEq, Deserialize)]
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
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body: a string is sent as it is, anything else as JSON.
    #[serde(default)]
    pub body: Option<Document>,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Validated {
    /// Whether it would pass as it is judged: the effect is `allow`.
    pub allowed: bool,
    /// Why not, for people: one message per refusal, agreement that is needed, or error.
    pub messages: Vec<String>,
    /// The recorded decision.
    pub decision: Decision,
    /// The connection's mode: in `observe` the gateway would let it pass all the same.
    pub mode: Mode,
    /// The record after the write, patches applied, by canonical names; `None` for a delete.
    pub record: Option<Object>,
    /// The same by native names.
    pub native: Option<Object>,
    /// Native names of the fields that patches change.
    pub changed: Vec<String>,
}

impl App {
    /// Judges an operation at point `validate` and records the decision. Nothing is written.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound` (connection), `Invalid` (the operation), `Refused` (no such
    /// record), `Unavailable`.
    pub async fn validate(
        &self,
        by: &Principal,
        request: ValidateRequest,
    ) -> Result<Validated, AppError> {
        by.demand(Action::Validate)?;
        let connection = self.connections().visible(by, &request.connection)?;
        let caller = Caller {
            actor: speak_for(by, request.actor)?,
            org: None,
            credential: Credential::Service,
        };
        let at = self.ambient().now();
        let timer = connection.gate().time(Stage::Parse);
        let mut draft = match (request.operation, request.request) {
            (Some(canonical), None) => {
                let id = OperationId::fresh(self.ambient());
                canonical_draft(connection, &caller.actor, canonical, (id, at)).await?
            }
            (None, Some(native)) => native_draft(connection, native).await?,
            _ => {
                let problem = "expected exactly one of `operation` and `request`";
                return Err(AppError::invalid("operation", problem));
            }
        };
        // Off the gateway there is no request for policies to see.
        draft.request = None;
        let ask = Ask {
            draft,
            caller,
            point: Point::Validate,
            at,
            purpose: request.purpose,
            parsing: timer.stop(),
        };
        let decided = connection.gate().decide(&ask).await.map_err(not_decided)?;
        let change = decided.change;
        let views = change.as_ref().map(|change| change.views());
        let judgement = &decided.decision.judgement;
        Ok(Validated {
            allowed: judgement.effect == Effect::Allow,
            messages: messages(judgement),
            mode: decided.decision.mode,
            decision: decided.decision,
            record: views.and_then(|views| views.record.clone()),
            native: views.and_then(|views| views.native.clone()),
            changed: change.map(|c| c.changed_fields()).unwrap_or_default(),
        })
    }
}

fn messages(judgement: &Judgement) -> Vec<String> {
    let refused = judgement.reasons.iter().map(|reason| &reason.message);
    let held = judgement.approvals.iter().map(|approval| &approval.reason);
    let failed = judgement.errors.iter().map(|error| &error.message);
    refused.chain(held).chain(failed).cloned().collect()
}

/// Whom a decision is asked for. A mere client asks for itself.
fn speak_for(by: &Principal, actor: Option<Actor>) -> Result<Actor, AppError> {
    let Some(actor) = actor else {
        return Ok(actor_of(by));
    };
    if [Role::Admin, Role::Operator, Role::Author]
        .iter()
        .any(|role| by.has(*role))
    {
        return Ok(actor);
    }
    Err(AppError::Forbidden(format!(
        "token `{}` may not ask on behalf of another actor",
        by.token.name
    )))
}

async fn canonical_draft(
    connection: &Connection,
    actor: &Actor,
    form: CanonicalForm,
    (id, at): (OperationId, Timestamp),
) -> Result<Draft, AppError> {
    if !form.kind.writes() {
        let problem = format!("`{}` writes nothing", form.kind.as_str());
        return Err(AppError::invalid("operation.kind", problem));
    }
    if form.kind != Kind::Create && form.id.is_none() {
        let problem = format!("is needed for `{}`", form.kind.as_str());
        return Err(AppError::invalid("operation.id", problem));
    }
    if form.kind == Kind::Delete && form.record.is_some() {
        return Err(AppError::invalid(
            "operation.record",
            "a delete has no record",
        ));
    }
    let connector = connection.connector();
    let mapped = connector.mapped_objects();
    let named = mapped.into_iter().find(|(canonical, native)| {
        form.object.eq_ignore_ascii_case(canonical) || form.object.eq_ignore_ascii_case(native)
    });
    let (object, native_object) =
        named.unwrap_or_else(|| (form.object.to_ascii_lowercase(), form.object.clone()));
    let operation = Operation {
        id,
        kind: form.kind,
        requested: None,
        point: Point::Validate,
        at,
        connection: ConnectionRef {
            name: connection.name().clone(),
            system: connector.system().to_owned(),
            org: None,
        },
        object,
        native_object,
        record_id: form.id,
        actor: actor.clone(),
        request: None,
        purpose: None,
        batch: None,
        name: None,
        arguments: None,
        relation: None,
    };
    let drafting = connector.draft(&operation, form.record);
    drafting
        .await
        .map_err(|failure| not_parsed("operation", failure))
}

async fn native_draft(connection: &Connection, form: NativeForm) -> Result<Draft, AppError> {
    let request = native_request(form)?;
    let class = connection.classify(&request.head);
    if !matches!(class, Class::Write(_)) {
        let problem = match class {
            Class::Unknown { why } => format!("is not understood: {why}"),
            _ => "is not a write".to_owned(),
        };
        return Err(AppError::invalid("request", problem));
    }
    let parsing = connection.connector().parse(request);
    parsing
        .await
        .map_err(|failure| not_parsed("request", failure))
}

fn native_request(form: NativeForm) -> Result<NativeRequest, AppError> {
    let method: Method = form.method.parse().map_err(|_| {
        AppError::invalid("request.method", format!("`{}` is no method", form.method))
    })?;
    let path = Some(&form.path).filter(|path| path.starts_with('/'));
    let uri = path
        .and_then(|path| path.parse::<Uri>().ok())
        .ok_or_else(|| {
            let problem = format!("`{}` is no path with query, such as `/a/b?c=d`", form.path);
            AppError::invalid("request.path", problem)
        })?;
    let mut headers = HeaderMap::new();
    for (name, value) in &form.headers {
        let parsed = (name.parse::<HeaderName>(), value.parse::<HeaderValue>());
        let (Ok(known), Ok(text)) = parsed else {
            let parameter = format!("request.headers.{name}");
            return Err(AppError::invalid(&parameter, "is no header"));
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
    let gate = Url::parse(NO_GATE).map_err(|error| AppError::Unavailable(error.to_string()))?;
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

fn not_parsed(parameter: &str, failure: ParseFailure) -> AppError {
    match failure {
        ParseFailure::Malformed(malformed) => AppError::invalid(parameter, malformed.message),
        ParseFailure::Failure(Failure::Refused { code, message, .. }) => {
            AppError::Refused { code, message }
        }
        ParseFailure::Failure(other) => AppError::Unavailable(other.to_string()),
    }
}

fn not_decided(failure: NotDecided) -> AppError {
    match failure {
        NotDecided::NotJudged(NotJudged::Malformed(malformed)) => {
            AppError::invalid("operation", malformed.message)
        }
        NotDecided::NotJudged(NotJudged::RefusedByCrm { code, message, .. }) => {
            AppError::Refused { code, message }
        }
        NotDecided::NotJudged(NotJudged::Unable(unable)) => AppError::Unavailable(unable.message),
        NotDecided::NotRecorded(error) => {
            AppError::Unavailable(format!("the decision could not be recorded: {error}"))
        }
    }
}
