//! Making moves, any number of them in one statement.

use std::collections::HashSet;

use crmgate_domain::{HoldId, RevisionId, State, Timestamp};
use crmgate_store::{By, Move, Why};
use sqlx::Row as _;

use super::super::holds;
use super::super::many::{Kind, Many, Value};
use super::effects::{Effects, Entry};
use super::rows::Seen;
use super::{Connection, nanoseconds, plain, scalar};

/// A move of a row as it was found.
pub(crate) struct Wanted {
    pub(crate) row: Seen,
    pub(crate) then: Move,
    /// The policies it is judged under.
    pub(crate) revision: Option<RevisionId>,
}

impl Wanted {
    pub(crate) const fn new(row: Seen, then: Move) -> Self {
        Self {
            row,
            then,
            revision: None,
        }
    }

    /// A plain move of our own.
    pub(crate) fn plain(
        row: Seen,
        to: State,
        (at, by): (Timestamp, &By),
        why: Option<Why>,
    ) -> Self {
        let then = Move {
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
        };
        Self::new(row, then)
    }

    /// Whether it can be made.
    pub(crate) fn fits(&self) -> bool {
        self.row.version.unsigned_abs() == self.then.seen && self.row.may_become(self.then.to)
    }

    /// When it can go on, in its new state.
    fn due(&self) -> i64 {
        match self.then.due {
            Some(due) => nanoseconds(due),
            None if self.then.to == State::Received => nanoseconds(self.then.at),
            None => self.row.due,
        }
    }
}

/// A move that was made: the row after it, the state before it, when, and by whom.
#[derive(Debug, Clone)]
pub(crate) struct Done {
    pub(crate) row: Seen,
    pub(crate) was: State,
    pub(crate) at: Timestamp,
    pub(crate) by: By,
}

/// What came of a move that was wanted: the row as it stands where it could not be made.
pub(crate) type Made = Result<Done, Seen>;

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

pub(super) const MOVE: Many = Many {
    head: "UPDATE operations SET state = v.to_state, version = operations.version + 1, \
           why_code = v.code, why_message = v.message, due = v.new_due, lease_owner = v.leaser, \
           lease_until = v.leased_until, decision = coalesce(v.decided, operations.decision), \
           revision = coalesce(v.judged_under, operations.revision), \
           hold = coalesce(v.held_by, operations.hold), \
           record_id = coalesce(v.record, operations.record_id), \
           attempts = CASE WHEN v.anew = 1 THEN 0 ELSE operations.attempts + v.failed END, \
           millicalls = operations.millicalls + v.calls, restored = 0, updated_at = v.moved_at, \
           turn = v.new_turn, woken_at = v.woken, live_since = v.lives, deadline = v.ends, \
           ended_at = v.ended, keeps_since = v.ended, trouble = v.troubled FROM",
    columns: &[
        ("row_nr", Kind::Number),
        ("seen", Kind::Number),
        ("to_state", Kind::Word),
        ("code", Kind::Word),
        ("message", Kind::Word),
        ("new_due", Kind::Number),
        ("leaser", Kind::Bytes),
        ("leased_until", Kind::Number),
        ("decided", Kind::Bytes),
        ("judged_under", Kind::Word),
        ("held_by", Kind::Bytes),
        ("record", Kind::Word),
        ("anew", Kind::Number),
        ("failed", Kind::Number),
        ("calls", Kind::Number),
        ("moved_at", Kind::Number),
        ("new_turn", Kind::Word),
        ("woken", Kind::Number),
        ("lives", Kind::Number),
        ("ends", Kind::Number),
        ("ended", Kind::Number),
        ("troubled", Kind::Word),
    ],
    tail: " WHERE operations.nr = v.row_nr AND operations.version = v.seen RETURNING nr",
};

impl Wanted {
    /// The values of [`MOVE`].
    fn values(&self, deadline: Option<i64>) -> Vec<Value> {
        let Self {
            row,
            then,
            revision,
        } = self;
        let (at, to, due) = (nanoseconds(then.at), then.to, self.due());
        let (why, lease) = (then.why.as_ref(), then.lease.as_ref());
        let woken = match to {
            State::Received => Some(due.max(at)),
            _ => to.is_worked_on().then_some(at),
        };
        let trouble = to.came_to_nothing() || to == State::Uncertain;
        // Somebody wants it tried once more: it starts anew.
        let anew = to == State::Received && (row.state.is_final() || row.state == State::Uncertain);
        let turn = row.lane.as_deref().filter(|_| to.blocks_its_lane());
        vec![
            row.nr.into(),
            row.version.into(),
            to.as_str().into(),
            why.map(|why| plain(&why.code).into_owned()).into(),
            why.map(|why| plain(&why.message).into_owned()).into(),
            due.into(),
            lease.map(|lease| lease.owner.uuid()).into(),
            lease.map(|lease| nanoseconds(lease.until)).into(),
            then.decision.map(|id| id.uuid()).into(),
            revision.as_ref().map(RevisionId::as_str).into(),
            then.hold.map(|id| id.uuid()).into(),
            then.record_id
                .as_deref()
                .map(|id| plain(id).into_owned())
                .into(),
            i64::from(anew).into(),
            i64::from(then.failed_try).into(),
            i64::try_from(then.millicalls).unwrap_or(i64::MAX).into(),
            at.into(),
            turn.into(),
            woken.into(),
            (!to.is_final()).then_some(at).into(),
            deadline.into(),
            to.is_final().then_some(at).into(),
            trouble.then(|| to.as_str()).into(),
        ]
    }
}

/// Makes moves of different rows, where they are allowed from what was seen, in one statement: what
/// came of each, in their order.
pub(crate) async fn make(
    connection: &mut Connection,
    wanted: Vec<Wanted>,
    effects: &mut Effects,
) -> Result<Vec<Made>, sqlx::Error> {
    let mut values = Vec::with_capacity(wanted.len());
    for one in wanted.iter().filter(|one| one.fits()) {
        let deadline = deadline(connection, &one.row, &one.then).await?;
        values.push(one.values(deadline));
    }
    let changed: HashSet<i64> = MOVE
        .run(connection, values)
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect();
    let mut made = Vec::with_capacity(wanted.len());
    for one in wanted {
        if !one.fits() || !changed.contains(&one.row.nr) {
            made.push(Err(one.row));
            continue;
        }
        if matches!(one.row.state, State::Held | State::Stale)
            && one.then.to == State::Cancelled
            && let Some(hold) = &one.row.hold
        {
            holds::let_go(connection, hold, &one.then).await?;
        }
        made.push(Ok(note(one, effects)));
    }
    Ok(made)
}

/// Brings the row up to date and notes what follows.
fn note(wanted: Wanted, effects: &mut Effects) -> Done {
    let due = wanted.due();
    let Wanted { mut row, then, .. } = wanted;
    let was = row.state;
    row.state = then.to;
    row.version += 1;
    row.due = due;
    row.restored = false;
    row.updated_at = nanoseconds(then.at);
    row.lease_until = then.lease.as_ref().map(|lease| nanoseconds(lease.until));
    if let Some(hold) = then.hold {
        row.hold = Some(hold.uuid().as_bytes().to_vec());
    }
    effects.count(&row.connection, was, -1);
    effects.count(&row.connection, then.to, 1);
    let entry = Entry {
        nr: row.nr,
        version: row.version,
        at: nanoseconds(then.at),
        was: Some(was),
        state: then.to,
        by: then.by.clone(),
        why: then.why,
        decision: then.decision,
        hold: then.hold,
    };
    effects.moved(row.id, entry);
    if row.calls_back && (then.to.is_final() || then.to == State::Uncertain) {
        effects.call_back(row.id, then.at);
    }
    Done {
        row,
        was,
        at: then.at,
        by: then.by,
    }
}
