//! `/v1/approvals`: what people are asked to agree to, and their answers.

#![expect(
    unused_qualifications,
    reason = "utoipa's macro writes the path of the query's type out"
)]

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse as _;
use crmgate_app::approvals::{Mine, VoteResult, Wanted};
use crmgate_app::{AppError, Principal};
use crmgate_domain::approval::Choice;
use crmgate_domain::{ConnectionName, HoldId};
use crmgate_store::HoldStatus;
use serde::Deserialize;
use utoipa::IntoParams;

use super::operations::Reasoned;
use super::waiting;
use crate::access::Caller;
use crate::body::{Answer, Asked, Named, OrNothing};
use crate::openapi::{ApprovalPage, AskedBody, ReasonedBody, VoteResultBody};
use crate::routes::decisions::PAGE;
use crate::{ErrorBody, Parts};

/// Narrows the list. All that is given must hold.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Listed {
    /// The connection.
    #[param(value_type = Option<String>)]
    connection: Option<ConnectionName>,
    /// One status, or several with commas: `waiting,approved`.
    status: Option<String>,
    /// The actor's id.
    actor: Option<String>,
    /// Only those that the caller can answer now.
    mine: Option<bool>,
    /// Where the page starts, as the last one said.
    cursor: Option<String>,
    /// How many, 1 to 500; 50 where not given.
    limit: Option<usize>,
}

/// How long to wait.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Waited {
    /// Until it is decided and what it released has come to its end, at most so long: `30s`.
    wait: Option<String>,
}

/// What people are asked, newest first.
#[utoipa::path(get, path = "/v1/approvals", tag = "approvals", params(Listed),
    responses((status = 200, body = ApprovalPage), (status = "default", body = ErrorBody)))]
pub(crate) async fn list(
    State(parts): State<Arc<Parts>>,
    Caller(by): Caller,
    Asked(listed): Asked<Listed>,
) -> Answer {
    let wanted = Wanted {
        connection: listed.connection,
        statuses: statuses(listed.status.as_deref())?,
        actor: listed.actor,
        mine: if listed.mine == Some(true) {
            Mine::ToAnswer
        } else {
            Mine::All
        },
    };
    let limit = listed.limit.unwrap_or(PAGE);
    let approvals = parts.app.approvals();
    let page = approvals
        .list(&by, &wanted, listed.cursor.as_deref(), limit)
        .await?;
    Ok(axum::Json(page).into_response())
}

fn statuses(text: Option<&str>) -> Result<Vec<HoldStatus>, AppError> {
    let words = text.into_iter().flat_map(|text| text.split(','));
    let statuses = words.map(|word| {
        HoldStatus::of(word.trim()).ok_or_else(|| {
            let known: Vec<&str> = HoldStatus::ALL.iter().map(|it| it.as_str()).collect();
            let problem = format!("`{word}`: expected one of {}", known.join(", "));
            AppError::invalid("status", problem)
        })
    });
    statuses.collect()
}

/// One, with who must agree to what, and who answered.
#[utoipa::path(get, path = "/v1/approvals/{id}", tag = "approvals",
    params(("id" = String, Path, description = "As the held caller was told."), Waited),
    responses((status = 200, body = AskedBody), (status = "default", body = ErrorBody)))]
pub(crate) async fn show(
    State(parts): State<Arc<Parts>>,
    Caller(by): Caller,
    Named(id): Named<HoldId>,
    Asked(waited): Asked<Waited>,
) -> Answer {
    let most = waiting::time(waited.wait.as_deref())?;
    let shown = parts.app.approvals().wait(&by, id, most).await?;
    Ok(axum::Json(shown).into_response())
}

/// Agrees. An answer is not taken back.
#[utoipa::path(post, path = "/v1/approvals/{id}/approve", tag = "approvals",
    params(("id" = String, Path, description = "As the held caller was told."), Waited),
    request_body = ReasonedBody,
    responses((status = 200, body = VoteResultBody), (status = "default", body = ErrorBody)))]
pub(crate) async fn approve(
    State(parts): State<Arc<Parts>>,
    Caller(by): Caller,
    Named(id): Named<HoldId>,
    Asked(waited): Asked<Waited>,
    OrNothing(given): OrNothing<Reasoned>,
) -> Answer {
    answer(&parts, &by, (id, Choice::Approve), &waited, &given).await
}

/// Refuses. One who is asked is enough.
#[utoipa::path(post, path = "/v1/approvals/{id}/reject", tag = "approvals",
    params(("id" = String, Path, description = "As the held caller was told."), Waited),
    request_body = ReasonedBody,
    responses((status = 200, body = VoteResultBody), (status = "default", body = ErrorBody)))]
pub(crate) async fn reject(
    State(parts): State<Arc<Parts>>,
    Caller(by): Caller,
    Named(id): Named<HoldId>,
    Asked(waited): Asked<Waited>,
    OrNothing(given): OrNothing<Reasoned>,
) -> Answer {
    answer(&parts, &by, (id, Choice::Reject), &waited, &given).await
}

async fn answer(
    parts: &Parts,
    by: &Principal,
    (id, choice): (HoldId, Choice),
    waited: &Waited,
    given: &Reasoned,
) -> Answer {
    let most = waiting::time(waited.wait.as_deref())?;
    let approvals = parts.app.approvals();
    approvals.check_wait(most)?;
    let reason = given.reason.as_deref();
    let mut told = approvals.answer(by, id, choice, reason).await?;
    if !most.is_zero() && told.result != "counted" {
        told = VoteResult {
            approval: approvals.wait(by, id, most).await?,
            ..told
        };
    }
    Ok(axum::Json(told).into_response())
}
