//! What follows from moves, in the same transaction: dependants, groups, lanes, and who is woken.
//!
//! INVARIANT: what a move sets free has a job when the transaction ends. More dependants than are
//! told at once leave an echo behind, which is worked off in further transactions.

use std::collections::{BTreeMap, BTreeSet};

use crmgate_domain::{OperationId, State, Timestamp};
use crmgate_store::By;
use sqlx::{QueryBuilder, Row as _};

use super::super::many::{Kind, Many};
use super::effects::Effects;
use super::make::{Done, Wanted, make};
use super::moves::{because, firsts, members};
use super::rows::{MOVABLE, SEEN, Seen, seen};
use super::{Connection, Db, among, among_ids, sql};

/// Most dependants that are told in one transaction.
const MOST_TOLD: usize = 200;

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

/// How something ended.
struct Ended {
    state: State,
    at: Timestamp,
    by: By,
}

/// Operations that have ended, whose dependants are to be told.
struct Told(BTreeMap<OperationId, Ended>);

pub(super) const CLOSE: Many = Many {
    head: "UPDATE operation_dependencies SET open = 0 FROM",
    columns: &[("waits", Kind::Number), ("for_it", Kind::Bytes)],
    tail: " WHERE operation_dependencies.dependant = v.waits \
           AND operation_dependencies.target = v.for_it",
};

/// The row as it stands comes back, as [`SEEN`](super::rows::SEEN) has it.
pub(super) const COUNT_DOWN: Many = Many {
    head: "UPDATE operations SET open_dependencies = operations.open_dependencies - v.fewer FROM",
    columns: &[("row_nr", Kind::Number), ("fewer", Kind::Number)],
    // Without their table, as `RETURNING` takes them everywhere.
    tail: " WHERE operations.nr = v.row_nr RETURNING nr, id, connection, lane, grp, state, version, \
           priority, due, open_dependencies, expires_at, restored, lease_until, hold, calls_back, \
           updated_at",
};

impl Told {
    fn of(done: &[Done]) -> Self {
        let ended = done.iter().filter(|done| done.row.state.is_final());
        let ended = ended.map(|done| {
            let ended = Ended {
                state: done.row.state,
                at: done.at,
                by: done.by.clone(),
            };
            (done.row.id, ended)
        });
        Self(ended.collect())
    }

    /// Tells at most so many dependants, and leaves an echo when there are more. Gives those that
    /// are cancelled.
    async fn tell(
        &self,
        connection: &mut Connection,
        most: usize,
        candidates: &mut Candidates,
        effects: &mut Effects,
    ) -> Result<Vec<Done>, sqlx::Error> {
        if self.0.is_empty() {
            return Ok(Vec::new());
        }
        let mut query = QueryBuilder::<Db>::new(
            "SELECT dependant, target FROM operation_dependencies WHERE open = 1 AND ",
        );
        among_ids(&mut query, "target", self.0.keys().map(OperationId::uuid));
        query
            .push(" LIMIT ")
            .push_bind(i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1));
        let rows = query.build().fetch_all(&mut *connection).await?;
        let mut waiting: BTreeMap<i64, Vec<OperationId>> = BTreeMap::new();
        for row in rows.iter().take(most) {
            let target: OperationId = super::rows::id(row.get(1))?;
            waiting.entry(row.get(0)).or_default().push(target);
        }
        if rows.len() > most {
            for id in self.0.keys() {
                echo(connection, *id).await?;
            }
        }
        self.count_down(connection, waiting, candidates, effects)
            .await
    }

    async fn count_down(
        &self,
        connection: &mut Connection,
        waiting: BTreeMap<i64, Vec<OperationId>>,
        candidates: &mut Candidates,
        effects: &mut Effects,
    ) -> Result<Vec<Done>, sqlx::Error> {
        let pairs = waiting.iter().flat_map(|(dependant, targets)| {
            let pair = |target: &OperationId| vec![(*dependant).into(), target.uuid().into()];
            targets.iter().map(pair)
        });
        CLOSE.run(connection, pairs.collect()).await?;
        let counts = waiting.iter().map(|(dependant, targets)| {
            let fewer = i64::try_from(targets.len()).unwrap_or(i64::MAX);
            vec![(*dependant).into(), fewer.into()]
        });
        let rows = COUNT_DOWN.run(connection, counts.collect()).await?;
        let mut wanted = Vec::new();
        for row in &rows {
            let row = seen(row)?;
            let targets = waiting.get(&row.nr).into_iter().flatten();
            let mut ended = targets.filter_map(|id| Some((*id, self.0.get(id)?)));
            let lost = ended.find(|(_, ended)| ended.state != State::Succeeded);
            match lost.filter(|_| !row.restored) {
                Some((id, lost)) => {
                    let who = (lost.at, &lost.by);
                    let why = missing(id, lost.state);
                    wanted.push(Wanted::plain(row, State::Cancelled, who, why));
                }
                None if row.state == State::Received && row.open == 0 => {
                    candidates.received(&row, effects);
                }
                None => {}
            }
        }
        let made = make(connection, wanted, effects).await?;
        Ok(made.into_iter().flatten().collect())
    }
}

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
    if !state.is_final() {
        return Ok(true);
    }
    let by = by.clone();
    let told = Told(BTreeMap::from([(target, Ended { state, at, by })]));
    let mut candidates = Candidates::default();
    let cancelled = told
        .tell(connection, MOST_TOLD, &mut candidates, effects)
        .await?;
    candidates.wake(connection, effects).await?;
    follow(connection, cancelled, effects).await?;
    let more = sql("SELECT nr FROM operation_echoes LIMIT 1");
    Ok(!firsts(&more.fetch_all(connection).await?).is_empty())
}
