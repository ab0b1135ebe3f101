//! A decision without a write: `POST /v1/validate`.

use crmgate_connector::{Credential, Failure, ParseFailure};
use crmgate_domain::{
    Actor, ConnectionName, Decision, Effect, Judgement, Mode, Object, OperationId, Point,
};
use crmgate_enforce::{Ask, Caller, NotDecided, NotJudged, Stage};
use crmgate_store::Role;
use serde::{Deserialize, Serialize};

use crate::identify::actor_of;
use crate::operations::form::{CanonicalForm, Form, FormError, NativeForm, Subject, draft_of};
use crate::{Action, App, AppError, Principal};

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
        let form = Form::one(request.operation, request.request)?;
        let place = form.name();
        let subject = Subject {
            id: OperationId::fresh(self.ambient()),
            actor: &caller.actor,
            point: Point::Validate,
            at,
        };
        let draft = match draft_of(connection, form, &subject).await {
            Ok(draft) => draft,
            Err(FormError::Wrong { field, problem, .. }) => {
                return Err(AppError::invalid(&field, problem));
            }
            Err(FormError::NotParsed(failure)) => return Err(not_parsed(place, failure)),
        };
        let ask = Ask {
            draft,
            caller,
            point: Point::Validate,
            at,
            purpose: request.purpose,
            parsing: timer.stop(),
            later: None,
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
