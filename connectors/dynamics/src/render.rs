//! The gate's answers in Dataverse's shape.
//!
//! What real clients do with each status decides: 404 and 412 are swallowed by one of them, 401
//! makes them sign in again, 429 and 5xx are retried. So a verdict is 400 or 403, an inability 503.

use crmgate_connector::{Class, Failure, Malformed, NativeResponse, Refusal, RequestHead, Target};
use crmgate_domain::{DecisionId, Object};
use http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, StatusCode};

use crate::auth::random_guid;
use crate::change::json_answer;
use crate::connector::Dynamics;
use crate::key;
use crate::request;
use crate::table::Table;

/// A plug-in refused: what people know from rules inside the CRM.
const REFUSED: &str = "0x80040265";
const NO_PRIVILEGE: &str = "0x80040220";
const BAD_REQUEST: &str = "0x80060888";
const BAD_PAYLOAD: &str = "0x80048d19";
const UNEXPECTED: &str = "0x80040216";
const NO_TOKEN: &str = "0x8005f101";
const VERSION: &str = "0x80060882";

/// Where answers name themselves.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-service-request-id");

type Shown = (StatusCode, &'static str, String);

impl Dynamics {
    pub(crate) fn rendered(&self, head: &RequestHead, refusal: &Refusal) -> NativeResponse {
        let (status, code, message) = shown(refusal);
        if matches!(request::classify(&self.routes, head), Class::SignIn(_)) {
            return sign_in_error(status, &message);
        }
        let mut response = error(status, code, &message);
        // Clients show this id to people, who give it to whoever looks into a refusal.
        let request_id = decision(refusal).map_or_else(
            || random_guid(&*self.ambient),
            |decision| decision.to_string(),
        );
        if let Ok(id) = HeaderValue::from_str(&request_id) {
            response.headers.insert(REQUEST_ID, id);
        }
        let extra: Option<(HeaderName, String)> = match refusal {
            Refusal::Inability { retry_after, .. } => {
                Some((RETRY_AFTER, retry_after.as_secs().max(1).to_string()))
            }
            Refusal::Unauthenticated { .. } => Some((WWW_AUTHENTICATE, self.challenge())),
            _ => None,
        };
        if let Some((name, value)) = extra
            && let Ok(value) = HeaderValue::from_str(&value)
        {
            response.headers.insert(name, value);
        }
        response
    }

    /// Gives an answer an id, the decision's where it rests on one: clients show it to people, who
    /// give it to whoever looks into a refusal.
    fn name_answer(&self, response: &mut NativeResponse, decision: Option<DecisionId>) {
        let id = decision.map_or_else(|| random_guid(&*self.ambient), |id| id.to_string());
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers.insert(REQUEST_ID, id);
        }
    }

    /// Dataverse's own answer about a record that is not there.
    pub(crate) fn no_record(&self, table: &Table, target: &Target) -> Failure {
        let (code, message) = match target {
            Target::Key(_) => (
                "0x80060891",
                format!(
                    "A record with the specified key values does not exist in {} entity",
                    table.name
                ),
            ),
            Target::Id(_) | Target::New => (
                "0x80040217",
                format!(
                    "Entity '{}' With Id = {} Does Not Exist",
                    table.name,
                    key::render(table, target)
                ),
            ),
        };
        self.own_refusal(StatusCode::NOT_FOUND, code, message)
    }

    /// Dataverse's own answer about a record that is in another version than the client said.
    pub(crate) fn other_version(&self) -> Failure {
        let message = "The version of the existing record doesn't match the RowVersion property \
                       provided.";
        self.own_refusal(StatusCode::PRECONDITION_FAILED, VERSION, message.to_owned())
    }

    fn own_refusal(&self, status: StatusCode, code: &str, message: String) -> Failure {
        let mut response = error(status, code, &message);
        self.name_answer(&mut response, None);
        Failure::Refused {
            response: Some(Box::new(response)),
            code: code.to_owned(),
            message,
        }
    }

    /// Where to sign in and for what. The resource is the environment's own: a token for the
    /// gate's address would be worth nothing.
    fn challenge(&self) -> String {
        let tenant = self.tenant.as_deref().unwrap_or("common");
        format!(
            "Bearer authorization_uri={}{tenant}/oauth2/authorize, resource_id={}",
            self.authority, self.upstream.url
        )
    }
}

fn decision(refusal: &Refusal) -> Option<DecisionId> {
    match refusal {
        Refusal::Denied { decision, .. } | Refusal::Held { decision, .. } => Some(*decision),
        Refusal::Inability { decision, .. } => *decision,
        _ => None,
    }
}

fn shown(refusal: &Refusal) -> Shown {
    match refusal {
        Refusal::Denied {
            decision,
            message,
            about_actor,
            ..
        } => {
            let text = format!("{message} [decision {decision}]");
            if *about_actor {
                (StatusCode::FORBIDDEN, NO_PRIVILEGE, text)
            } else {
                (StatusCode::BAD_REQUEST, REFUSED, text)
            }
        }
        Refusal::Held {
            decision,
            hold,
            operation: None,
            message,
        } => {
            let text = format!("{message} [hold {hold}, decision {decision}]");
            (StatusCode::BAD_REQUEST, REFUSED, text)
        }
        // No header names a record, and the body is an error's: nobody takes it for written.
        Refusal::Held {
            decision,
            hold,
            operation: Some(operation),
            message,
        } => {
            let text =
                format!("{message} [operation {operation}, hold {hold}, decision {decision}]");
            (StatusCode::ACCEPTED, REFUSED, text)
        }
        Refusal::Inability {
            decision, message, ..
        } => {
            let named = decision.map(|decision| format!(" [decision {decision}]"));
            let text = format!("{message}{}", named.unwrap_or_default());
            (StatusCode::SERVICE_UNAVAILABLE, UNEXPECTED, text)
        }
        Refusal::NotUnderstood { message } => {
            (StatusCode::BAD_REQUEST, BAD_REQUEST, message.clone())
        }
        Refusal::Malformed(malformed) => malformed_shown(malformed),
        Refusal::TooLarge { limit } => (
            StatusCode::PAYLOAD_TOO_LARGE,
            BAD_REQUEST,
            format!("the body is longer than {limit} bytes"),
        ),
        Refusal::Unauthenticated { message } => {
            (StatusCode::UNAUTHORIZED, NO_TOKEN, message.clone())
        }
        Refusal::Forbidden { message } => (StatusCode::FORBIDDEN, NO_PRIVILEGE, message.clone()),
        Refusal::PreconditionFailed { message } => {
            (StatusCode::PRECONDITION_FAILED, VERSION, message.clone())
        }
    }
}

fn malformed_shown(malformed: &Malformed) -> Shown {
    let bad = StatusCode::BAD_REQUEST;
    let (status, code) = match malformed.code {
        "invalid_json" | "invalid_value" | "unknown_field" | "duplicate_field"
        | "invalid_reference" => (bad, BAD_PAYLOAD),
        "unsupported_media_type" => (StatusCode::UNSUPPORTED_MEDIA_TYPE, BAD_REQUEST),
        "bypass_refused" => (StatusCode::FORBIDDEN, NO_PRIVILEGE),
        "refused_by_crm" => (bad, REFUSED),
        _ => (bad, BAD_REQUEST),
    };
    (status, code, malformed.message.clone())
}

/// An error as Dataverse answers it.
pub(crate) fn error(status: StatusCode, code: &str, message: &str) -> NativeResponse {
    let mut detail = Object::new();
    detail.set("code", code.into());
    detail.set("message", message.into());
    let mut body = Object::new();
    body.set("error", detail.into());
    json_answer(status, &body)
}

/// An error as Entra ID answers it.
fn sign_in_error(status: StatusCode, message: &str) -> NativeResponse {
    let (status, code) = match status {
        StatusCode::SERVICE_UNAVAILABLE => (status, "temporarily_unavailable"),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            (StatusCode::UNAUTHORIZED, "invalid_client")
        }
        _ => (StatusCode::BAD_REQUEST, "invalid_request"),
    };
    let mut body = Object::new();
    body.set("error", code.into());
    body.set("error_description", message.into());
    json_answer(status, &body)
}
