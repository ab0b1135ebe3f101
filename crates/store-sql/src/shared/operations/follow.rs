//! What follows from moves, in the same transaction: dependants, groups, lanes, and who is woken.
//!
//! INVARIANT: what a move sets free has a job when the transaction ends. More dependants than are
//! told at once leave an echo behind, which is worked off in further transactions.

use std::collections::BTreeSet;

use crmgate_domain::{OperationId, State};
use sqlx::{QueryBuilder, Row as _};

use super::super::many::{Kind, Many};
use super::effects::Effects;
use super::make::{Done, Wanted, make};
use super::moves::{because, members};
use super::rows::{MOVABLE, SEEN, Seen, seen};
use super::tell::{MOST_TOLD, Told, missing};
use super::{Connection, Db, among, sql};

/// The first of each lane that waits.
pub(super) const LANE_HEADS: Many = Many {
    head: "SELECT (SELECT o.nr FROM operations o WHERE o.connection = v.name AND o.turn = v.lane \
           AND o.state = 'received' ORDER BY o.seq LIMIT 1) FROM",
    columns: &[("name", Kind::Word), ("lane", Kind::Word)],
    tail: "",
};

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
            effects.wake(row.id, row);
        }
    }

    /// Wakes those who are.
    pub(crate) async fn wake(
        mut self,
        connection: &mut Connection,
        effects: &mut Effects,
    ) -> Result<(), sqlx::Error> {
        let lanes = self.lanes.into_iter();
        let lanes = lanes.map(|(name, lane)| vec![Some(name).into(), Some(lane).into()]);
        let heads = LANE_HEADS.run(connection, lanes.collect()).await?;
        let heads = heads.iter().filter_map(|row| row.get::<Option<i64>, _>(0));
        self.rows.extend(heads);
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
                    None => effects.wake(row.id, &row),
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
        effects.wake_group(group, open);
    }
    Ok(())
}

/// Does all that follows from moves.
pub(crate) async fn follow(
    connection: &mut Connection,
    done: Vec<Done>,
    effects: &mut Effects,
) -> Result<(), sqlx::Error> {
    let mut candidates = Candidates::default();
    let mut left = MOST_TOLD;
    let mut round = done;
    while !round.is_empty() {
        let mut next = Vec::new();
        for done in &round {
            next.extend(step(connection, done, &mut candidates, effects).await?);
        }
        let told = Told::of(&round);
        let more = told
            .tell(connection, left, &mut candidates, effects)
            .await?;
        left = left.saturating_sub(more.len());
        next.extend(more);
        round = next;
    }
    candidates.wake(connection, effects).await
}

/// What follows from one move but for those that depend on it: further moves.
async fn step(
    connection: &mut Connection,
    done: &Done,
    candidates: &mut Candidates,
    effects: &mut Effects,
) -> Result<Vec<Done>, sqlx::Error> {
    let (row, to) = (&done.row, done.row.state);
    if to == State::Received {
        let lost = match done.was {
            State::Uncertain => lost_dependency(connection, row.nr).await?,
            _ => None,
        };
        if let Some((target, state)) = lost {
            let why = missing(target, state);
            let who = (done.at, &done.by);
            let wanted = Wanted::plain(row.clone(), State::Cancelled, who, why);
            let made = make(connection, vec![wanted], effects).await?;
            return Ok(made.into_iter().flatten().collect());
        }
        candidates.received(row, effects);
    }
    if let Some(lane) = &row.lane
        && !to.is_worked_on()
        && !matches!(to, State::Uncertain | State::Unjudged)
    {
        candidates
            .lanes
            .insert((row.connection.clone(), lane.clone()));
    }
    match row.group {
        Some(group) if to.came_to_nothing() => {
            candidates.group(group);
            end_group(connection, group, done, effects).await
        }
        _ => Ok(Vec::new()),
    }
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
    because_of: &Done,
    effects: &mut Effects,
) -> Result<Vec<Done>, sqlx::Error> {
    let (state, at) = (because_of.row.state, because_of.at);
    let members = members(connection, group).await?.into_iter();
    // What may have been written is nobody's to cancel but an operator's.
    let idle = members.filter(|row| {
        matches!(
            row.state,
            State::Received | State::Held | State::Stale | State::Unjudged
        ) && !row.is_leased(super::nanoseconds(at))
    });
    let wanted = idle.map(|row| {
        let why = because(
            &format!("group_{state}"),
            format!("another operation of its group is {state}"),
        );
        Wanted::plain(row, State::Cancelled, (at, &because_of.by), why)
    });
    let made = make(connection, wanted.collect(), effects).await?;
    Ok(made.into_iter().flatten().collect())
}
