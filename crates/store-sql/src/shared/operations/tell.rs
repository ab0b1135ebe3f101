//! Telling those who wait for what has ended.

use std::collections::BTreeMap;

use crmgate_domain::{OperationId, State, Timestamp};
use crmgate_store::By;
use sqlx::{QueryBuilder, Row as _};

use super::super::many::{Kind, Many};
use super::effects::Effects;
use super::follow::{Candidates, follow};
use super::make::{Done, Wanted, make};
use super::moves::{because, firsts};
use super::rows::seen;
use super::{Connection, Db, among_ids, sql};

/// Most dependants that are told in one transaction.
pub(super) const MOST_TOLD: usize = 200;

/// How something ended.
struct Ended {
    state: State,
    at: Timestamp,
    by: By,
}

/// Operations that have ended, whose dependants are to be told.
pub(super) struct Told(BTreeMap<OperationId, Ended>);

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
    pub(super) fn of(done: &[Done]) -> Self {
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
    pub(super) async fn tell(
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
