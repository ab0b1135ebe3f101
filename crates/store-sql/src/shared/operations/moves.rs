//! Moving operations.

use std::collections::HashMap;

use crmgate_domain::{OperationId, State, Timestamp};
use crmgate_store::{By, Moved, RowLease, Why};
use sqlx::{QueryBuilder, Row as _};

use super::effects::{Effects, Entry};
use super::rows::{MOVABLE, SEEN, Seen, seen};
use super::{Connection, Db, among_ids, nanoseconds, sql};
use crate::convert::timestamp;

/// What is found of operations by their ids, and whether each could be begun with.
pub(crate) async fn find(
    connection: &mut Connection,
    ids: &[OperationId],
) -> Result<HashMap<OperationId, (Seen, bool)>, sqlx::Error> {
    let mut query = QueryBuilder::<Db>::new("SELECT ");
    query
        .push(SEEN)
        .push(", CAST(CASE WHEN ")
        .push(MOVABLE)
        .push(" THEN 1 ELSE 0 END AS BIGINT) AS movable FROM operations o WHERE ");
    among_ids(&mut query, "o.id", ids.iter().map(OperationId::uuid));
    let rows = query.build().fetch_all(connection).await?;
    let found = rows.iter().map(|row| {
        let movable = row.get::<i64, _>("movable") == 1;
        seen(row).map(|row| (row.id, (row, movable)))
    });
    found.collect()
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

    /// When it can go on, as told at this time. What could go on when it last moved can go on now,
    /// even where the clock says that this is yet to come: it was set back, or is another machine's.
    pub(crate) fn due_by(&self, now: i64) -> i64 {
        if self.due <= self.updated_at {
            self.due.min(now)
        } else {
            self.due
        }
    }

    /// Whether somebody holds it.
    pub(crate) fn is_leased(&self, at: i64) -> bool {
        self.lease_until.is_some_and(|until| until > at)
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
