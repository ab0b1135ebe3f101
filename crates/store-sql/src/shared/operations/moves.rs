//! Moving operations.

use std::collections::HashMap;

use crmgate_domain::{HoldId, OperationId, RevisionId, State, Timestamp};
use crmgate_store::{By, Move, Moved, RowLease, Why};
use sqlx::{QueryBuilder, Row as _};

use super::effects::{Effects, Entry};
use super::rows::{SEEN, Seen, seen};
use super::{Connection, Db, nanoseconds, plain, scalar, sql};
use crate::convert::timestamp;

/// A move that was made: the row after it, and the state before it.
#[derive(Debug, Clone)]
pub(crate) struct Done {
    pub(crate) row: Seen,
    pub(crate) was: State,
}

/// What operations are found by.
pub(crate) async fn find(
    connection: &mut Connection,
    ids: &[OperationId],
) -> Result<HashMap<OperationId, Seen>, sqlx::Error> {
    let mut found = HashMap::with_capacity(ids.len());
    for part in ids.chunks(500) {
        let mut query = QueryBuilder::<Db>::new("SELECT ");
        query.push(SEEN).push(" FROM operations o WHERE o.id IN (");
        let mut list = query.separated(",");
        for id in part {
            list.push_bind(id.uuid().as_bytes().to_vec());
        }
        query.push(")");
        let query = query.build().persistent(part.len() <= 8);
        for row in query.fetch_all(&mut *connection).await? {
            let row = seen(&row)?;
            found.insert(row.id, row);
        }
    }
    Ok(found)
}

/// A plain move of our own.
pub(crate) fn plain_move(row: &Seen, to: State, at: Timestamp, by: &By, why: Option<Why>) -> Move {
    Move {
        id: row.id,
        seen: row.version.unsigned_abs(),
        to,
        at,
        by: by.clone(),
        why,
        due: None,
        lease: None,
        decision: None,
        hold: None,
        record_id: None,
        failed_try: false,
        millicalls: 0,
        outcome: None,
    }
}

/// Why, in a stable word and for people.
pub(crate) fn because(code: &str, message: impl Into<String>) -> Option<Why> {
    Some(Why {
        code: code.to_owned(),
        message: message.into(),
    })
}

impl Seen {
    /// Whether the move can follow. Of what a backup brought back nobody knows what became of it:
    /// that has to be found out before anything else happens to it.
    pub(crate) fn may_become(&self, to: State) -> bool {
        let known = !self.restored
            || match self.state {
                State::Writing | State::Uncertain => true,
                State::Received => to == State::Uncertain,
                _ => false,
            };
        known && self.state.may_become(to)
    }

    pub(crate) fn lost(&self) -> Moved {
        Moved::Lost {
            state: self.state,
            version: self.version.unsigned_abs(),
        }
    }

    /// Whether somebody holds it.
    pub(crate) fn is_leased(&self, at: i64) -> bool {
        self.lease_until.is_some_and(|until| until > at)
    }
}

/// When it ends of itself, in its new state.
async fn deadline(
    connection: &mut Connection,
    row: &Seen,
    wanted: &Move,
) -> Result<Option<i64>, sqlx::Error> {
    Ok(match wanted.to {
        State::Received | State::Unjudged => row.expires_at,
        State::Held | State::Stale => {
            let hold = wanted.hold.map(|id: HoldId| id.uuid().as_bytes().to_vec());
            let hold = hold.or_else(|| row.hold.clone());
            let ends: Option<i64> = match hold {
                Some(hold) => {
                    scalar("SELECT expires_at FROM holds WHERE id = ?")
                        .bind(hold)
                        .fetch_optional(connection)
                        .await?
                }
                None => None,
            };
            match (ends, row.expires_at) {
                (Some(hold), Some(own)) => Some(hold.min(own)),
                (hold, own) => hold.or(own),
            }
        }
        _ => None,
    })
}

/// Makes one move, where it is allowed from what was seen. The row is then as it is afterwards.
pub(crate) async fn make(
    connection: &mut Connection,
    row: &mut Seen,
    wanted: &Move,
    revision: Option<&RevisionId>,
    effects: &mut Effects,
) -> Result<Option<Done>, sqlx::Error> {
    if row.version.unsigned_abs() != wanted.seen || !row.may_become(wanted.to) {
        return Ok(None);
    }
    let (at, to) = (nanoseconds(wanted.at), wanted.to);
    let due = match wanted.due {
        Some(due) => nanoseconds(due),
        None if to == State::Received => at,
        None => row.due,
    };
    let woken = match to {
        State::Received => Some(due.max(at)),
        _ => to.is_worked_on().then_some(at),
    };
    let trouble = to.came_to_nothing() || to == State::Uncertain;
    // Somebody wants it tried once more: it starts anew.
    let anew = to == State::Received && (row.state.is_final() || row.state == State::Uncertain);
    let deadline = deadline(connection, row, wanted).await?;
    let changed = sql(
        "UPDATE operations SET state = ?, version = version + 1, why_code = ?, why_message = ?, \
         due = ?, lease_owner = ?, lease_until = ?, decision = coalesce(?, decision), \
         revision = coalesce(?, revision), hold = coalesce(?, hold), \
         record_id = coalesce(?, record_id), \
         attempts = CASE WHEN ? = 1 THEN 0 ELSE attempts + ? END, millicalls = millicalls + ?, \
         restored = 0, updated_at = ?, turn = ?, woken_at = ?, live_since = ?, deadline = ?, \
         ended_at = ?, keeps_since = ?, trouble = ? WHERE nr = ? AND version = ?",
    )
    .bind(to.as_str())
    .bind(wanted.why.as_ref().map(|why| plain(&why.code).into_owned()))
    .bind(
        wanted
            .why
            .as_ref()
            .map(|why| plain(&why.message).into_owned()),
    )
    .bind(due)
    .bind(
        wanted
            .lease
            .as_ref()
            .map(|lease| lease.owner.uuid().as_bytes().to_vec()),
    )
    .bind(wanted.lease.as_ref().map(|lease| nanoseconds(lease.until)))
    .bind(wanted.decision.map(|id| id.uuid().as_bytes().to_vec()))
    .bind(revision.map(|revision| revision.as_str().to_owned()))
    .bind(wanted.hold.map(|id| id.uuid().as_bytes().to_vec()))
    .bind(wanted.record_id.as_deref().map(|id| plain(id).into_owned()))
    .bind(i64::from(anew))
    .bind(i64::from(wanted.failed_try))
    .bind(i64::try_from(wanted.millicalls).unwrap_or(i64::MAX))
    .bind(at)
    .bind(row.lane.clone().filter(|_| to.blocks_its_lane()))
    .bind(woken)
    .bind((!to.is_final()).then_some(at))
    .bind(deadline)
    .bind(to.is_final().then_some(at))
    .bind(to.is_final().then_some(at))
    .bind(trouble.then(|| to.as_str()))
    .bind(row.nr)
    .bind(row.version)
    .execute(&mut *connection)
    .await?;
    if changed.rows_affected() == 0 {
        return Ok(None);
    }
    if matches!(row.state, State::Held | State::Stale)
        && to == State::Cancelled
        && let Some(hold) = &row.hold
    {
        super::super::holds::let_go(connection, hold, wanted).await?;
    }
    Ok(Some(note(row, wanted, due, effects)))
}

/// Brings the row up to date and notes what follows.
fn note(row: &mut Seen, wanted: &Move, due: i64, effects: &mut Effects) -> Done {
    let was = row.state;
    row.state = wanted.to;
    row.version += 1;
    row.due = due;
    row.restored = false;
    row.lease_until = wanted.lease.as_ref().map(|lease| nanoseconds(lease.until));
    if let Some(hold) = wanted.hold {
        row.hold = Some(hold.uuid().as_bytes().to_vec());
    }
    effects.count(&row.connection, was, -1);
    effects.count(&row.connection, wanted.to, 1);
    let entry = Entry {
        nr: row.nr,
        version: row.version,
        at: nanoseconds(wanted.at),
        was: Some(was),
        state: wanted.to,
        by: wanted.by.clone(),
        why: wanted.why.clone(),
        decision: wanted.decision,
        hold: wanted.hold,
    };
    effects.moved(row.id, entry);
    if row.calls_back && (wanted.to.is_final() || wanted.to == State::Uncertain) {
        effects.call_back(row.id, wanted.at);
    }
    Done {
        row: row.clone(),
        was,
    }
}

/// Gives a row to a worker in the state in which it is: what came of it is to be found out. Its
/// former worker can move it no more.
pub(crate) async fn hand_over(
    connection: &mut Connection,
    row: &mut Seen,
    (lease, by): (&RowLease, &By),
    at: Timestamp,
    effects: &mut Effects,
) -> Result<(), sqlx::Error> {
    sql(
        "UPDATE operations SET version = version + 1, lease_owner = ?, lease_until = ?, \
         woken_at = ?, updated_at = ? WHERE nr = ?",
    )
    .bind(lease.owner.uuid().as_bytes().to_vec())
    .bind(nanoseconds(lease.until))
    .bind(nanoseconds(at))
    .bind(nanoseconds(at))
    .bind(row.nr)
    .execute(connection)
    .await?;
    row.version += 1;
    row.lease_until = Some(nanoseconds(lease.until));
    let why = if row.restored {
        because(
            "restored",
            "a backup was put back: what became of it is found out",
        )
    } else {
        because(
            "worker_lost",
            "its worker broke off: what became of it is found out",
        )
    };
    let entry = Entry {
        nr: row.nr,
        version: row.version,
        at: nanoseconds(at),
        was: Some(row.state),
        state: row.state,
        by: by.clone(),
        why,
        decision: None,
        hold: None,
    };
    effects.moved(row.id, entry);
    Ok(())
}

/// The members of a group.
pub(crate) async fn members(
    connection: &mut Connection,
    group: OperationId,
) -> Result<Vec<Seen>, sqlx::Error> {
    let mut query = QueryBuilder::<Db>::new("SELECT ");
    query
        .push(SEEN)
        .push(" FROM operations o WHERE o.grp = ")
        .push_bind(group.uuid().as_bytes().to_vec())
        .push(" ORDER BY o.line");
    let rows = query.build().fetch_all(connection).await?;
    rows.iter().map(seen).collect()
}

/// A time of a row.
pub(crate) fn moment(at: i64) -> Timestamp {
    timestamp(at).unwrap_or(Timestamp::MAX)
}

/// The first column of all rows.
pub(crate) fn firsts(rows: &[super::Row]) -> Vec<i64> {
    rows.iter().map(|row| row.get(0)).collect()
}
