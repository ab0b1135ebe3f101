//! What follows from moves, in the same transaction: dependants, groups, lanes, and who is woken.
//!
//! INVARIANT: what a move sets free has a job when the transaction ends. More dependants than are
//! told at once leave an echo behind, which is worked off in further transactions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crmgate_domain::{OperationId, State, Timestamp};
use crmgate_store::By;
use sqlx::{QueryBuilder, Row as _};

use super::effects::Effects;
use super::moves::{Done, because, firsts, make, members, plain_move};
use super::rows::{MOVABLE, SEEN, Seen, seen};
use super::{Connection, Db, among, sql};

/// Most dependants that are told in one transaction.
const MOST_TOLD: usize = 200;

/// The first of a lane that waits.
pub(crate) const LANE_HEAD: &str = "SELECT nr FROM operations WHERE connection = ? AND turn = ? \
     AND state = 'received' ORDER BY seq LIMIT 1";

/// Who may be free to go now.
#[derive(Default)]
pub(crate) struct Candidates {
    rows: BTreeSet<i64>,
    lanes: BTreeSet<(String, String)>,
    groups: BTreeSet<OperationId>,
}

impl Candidates {
    pub(crate) fn row(&mut self, nr: i64) {
        self.rows.insert(nr);
    }

    pub(crate) fn group(&mut self, group: OperationId) {
        self.groups.insert(group);
    }

    /// An operation that has just become, or was found, `received`.
    pub(crate) fn received(&mut self, row: &Seen, effects: &mut Effects) {
        if let Some(group) = row.group {
            self.groups.insert(group);
        } else if row.lane.is_some() {
            self.rows.insert(row.nr);
        } else if row.open == 0 {
            effects.wake(row.id, &row.connection, row.due, row.priority);
        }
    }

    /// Wakes those who are.
    pub(crate) async fn wake(
        mut self,
        connection: &mut Connection,
        effects: &mut Effects,
    ) -> Result<(), sqlx::Error> {
        for (name, lane) in &self.lanes {
            let head = sql(LANE_HEAD).bind(name.clone()).bind(lane.clone());
            let head = head.fetch_optional(&mut *connection).await?;
            self.rows.extend(head.map(|row| row.get::<i64, _>(0)));
        }
        if !self.rows.is_empty() {
            let numbers: Vec<i64> = self.rows.iter().copied().collect();
            let mut query = QueryBuilder::<Db>::new("SELECT ");
            query.push(SEEN).push(" FROM operations o WHERE ");
            among(&mut query, "o.nr", &numbers);
            query.push(" AND ").push(MOVABLE).push(" ORDER BY o.seq");
            for row in query.build().fetch_all(&mut *connection).await? {
                let row = seen(&row)?;
                match row.group {
                    Some(group) => {
                        self.groups.insert(group);
                    }
                    None => effects.wake(row.id, &row.connection, row.due, row.priority),
                }
            }
        }
        for group in self.groups {
            wake_group(connection, group, effects).await?;
        }
        Ok(())
    }
}

/// Members of a group, and whether each could be begun with.
pub(crate) async fn movable_members(
    connection: &mut Connection,
    group: OperationId,
) -> Result<Vec<(Seen, bool)>, sqlx::Error> {
    let mut query = QueryBuilder::<Db>::new("SELECT ");
    query
        .push(SEEN)
        .push(", CAST(CASE WHEN ")
        .push(MOVABLE)
        .push(" THEN 1 ELSE 0 END AS BIGINT) AS movable FROM operations o WHERE o.grp = ")
        .push_bind(group.uuid().as_bytes().to_vec())
        .push(" ORDER BY o.line");
    let rows = query.build().fetch_all(connection).await?;
    rows.iter()
        .map(|row| Ok((seen(row)?, row.get::<i64, _>("movable") == 1)))
        .collect()
}

/// Wakes a group when all of it that has not ended is free to go, or must be ended.
async fn wake_group(
    connection: &mut Connection,
    group: OperationId,
    effects: &mut Effects,
) -> Result<(), sqlx::Error> {
    let all = movable_members(connection, group).await?;
    let broken = all.iter().any(|(row, _)| row.state.came_to_nothing());
    let mut open = all.iter().filter(|(row, _)| !row.state.is_final());
    if open.clone().next().is_none() {
        return Ok(());
    }
    if broken || open.all(|(_, movable)| *movable) {
        let rows = all.iter().map(|(row, _)| row);
        let open = rows.filter(|row| !row.state.is_final());
        let due = open.clone().map(|row| row.due).max().unwrap_or_default();
        let priority = open
            .clone()
            .map(|row| row.priority)
            .max()
            .unwrap_or_default();
        if let Some(first) = open.clone().next() {
            effects.wake(group, &first.connection, due, priority);
        }
    }
    Ok(())
}

/// Does all that follows from moves.
pub(crate) async fn follow(
    connection: &mut Connection,
    done: Vec<Done>,
    (at, by): (Timestamp, &By),
    effects: &mut Effects,
) -> Result<(), sqlx::Error> {
    let mut candidates = Candidates::default();
    let mut left = MOST_TOLD;
    let mut todo: VecDeque<Done> = done.into();
    while !todo.is_empty() {
        let round: Vec<Done> = todo.drain(..).collect();
        for done in &round {
            let (row, to) = (&done.row, done.row.state);
            if to == State::Received {
                let lost = done.was == State::Uncertain;
                match if lost {
                    lost_dependency(connection, row.nr).await?
                } else {
                    None
                } {
                    Some(lost) => {
                        let mut row = row.clone();
                        let why = missing(lost.0, lost.1);
                        let wanted = plain_move(&row, State::Cancelled, at, by, why);
                        todo.extend(make(connection, &mut row, &wanted, None, effects).await?);
                        continue;
                    }
                    None => candidates.received(row, effects),
                }
            }
            if let Some(lane) = &row.lane
                && !to.is_worked_on()
                && !matches!(to, State::Uncertain | State::Unjudged)
            {
                candidates
                    .lanes
                    .insert((row.connection.clone(), lane.clone()));
            }
            if to.came_to_nothing()
                && let Some(group) = row.group
            {
                todo.extend(end_group(connection, group, to, (at, by), effects).await?);
                candidates.group(group);
            }
        }
        let ended: BTreeMap<OperationId, State> = round
            .iter()
            .filter(|done| done.row.state.is_final())
            .map(|done| (done.row.id, done.row.state))
            .collect();
        if !ended.is_empty() {
            let told = Told {
                ended: &ended,
                at,
                by,
            };
            let more = told
                .tell(connection, left, &mut candidates, effects)
                .await?;
            left = left.saturating_sub(more.len());
            todo.extend(more);
        }
    }
    candidates.wake(connection, effects).await
}

/// What an operation depends on and came to nothing, while nobody knew what had become of the
/// operation itself.
async fn lost_dependency(
    connection: &mut Connection,
    nr: i64,
) -> Result<Option<(OperationId, State)>, sqlx::Error> {
    let targets = sql(
        "SELECT t.id, t.state FROM operation_dependencies d JOIN operations t ON t.id = d.target \
         WHERE d.dependant = ?",
    )
    .bind(nr)
    .fetch_all(connection)
    .await?;
    for row in &targets {
        let state = super::rows::state(row.get(1))?;
        if state.came_to_nothing() {
            return Ok(Some((super::rows::id(row.get(0))?, state)));
        }
    }
    Ok(None)
}

/// Those of a group happen together or not at all: what has not begun is cancelled.
async fn end_group(
    connection: &mut Connection,
    group: OperationId,
    state: State,
    (at, by): (Timestamp, &By),
    effects: &mut Effects,
) -> Result<Vec<Done>, sqlx::Error> {
    let mut done = Vec::new();
    for mut row in members(connection, group).await? {
        // What may have been written is nobody's to cancel but an operator's.
        let idle = matches!(
            row.state,
            State::Received | State::Held | State::Stale | State::Unjudged
        );
        if !idle || row.is_leased(super::nanoseconds(at)) {
            continue;
        }
        let why = because(
            &format!("group_{state}"),
            format!("another operation of its group is {state}"),
        );
        let wanted = plain_move(&row, State::Cancelled, at, by, why);
        done.extend(make(connection, &mut row, &wanted, None, effects).await?);
    }
    Ok(done)
}

/// Operations that have ended, whose dependants are to be told.
pub(crate) struct Told<'a> {
    pub(crate) ended: &'a BTreeMap<OperationId, State>,
    pub(crate) at: Timestamp,
    pub(crate) by: &'a By,
}

impl Told<'_> {
    /// Tells at most so many dependants, and leaves an echo when there are more. Gives those that
    /// are cancelled.
    pub(crate) async fn tell(
        &self,
        connection: &mut Connection,
        most: usize,
        candidates: &mut Candidates,
        effects: &mut Effects,
    ) -> Result<Vec<Done>, sqlx::Error> {
        let mut query = QueryBuilder::<Db>::new(
            "SELECT dependant, target FROM operation_dependencies WHERE target IN (",
        );
        let mut list = query.separated(",");
        for id in self.ended.keys() {
            list.push_bind(id.uuid().as_bytes().to_vec());
        }
        query
            .push(") AND open = 1 LIMIT ")
            .push_bind(i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1));
        let persistent = self.ended.len() <= 8;
        let rows = query
            .build()
            .persistent(persistent)
            .fetch_all(&mut *connection)
            .await?;
        let mut cancelled = Vec::new();
        for row in rows.iter().take(most) {
            let (dependant, target): (i64, Vec<u8>) = (row.get(0), row.get(1));
            let target: OperationId = super::rows::id(&target)?;
            let Some(state) = self.ended.get(&target) else {
                continue;
            };
            let done = self
                .tell_one(connection, dependant, (target, *state), candidates, effects)
                .await?;
            cancelled.extend(done);
        }
        if rows.len() > most {
            for id in self.ended.keys() {
                echo(connection, *id).await?;
            }
        }
        Ok(cancelled)
    }

    async fn tell_one(
        &self,
        connection: &mut Connection,
        dependant: i64,
        (target, state): (OperationId, State),
        candidates: &mut Candidates,
        effects: &mut Effects,
    ) -> Result<Option<Done>, sqlx::Error> {
        sql("UPDATE operation_dependencies SET open = 0 WHERE dependant = ? AND target = ?")
            .bind(dependant)
            .bind(target.uuid().as_bytes().to_vec())
            .execute(&mut *connection)
            .await?;
        let mut query = QueryBuilder::<Db>::new(
            "UPDATE operations AS o SET open_dependencies = open_dependencies - 1 WHERE nr = ",
        );
        query
            .push_bind(dependant)
            .push(" RETURNING ")
            .push(SEEN_BARE);
        let Some(row) = query.build().fetch_optional(&mut *connection).await? else {
            return Ok(None);
        };
        let mut row = seen(&row)?;
        if state == State::Succeeded || row.restored {
            if row.state == State::Received && row.open == 0 {
                candidates.received(&row, effects);
            }
            return Ok(None);
        }
        let wanted = plain_move(
            &row,
            State::Cancelled,
            self.at,
            self.by,
            missing(target, state),
        );
        make(connection, &mut row, &wanted, None, effects).await
    }
}

/// The columns of [`SEEN`] without their table, as `RETURNING` takes them everywhere.
const SEEN_BARE: &str = "nr, id, connection, lane, grp, state, version, priority, due, \
     open_dependencies, expires_at, restored, lease_until, hold, calls_back";

/// Why something is cancelled that depends on what came to nothing.
pub(crate) fn missing(target: OperationId, state: State) -> Option<crmgate_store::Why> {
    because(
        &format!("dependency_{state}"),
        format!("the operation `{target}` that it depends on is {state}"),
    )
}

/// Dependants of this one are told later.
async fn echo(connection: &mut Connection, target: OperationId) -> Result<(), sqlx::Error> {
    sql("INSERT INTO operation_echoes (target) VALUES (?) ON CONFLICT (target) DO NOTHING")
        .bind(target.uuid().as_bytes().to_vec())
        .execute(connection)
        .await
        .map(|_| ())
}

/// Tells some dependants of one operation that has more of them than were told at once. Whether
/// there may be more.
pub(crate) async fn work_off(
    connection: &mut Connection,
    (at, by): (Timestamp, &By),
    effects: &mut Effects,
) -> Result<bool, sqlx::Error> {
    let first = sql("SELECT e.nr, e.target, o.state FROM operation_echoes e \
                     LEFT JOIN operations o ON o.id = e.target ORDER BY e.nr LIMIT 1");
    let Some(first) = first.fetch_optional(&mut *connection).await? else {
        return Ok(false);
    };
    // It is made again when there are still more.
    sql("DELETE FROM operation_echoes WHERE nr = ?")
        .bind(first.get::<i64, _>(0))
        .execute(&mut *connection)
        .await?;
    let target: OperationId = super::rows::id(first.get(1))?;
    let word: Option<&str> = first.get(2);
    let state = word.map(super::rows::state).transpose()?;
    // One that was tried once more meanwhile is waited for again.
    let state = state.unwrap_or(State::Cancelled);
    let ended: BTreeMap<_, _> = Some((target, state))
        .filter(|(_, state)| state.is_final())
        .into_iter()
        .collect();
    if ended.is_empty() {
        return Ok(true);
    }
    let told = Told {
        ended: &ended,
        at,
        by,
    };
    let mut candidates = Candidates::default();
    let cancelled = told
        .tell(connection, MOST_TOLD, &mut candidates, effects)
        .await?;
    candidates.wake(connection, effects).await?;
    follow(connection, cancelled, (at, by), effects).await?;
    let more = sql("SELECT nr FROM operation_echoes LIMIT 1");
    Ok(!firsts(&more.fetch_all(connection).await?).is_empty())
}
