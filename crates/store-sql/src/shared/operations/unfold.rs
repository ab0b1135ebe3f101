//! Making accepted operations `received`, a small transaction at a time.

use std::collections::{BTreeMap, BTreeSet};

use crmgate_domain::{OperationId, State, Timestamp};
use crmgate_store::{By, Unfolded};
use sqlx::{QueryBuilder, Row as _};

use super::super::many::{Kind, Many};
use super::effects::Effects;
use super::follow::{Candidates, follow};
use super::make::{Done, Wanted, make};
use super::rows::{SEEN, Seen, seen};
use super::tell::{missing, work_off};
use super::{Connection, Db, among, nanoseconds, scalar, sql};

/// Most operations of one transaction.
pub(super) const PART: i64 = 200;

/// A stretch of lines of one submission.
struct Stretch {
    submission: i64,
    owner: String,
    after: i64,
    last: i64,
    rows: Vec<Seen>,
}

/// Unfolds at most so many.
pub(super) async fn unfold(
    connection: &mut Connection,
    at: Timestamp,
    most: i64,
    effects: &mut Effects,
) -> Result<Unfolded, sqlx::Error> {
    let gate = By("gate".into());
    let echoes = work_off(connection, (at, &gate), effects).await?;
    let Some(mut stretch) = next(connection, most.min(PART)).await? else {
        return Ok(Unfolded {
            operations: 0,
            more: echoes,
        });
    };
    let done = Unfolded {
        operations: stretch.rows.len() as u64,
        more: true,
    };
    if stretch.rows.is_empty() {
        sql("UPDATE submissions SET unfolded = NULL WHERE nr = ?")
            .bind(stretch.submission)
            .execute(connection)
            .await?;
        return Ok(done);
    }
    stretch.receive(connection, at, effects).await?;
    let cancelled = stretch.depend(connection, (at, &gate), effects).await?;
    stretch.wake(connection, effects).await?;
    follow(connection, cancelled, effects).await?;
    Ok(done)
}

async fn next(connection: &mut Connection, most: i64) -> Result<Option<Stretch>, sqlx::Error> {
    let first = sql("SELECT nr, owner, unfolded FROM submissions \
         WHERE accepted_at IS NOT NULL AND unfolded IS NOT NULL ORDER BY accepted_at, nr LIMIT 1");
    let Some(first) = first.fetch_optional(&mut *connection).await? else {
        return Ok(None);
    };
    let (submission, owner, after) = (first.get(0), first.get(1), first.get(2));
    stretch(connection, (submission, owner), after, most)
        .await
        .map(Some)
}

async fn stretch(
    connection: &mut Connection,
    (submission, owner): (i64, String),
    after: i64,
    most: i64,
) -> Result<Stretch, sqlx::Error> {
    let mut query = QueryBuilder::<Db>::new("SELECT ");
    query
        .push(SEEN)
        .push(", o.line FROM operations o WHERE o.submission = ")
        .push_bind(submission)
        .push(" AND o.line > ")
        .push_bind(after)
        .push(" ORDER BY o.line LIMIT ")
        .push_bind(most);
    let rows = query.build().fetch_all(connection).await?;
    Ok(Stretch {
        submission,
        owner,
        after,
        last: rows.last().map_or(after, |row| row.get("line")),
        rows: rows.iter().map(seen).collect::<Result<_, _>>()?,
    })
}

/// Makes the one operation of a submission `received`; nobody is woken for it.
pub(super) async fn receive_one(
    connection: &mut Connection,
    submission: (i64, String),
    at: Timestamp,
    effects: &mut Effects,
) -> Result<Option<Seen>, sqlx::Error> {
    let mut stretch = stretch(connection, submission, 0, 1).await?;
    stretch.receive(connection, at, effects).await?;
    Ok(stretch.rows.pop())
}

pub(super) const OPEN_COUNTS: Many = Many {
    head: "UPDATE operations SET open_dependencies = v.open FROM",
    columns: &[("row_nr", Kind::Number), ("open", Kind::Number)],
    tail: " WHERE operations.nr = v.row_nr",
};

/// Of several dependencies on one operation, one counts.
pub(super) const OPEN: Many = Many {
    head: "UPDATE operation_dependencies SET open = 1 FROM",
    columns: &[("waits", Kind::Number), ("for_it", Kind::Bytes)],
    tail: " WHERE operation_dependencies.dependant = v.waits \
           AND operation_dependencies.target = v.for_it \
           AND operation_dependencies.n = (SELECT min(d.n) FROM operation_dependencies d \
           WHERE d.dependant = v.waits AND d.target = v.for_it)",
};

impl Stretch {
    /// Makes all of it `received`, in order.
    async fn receive(
        &mut self,
        connection: &mut Connection,
        at: Timestamp,
        effects: &mut Effects,
    ) -> Result<(), sqlx::Error> {
        let count = i64::try_from(self.rows.len()).unwrap_or(i64::MAX);
        let end: i64 = scalar("UPDATE operation_places SET seq = seq + ? RETURNING seq")
            .bind(count)
            .fetch_one(&mut *connection)
            .await?;
        let now = nanoseconds(at);
        sql(
            "UPDATE operations SET state = 'received', version = 1, seq = n.place, \
             updated_at = ?, live_since = ?, turn = operations.lane, \
             woken_at = CASE WHEN operations.due > ? THEN operations.due ELSE ? END, \
             deadline = operations.expires_at \
             FROM (SELECT nr, ? + row_number() OVER (ORDER BY line) AS place FROM operations \
             WHERE submission = ? AND line > ? AND line <= ?) AS n WHERE operations.nr = n.nr",
        )
        .bind(now)
        .bind(now)
        .bind(now)
        .bind(now)
        .bind(end - count)
        .bind(self.submission)
        .bind(self.after)
        .bind(self.last)
        .execute(&mut *connection)
        .await?;
        sql(
            "INSERT INTO operation_history (operation, version, at, state, who) \
             SELECT nr, 1, ?, 'received', ? FROM operations \
             WHERE submission = ? AND line > ? AND line <= ?",
        )
        .bind(now)
        .bind(format!("token {}", self.owner))
        .bind(self.submission)
        .bind(self.after)
        .bind(self.last)
        .execute(&mut *connection)
        .await?;
        sql("UPDATE submissions SET unfolded = ? WHERE nr = ?")
            .bind(self.last)
            .bind(self.submission)
            .execute(connection)
            .await?;
        for row in &mut self.rows {
            effects.count(&row.connection, State::Staged, -1);
            effects.count(&row.connection, State::Received, 1);
            effects.came(row.id);
            row.state = State::Received;
            row.version = 1;
        }
        Ok(())
    }

    /// Finds out what they depend on. Those that depend on what came to nothing are cancelled, and
    /// no part of it any more.
    async fn depend(
        &mut self,
        connection: &mut Connection,
        (at, by): (Timestamp, &By),
        effects: &mut Effects,
    ) -> Result<Vec<Done>, sqlx::Error> {
        let numbers: Vec<i64> = self
            .rows
            .iter()
            .filter(|row| row.open > 0)
            .map(|row| row.nr)
            .collect();
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        let mut wanted = self.targets(connection, &numbers).await?;
        let (mut counts, mut pairs, mut lost) = (Vec::new(), Vec::new(), Vec::new());
        for row in &mut self.rows {
            let Some(targets) = wanted.remove(&row.nr) else {
                continue;
            };
            let open: Vec<OperationId> = targets
                .iter()
                .filter(|(_, state)| state.is_some_and(|state| !state.is_final()))
                .map(|(id, _)| *id)
                .collect();
            row.open = i64::try_from(open.len()).unwrap_or(i64::MAX);
            counts.push(vec![row.nr.into(), row.open.into()]);
            let missed = targets.iter().find_map(|(id, state)| {
                let state = state.unwrap_or(State::Cancelled);
                state.came_to_nothing().then_some((*id, state))
            });
            if let Some((id, state)) = missed {
                let why = missing(id, state);
                lost.push(Wanted::plain(row.clone(), State::Cancelled, (at, by), why));
                continue;
            }
            let pair = |id: &OperationId| vec![row.nr.into(), id.uuid().into()];
            pairs.extend(open.iter().map(pair));
        }
        OPEN_COUNTS.run(connection, counts).await?;
        OPEN.run(connection, pairs).await?;
        let made = make(connection, lost, effects).await?;
        let done: Vec<Done> = made.into_iter().flatten().collect();
        let ended: BTreeSet<i64> = done.iter().map(|done| done.row.nr).collect();
        self.rows.retain(|row| !ended.contains(&row.nr));
        Ok(done)
    }

    /// What each depends on, and where that stands; `None` when it is not there any more.
    async fn targets(
        &self,
        connection: &mut Connection,
        numbers: &[i64],
    ) -> Result<BTreeMap<i64, BTreeMap<OperationId, Option<State>>>, sqlx::Error> {
        let mut query = QueryBuilder::<Db>::new(
            "UPDATE operation_dependencies SET target = (SELECT t.id FROM operations t \
             WHERE t.client_id = operation_dependencies.client_id AND t.owner = ",
        );
        query
            .push_bind(self.owner.clone())
            .push(") WHERE target IS NULL AND ");
        among(&mut query, "dependant", numbers);
        query.build().execute(&mut *connection).await?;
        let mut query = QueryBuilder::<Db>::new(
            "SELECT d.dependant, d.target, t.state FROM operation_dependencies d \
             LEFT JOIN operations t ON t.id = d.target WHERE ",
        );
        among(&mut query, "d.dependant", numbers);
        let rows = query.build().fetch_all(connection).await?;
        let mut all: BTreeMap<i64, BTreeMap<OperationId, Option<State>>> = BTreeMap::new();
        for row in &rows {
            let target: Option<&[u8]> = row.get(1);
            // What is gone by now was there when the submission was accepted, and had ended.
            let id = match target {
                Some(target) => super::rows::id(target)?,
                None => OperationId::from(uuid::Uuid::nil()),
            };
            let word: Option<&str> = row.get(2);
            let state = word.map(super::rows::state).transpose()?;
            all.entry(row.get(0)).or_default().insert(id, state);
        }
        Ok(all)
    }

    /// Wakes those that can move.
    async fn wake(
        &self,
        connection: &mut Connection,
        effects: &mut Effects,
    ) -> Result<(), sqlx::Error> {
        let mut candidates = Candidates::default();
        // Of a lane, only the first one can be free.
        let mut lanes = BTreeSet::new();
        for row in &self.rows {
            match (&row.lane, row.group) {
                (Some(lane), None) => {
                    if lanes.insert((row.connection.as_str(), lane.as_str())) {
                        candidates.row(row.nr);
                    }
                }
                _ => candidates.received(row, effects),
            }
        }
        candidates.wake(connection, effects).await
    }
}
