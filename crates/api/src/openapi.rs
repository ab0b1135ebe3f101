//! The OpenAPI document.
//!
//! The answers are the domain's own types, which know nothing of OpenAPI. The types here mirror
//! their JSON field by field; a test reads real answers with them and fails on any difference.

use axum::response::{IntoResponse as _, Response};
use http::header;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

mod bodies;
mod estate;
mod operations;

pub(crate) use bodies::{
    ApprovalPage, AskedBody, DecisionBody, DecisionPage, HoldBody, HoldPage, ValidateBody,
    ValidatedBody, VoteResultBody,
};
pub(crate) use estate::{
    ConnectionBody, ConnectionList, CreatedTokenBody, ModeBody, PoliciesBody, ProcessList,
    ReloadedBody, ReportBody, RevisionBody, TokenList, TokenRequestBody,
};

pub(crate) use operations::{
    LifeBody, OperationPage, OperationRequestBody, QueuedBody, ReasonedBody, ResolveBody,
    RetryBody, SubmissionBody, SubmittedBody, SweepBody, SweptBody,
};

use crate::error::CODES;
use crate::routes::operations as queue;
use crate::routes::{
    approvals, connections, decisions, export, holds, policies, processes, record, submissions,
    tokens, validate,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "crmgate control API",
        description = "Decisions, connections, policies and tokens of a crmgate.",
        license(name = "Apache-2.0")
    ),
    paths(
        validate::validate,
        decisions::list,
        decisions::show,
        export::export,
        record::erase,
        record::entries,
        record::checkpoints,
        record::key,
        record::check,
        holds::list,
        holds::show,
        approvals::list,
        approvals::show,
        approvals::approve,
        approvals::reject,
        connections::list,
        connections::show,
        connections::report,
        connections::set_mode,
        policies::show,
        policies::reload,
        policies::revision,
        queue::submit::submit,
        queue::list,
        queue::cancel_all,
        queue::retry_all,
        queue::show,
        queue::history,
        queue::cancel,
        queue::retry,
        queue::resolve,
        submissions::show,
        processes::list,
        tokens::list,
        tokens::create,
        tokens::revoke,
    ),
    security(("token" = [])),
    modifiers(&Common)
)]
struct Document;

/// What all routes share: how to authenticate, and what the error codes mean.
struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An API token: `crmgate_<id>_<secret>`."))
            .build();
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("token", SecurityScheme::Http(bearer));
        let codes: Vec<String> = CODES
            .iter()
            .map(|(code, status, meaning)| format!("- `{code}` ({}): {meaning}", status.as_u16()))
            .collect();
        let about = document.info.description.take().unwrap_or_default();
        document.info.description = Some(format!(
            "{about}\n\nEvery error is `{{\"code\", \"message\", \"details\"}}`:\n\n{}",
            codes.join("\n")
        ));
    }
}

/// The OpenAPI document.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

pub(crate) async fn serve() -> Response {
    match document().to_json() {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Err(error) => {
            tracing::error!(%error, "the OpenAPI document cannot be written");
            crate::ApiError::new("internal", "the document cannot be written").into_response()
        }
    }
}
