//! `/v1/record`: the record as entries and checkpoints, for those who verify it; and erasing.

#![expect(
    unused_qualifications,
    reason = "utoipa's macro writes the path of the query's type out"
)]

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse as _;
use crmgate_domain::{ConnectionName, DecisionId, Timestamp};
use crmgate_store::EraseFilter;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::access::Caller;
use crate::body::{Answer, Asked, Json};
use crate::{ErrorBody, Parts};

/// How many entries where the caller does not say.
const ENTRIES: usize = 200;

/// Which part of it.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Part {
    /// Behind this position, or this checkpoint's number; from the beginning where not given.
    after: Option<u64>,
    /// How many, 1 to 500; 200 where not given.
    limit: Option<usize>,
}

/// A part of the record.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EntryPage {
    /// The entries in the order of commits: `position`, `chain`, `link`, `kind`, `at`, `envelope`
    /// (a text, as it was hashed), `commitment`, `hash`, and `payload` (`key`, `body`) while it is
    /// kept.
    entries: Vec<Value>,
    /// The next part's `after`; `null` at the end.
    next: Option<u64>,
}

/// Checkpoints.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckpointPage {
    /// In order: `number`, `at`, `jws` (compact, `EdDSA`).
    checkpoints: Vec<Value>,
    /// The next part's `after`; `null` at the end.
    next: Option<u64>,
}

/// The key that verifies checkpoints.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyBody {
    /// `EdDSA`.
    algorithm: &'static str,
    /// The public key.
    pem: String,
}

/// Whose payloads to erase. All that is given must hold.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EraseRequest {
    /// Of one decision.
    #[schema(value_type = Option<String>)]
    decision: Option<DecisionId>,
    /// About one record, by its id.
    record_id: Option<String>,
    /// Asked for by one actor, by its id.
    actor: Option<String>,
    /// Of one connection.
    #[schema(value_type = Option<String>)]
    connection: Option<ConnectionName>,
    /// Decided before this time, RFC 3339.
    #[schema(value_type = Option<String>)]
    before: Option<Timestamp>,
    /// Why. It stays in the record: it should not name a person.
    reason: String,
    /// Only count.
    #[serde(default)]
    dry_run: bool,
}

/// What was erased.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErasedBody {
    /// Whether it was only counted.
    dry_run: bool,
    /// Decisions whose payload is gone.
    decisions: u64,
    /// Values that were kept to find out what came of a write; the write is now `uncertain`.
    read_backs: u64,
    /// Holds whose content is gone.
    holds: u64,
    /// What is not reached.
    not_reached: &'static str,
}

const NOT_REACHED: &str = "what sinks of the decision log, exports and backups took before";

/// Entries of the record, with their payloads.
#[utoipa::path(get, path = "/v1/record/entries", tag = "record", params(Part),
    responses((status = 200, body = EntryPage), (status = "default", body = ErrorBody)))]
pub(crate) async fn entries(
    State(parts): State<Arc<Parts>>,
    Caller(by): Caller,
    Asked(part): Asked<Part>,
) -> Answer {
    let limit = part.limit.unwrap_or(ENTRIES);
    let after = part.after.unwrap_or(0);
    let entries = parts.app.record().entries(&by, after, limit).await?;
    let full = entries.len() == limit;
    let last = entries.last().map(|raw| raw.entry.position);
    let page = EntryPage {
        entries: entries.iter().map(|raw| json!(raw)).collect(),
        next: last.filter(|_| full),
    };
    Ok(axum::Json(page).into_response())
}

/// Checkpoints of the record.
#[utoipa::path(get, path = "/v1/record/checkpoints", tag = "record", params(Part),
    responses((status = 200, body = CheckpointPage), (status = "default", body = ErrorBody)))]
pub(crate) async fn checkpoints(
    State(parts): State<Arc<Parts>>,
    Caller(by): Caller,
    Asked(part): Asked<Part>,
) -> Answer {
    let limit = part.limit.unwrap_or(ENTRIES);
    let after = part.after.unwrap_or(0);
    let found = parts.app.record().checkpoints(&by, after, limit).await?;
    let full = found.len() == limit;
    let last = found.last().map(|checkpoint| checkpoint.number);
    let page = CheckpointPage {
        checkpoints: found.iter().map(|checkpoint| json!(checkpoint)).collect(),
        next: last.filter(|_| full),
    };
    Ok(axum::Json(page).into_response())
}

/// The key that verifies checkpoints.
#[utoipa::path(get, path = "/v1/record/key", tag = "record",
    responses((status = 200, body = KeyBody), (status = "default", body = ErrorBody)))]
pub(crate) async fn key(State(parts): State<Arc<Parts>>, Caller(by): Caller) -> Answer {
    let pem = parts.app.record().public_key(&by)?.to_owned();
    let algorithm = "EdDSA";
    Ok(axum::Json(KeyBody { algorithm, pem }).into_response())
}

/// What the gate's last check of its own record found.
#[utoipa::path(get, path = "/v1/record/check", tag = "record",
    responses((status = 200, body = Value), (status = "default", body = ErrorBody)))]
pub(crate) async fn check(State(parts): State<Arc<Parts>>, Caller(by): Caller) -> Answer {
    Ok(axum::Json(parts.app.record().checked(&by)?).into_response())
}

/// Erases payloads of decisions; their entries stay, and say so.
#[utoipa::path(post, path = "/v1/decisions/erase", tag = "decisions",
    request_body = EraseRequest,
    responses((status = 200, body = ErasedBody), (status = "default", body = ErrorBody)))]
pub(crate) async fn erase(
    State(parts): State<Arc<Parts>>,
    Caller(by): Caller,
    Json(asked): Json<EraseRequest>,
) -> Answer {
    let wanted = EraseFilter {
        decision: asked.decision,
        record_id: asked.record_id,
        actor: asked.actor,
        connection: asked.connection,
        before: asked.before,
    };
    let record = parts.app.record();
    let erased = record
        .erase(&by, &wanted, &asked.reason, asked.dry_run)
        .await?;
    let body = ErasedBody {
        dry_run: asked.dry_run,
        decisions: erased.decisions,
        read_backs: erased.read_backs,
        holds: erased.holds,
        not_reached: NOT_REACHED,
    };
    Ok(axum::Json(body).into_response())
}
