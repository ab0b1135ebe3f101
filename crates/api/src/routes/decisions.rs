//! `/v1/decisions`: what was decided, and why.

#![expect(
    unused_qualifications,
    reason = "utoipa's macro writes the path of the query's type out"
)]

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse as _;
use crmgate_domain::{ConnectionName, DecisionId, Effect, Mode, Timestamp};
use crmgate_store::decisions::StoredDecision;
use crmgate_store::{DecisionFilter, OutcomeKind};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

use crate::access::Caller;
use crate::body::{Answer, Asked, Named};
use crate::openapi::{DecisionBody, DecisionPage};
use crate::{ErrorBody, Parts};

/// Narrows the list. All that is given must hold.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// The connection.
    #[param(value_type = Option<String>)]
    connection: Option<ConnectionName>,
    /// The object, by canonical name.
    object: Option<String>,
    /// The record's id.
    record_id: Option<String>,
    /// The actor's id.
    actor: Option<String>,
    /// `allow`, `deny`, `require_approval`, `error`.
    #[param(value_type = Option<String>)]
    effect: Option<Effect>,
    /// A package that spoke.
    package: Option<String>,
    /// A reason's code.
    reason: Option<String>,
    /// `enforce` or `observe`.
    #[param(value_type = Option<String>)]
    mode: Option<Mode>,
    /// What came of the write: `succeeded`, `refused`, `not_written`, `version_mismatch`,
    /// `unknown`, `uncertain`.
    #[param(value_type = Option<String>)]
    outcome: Option<OutcomeKind>,
    /// Only those behind this place in the record, as `sequence` tells it.
    after: Option<u64>,
    /// From this time on, RFC 3339.
    #[param(value_type = Option<String>)]
    since: Option<Timestamp>,
    /// Before this time, RFC 3339.
    #[param(value_type = Option<String>)]
    until: Option<Timestamp>,
    /// Where the page starts, as the last one said.
    cursor: Option<String>,
    /// How many, 1 to 500; 50 where not given.
    limit: Option<usize>,
}

/// A page's length where the caller does not say.
pub(crate) const PAGE: usize = 50;

/// Decisions, newest first.
#[utoipa::path(get, path = "/v1/decisions", tag = "decisions", params(Wanted),
    responses((status = 200, body = DecisionPage), (status = "default", body = ErrorBody)))]
pub(crate) async fn list(
    State(parts): State<Arc<Parts>>,
    Caller(by): Caller,
    Asked(wanted): Asked<Wanted>,
) -> Answer {
    let filter = DecisionFilter {
        connection: wanted.connection,
        object: wanted.object,
        record_id: wanted.record_id,
        actor: wanted.actor,
        effect: wanted.effect,
        package: wanted.package,
        reason: wanted.reason,
        since: wanted.since,
        until: wanted.until,
        visible: None,
        mode: wanted.mode,
        outcome: wanted.outcome,
        after: wanted.after,
        before: None,
    };
    let limit = wanted.limit.unwrap_or(PAGE);
    let decisions = parts.app.decisions();
    let page = decisions
        .list(&by, filter, wanted.cursor.as_deref(), limit)
        .await?;
    let items: Vec<Value> = page.items.iter().map(public).collect();
    Ok(axum::Json(json!({"items": items, "next": page.next})).into_response())
}

/// One decision, with what came of it.
#[utoipa::path(get, path = "/v1/decisions/{id}", tag = "decisions",
    params(("id" = String, Path, description = "As in `Crmgate-Decision`.")),
    responses((status = 200, body = DecisionBody), (status = "default", body = ErrorBody)))]
pub(crate) async fn show(
    State(parts): State<Arc<Parts>>,
    Caller(by): Caller,
    Named(id): Named<DecisionId>,
) -> Answer {
    let decision = parts.app.decisions().show(&by, id).await?;
    Ok(axum::Json(public(&decision)).into_response())
}

/// A decision as it is shown: without the values that are kept to find out what came of a write.
pub(crate) fn public(decision: &StoredDecision) -> Value {
    let mut shown = json!(decision);
    if let Value::Object(fields) = &mut shown {
        fields.shift_remove("read_back");
    }
    shown
}
