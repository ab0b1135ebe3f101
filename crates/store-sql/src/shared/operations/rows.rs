//! Operations as rows.

use crmgate_domain::{
    Actor, ConnectionName, DecisionId, HoldId, OperationId, ProcessId, State, SubmissionId,
};
use crmgate_store::{
    By, Callback, HistoryEntry, RowLease, StoreError, StoredOperation, TraceRef, Why,
};
use serde::{Deserialize, Serialize};
use sqlx::Row as _;

use super::Row;
use crate::convert::{read, timestamp};
use crate::error::corrupt;

/// All columns of an operation.
pub(super) const COLUMNS: &str = "SELECT o.nr, o.id, o.seq, s.id AS submission_id, o.owner, \
     o.client_id, o.connection, o.kind, o.object, o.record_id, o.lane, o.grp, o.priority, o.state, \
     o.version, o.why_code, o.why_message, o.due, o.expires_at, o.open_dependencies, o.attempts, \
     o.lease_owner, o.lease_until, o.decision, o.hold, o.millicalls, o.restored, o.created_at, \
     o.updated_at, b.body, b.request FROM operations o \
     JOIN submissions s ON s.nr = o.submission JOIN operation_bodies b ON b.nr = o.nr";

/// What moves go by.
pub(super) const SEEN: &str = "o.nr, o.id, o.connection, o.lane, o.grp, o.state, o.version, \
     o.priority, o.due, o.open_dependencies, o.expires_at, o.restored, o.lease_until, o.hold, \
     o.calls_back, o.updated_at";

/// Whether somebody could begin with it, but for its time and its group.
///
/// At most one of a lane is worked on, or stands between being worked on and its end; of those that
/// are received, the earliest is next. Members of one group go together.
pub(crate) const MOVABLE: &str = "(o.state = 'received' AND o.open_dependencies = 0 AND \
     (o.turn IS NULL OR (NOT EXISTS (SELECT 1 FROM operations b WHERE b.connection = o.connection \
     AND b.turn = o.turn \
     AND b.state IN ('deciding', 'permitted', 'writing', 'uncertain', 'unjudged') \
     AND b.nr <> o.nr AND (o.grp IS NULL OR b.grp IS DISTINCT FROM o.grp)) \
     AND NOT EXISTS (SELECT 1 FROM operations b WHERE b.connection = o.connection \
     AND b.turn = o.turn AND b.state = 'received' AND b.seq < o.seq \
     AND (o.grp IS NULL OR b.grp IS DISTINCT FROM o.grp)))))";

/// What never changes of an operation.
#[derive(Serialize, Deserialize)]
pub(super) struct Body {
    pub(super) actor: Actor,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) purpose: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) callback: Option<Callback>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trace: Option<TraceRef>,
}

/// An id that is kept as its 16 bytes.
pub(super) fn id<T: From<uuid::Uuid>>(bytes: &[u8]) -> Result<T, sqlx::Error> {
    uuid::Uuid::from_slice(bytes)
        .map(T::from)
        .map_err(|error| sqlx::Error::Decode(error.into()))
}

pub(super) fn state(word: &str) -> Result<State, sqlx::Error> {
    word.parse::<State>()
        .map_err(|error| sqlx::Error::Decode(error.into()))
}

fn known<T: From<uuid::Uuid>>(row: &Row, column: &str) -> Result<T, StoreError> {
    id(row.get(column)).map_err(|error| corrupt("an id", error))
}

fn maybe<T: From<uuid::Uuid>>(row: &Row, column: &str) -> Result<Option<T>, StoreError> {
    let bytes: Option<&[u8]> = row.get(column);
    bytes
        .map(id)
        .transpose()
        .map_err(|error| corrupt("an id", error))
}

fn count(row: &Row, column: &str) -> u64 {
    row.get::<i64, _>(column).unsigned_abs()
}

fn small(row: &Row, column: &str) -> u32 {
    u32::try_from(row.get::<i64, _>(column)).unwrap_or(u32::MAX)
}

fn why(row: &Row) -> Option<Why> {
    Some(Why {
        code: row.get::<Option<String>, _>("why_code")?,
        message: row.get::<Option<String>, _>("why_message")?,
    })
}

fn lease(row: &Row) -> Result<Option<RowLease>, StoreError> {
    let owner: Option<ProcessId> = maybe(row, "lease_owner")?;
    let until: Option<i64> = row.get("lease_until");
    owner
        .zip(until)
        .map(|(owner, until)| {
            Ok(RowLease {
                owner,
                until: timestamp(until)?,
            })
        })
        .transpose()
}

/// An operation from a row of [`COLUMNS`].
pub(super) fn stored(row: &Row) -> Result<StoredOperation, StoreError> {
    let body: Body = read("an operation", row.get("body"))?;
    let connection: &str = row.get("connection");
    let word: &str = row.get("state");
    Ok(StoredOperation {
        seq: row
            .get::<Option<i64>, _>("seq")
            .unwrap_or_default()
            .unsigned_abs(),
        id: known(row, "id")?,
        submission: known::<SubmissionId>(row, "submission_id")?,
        owner: row.get("owner"),
        client_id: row.get("client_id"),
        connection: connection
            .parse::<ConnectionName>()
            .map_err(|error| corrupt("a connection", error))?,
        actor: body.actor,
        kind: row.get("kind"),
        object: row.get("object"),
        record_id: row.get("record_id"),
        lane: row.get("lane"),
        group: maybe::<OperationId>(row, "grp")?,
        priority: i16::try_from(row.get::<i64, _>("priority")).unwrap_or_default(),
        state: state(word).map_err(|error| corrupt("a state", error))?,
        version: count(row, "version"),
        why: why(row),
        due: timestamp(row.get("due"))?,
        expires_at: row
            .get::<Option<i64>, _>("expires_at")
            .map(timestamp)
            .transpose()?,
        open_dependencies: small(row, "open_dependencies"),
        attempts: small(row, "attempts"),
        lease: lease(row)?,
        decision: maybe::<DecisionId>(row, "decision")?,
        hold: maybe::<HoldId>(row, "hold")?,
        millicalls: count(row, "millicalls"),
        restored: row.get::<i64, _>("restored") != 0,
        created_at: timestamp(row.get("created_at"))?,
        updated_at: timestamp(row.get("updated_at"))?,
        purpose: body.purpose,
        callback: body.callback,
        request: row.get("request"),
        trace: body.trace,
    })
}

/// An entry of a history.
pub(super) fn entry(row: &Row) -> Result<HistoryEntry, StoreError> {
    let was: Option<&str> = row.get("was");
    let unknown = |error| corrupt("a state", error);
    Ok(HistoryEntry {
        version: count(row, "version"),
        at: timestamp(row.get("at"))?,
        from: was.map(state).transpose().map_err(unknown)?,
        to: state(row.get("state")).map_err(unknown)?,
        by: By(row.get::<String, _>("who").into()),
        why: why(row),
        decision: maybe(row, "decision")?,
        hold: maybe(row, "hold")?,
    })
}

/// What a move goes by, as it was found.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) nr: i64,
    pub(crate) id: OperationId,
    pub(crate) connection: String,
    pub(crate) lane: Option<String>,
    pub(crate) group: Option<OperationId>,
    pub(crate) state: State,
    pub(crate) version: i64,
    pub(crate) priority: i64,
    pub(crate) due: i64,
    pub(crate) open: i64,
    pub(crate) expires_at: Option<i64>,
    pub(crate) restored: bool,
    pub(crate) lease_until: Option<i64>,
    pub(crate) hold: Option<Vec<u8>>,
    /// Whether somebody is to be told of its end.
    pub(crate) calls_back: bool,
    /// When it last moved.
    pub(crate) updated_at: i64,
}

/// From a row that begins with [`SEEN`].
pub(super) fn seen(row: &Row) -> Result<Seen, sqlx::Error> {
    let group: Option<&[u8]> = row.get(4);
    Ok(Seen {
        nr: row.get(0),
        id: id(row.get(1))?,
        connection: row.get(2),
        lane: row.get(3),
        group: group.map(id).transpose()?,
        state: state(row.get(5))?,
        version: row.get(6),
        priority: row.get(7),
        due: row.get(8),
        open: row.get(9),
        expires_at: row.get(10),
        restored: row.get::<i64, _>(11) != 0,
        lease_until: row.get(12),
        hold: row.get(13),
        calls_back: row.get::<i64, _>(14) != 0,
        updated_at: row.get(15),
    })
}
