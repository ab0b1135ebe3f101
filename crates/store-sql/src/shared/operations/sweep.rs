//! Finding what should be moving and is not, and ending what is past its time.

use crmgate_domain::{OperationId, RevisionId, State, Timestamp};
use crmgate_store::{By, NewJob};
use sqlx::{QueryBuilder, Row as _};

use super::begin::overdue;
use super::effects::Effects;
use super::follow::{Candidates, follow};
use super::make::{Done, Wanted, make};
use super::moves::because;
use super::rows::{MOVABLE, SEEN, Seen, seen};
use super::tell::work_off;
use super::{Connection, Db, among, among_ids, jobs, nanoseconds};

/// Most rows of one transaction.
pub(super) const PART: i64 = 200;

/// Looks at those that were woken longest ago, and wakes again those that should be moving. All
/// that were looked at count as woken, so that each has its turn however many there are.
pub(super) async fn stuck(
    connection: &mut Connection,
    (before, at): (Timestamp, Timestamp),
    most: i64,
    elsewhere: bool,
    effects: &mut Effects,
) -> Result<(u64, Vec<OperationId>), sqlx::Error> {
    let gate = By("gate".into());
    work_off(connection, (at, &gate), effects).await?;
    let mut query = QueryBuilder::<Db>::new("SELECT ");
    query
        .push(SEEN)
        .push(", CAST(CASE WHEN ")
        .push(MOVABLE)
        .push(" THEN 1 ELSE 0 END AS BIGINT) AS movable FROM operations o WHERE o.woken_at < ")
        .push_bind(nanoseconds(before))
        .push(" ORDER BY o.woken_at LIMIT ")
        .push_bind(most.min(PART));
    let rows = query.build().fetch_all(&mut *connection).await?;
    let looked = rows.len() as u64;
    let mut found = Vec::new();
    for row in &rows {
        let movable = row.get::<i64, _>("movable") == 1;
        let row = seen(row)?;
        let lost = row.state.is_worked_on() && !row.is_leased(nanoseconds(before));
        if movable && !row.is_leased(nanoseconds(before)) || lost {
            found.push(row);
        }
    }
    touch(connection, &rows, at).await?;
    let woken = wake(connection, found, elsewhere, effects).await?;
    Ok((looked, woken))
}

async fn touch(
    connection: &mut Connection,
    rows: &[super::Row],
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    let numbers: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    if numbers.is_empty() {
        return Ok(());
    }
    let mut query = QueryBuilder::<Db>::new("UPDATE operations SET woken_at = ");
    query.push_bind(nanoseconds(at)).push(" WHERE ");
    among(&mut query, "nr", &numbers);
    query.build().execute(connection).await.map(|_| ())
}

/// Wakes those that have no job.
async fn wake(
    connection: &mut Connection,
    found: Vec<Seen>,
    elsewhere: bool,
    effects: &mut Effects,
) -> Result<Vec<OperationId>, sqlx::Error> {
    let mut wanted = effects.more();
    let mut candidates = Candidates::default();
    for row in &found {
        match row.group {
            // Where all of it stands is looked at, unless a worker lost it.
            Some(group) if row.state == State::Received => candidates.group(group),
            Some(group) => wanted.wake(group, row),
            None => wanted.wake(row.id, row),
        }
    }
    candidates.wake(connection, &mut wanted).await?;
    let mut all: Vec<NewJob> = wanted.into_wakes();
    if !elsewhere {
        all = jobs::absent(connection, all).await?;
    }
    let ids = all.iter().filter_map(|job| job.id.parse().ok()).collect();
    effects.wake_all(all);
    Ok(ids)
}

/// Ends what is past its time: how many, and whether there may be more.
pub(super) async fn expire(
    connection: &mut Connection,
    (at, by): (Timestamp, &By),
    most: i64,
    effects: &mut Effects,
) -> Result<u64, sqlx::Error> {
    let mut query = QueryBuilder::<Db>::new("SELECT ");
    query
        .push(SEEN)
        .push(" FROM operations o WHERE o.deadline <= ")
        .push_bind(nanoseconds(at))
        // What a backup brought back may have been written.
        .push(" AND o.restored = 0 ORDER BY o.deadline LIMIT ")
        .push_bind(most.min(PART));
    let rows = query.build().fetch_all(&mut *connection).await?;
    let mut wanted = Vec::with_capacity(rows.len());
    for row in &rows {
        let row = seen(row)?;
        let own = row.expires_at.is_some_and(|ends| ends <= nanoseconds(at));
        let why = if own {
            overdue()
        } else {
            because("hold_expired", "nobody answered in time")
        };
        wanted.push(Wanted::plain(row, State::Expired, (at, by), why));
    }
    let made = make(connection, wanted, effects).await?;
    let done: Vec<Done> = made.into_iter().flatten().collect();
    expire_holds(connection, &done).await?;
    let ended = done.len() as u64;
    follow(connection, done, effects).await?;
    Ok(ended)
}

/// Nobody is waited for in the holds of these any more.
async fn expire_holds(connection: &mut Connection, done: &[Done]) -> Result<(), sqlx::Error> {
    let mut holds = Vec::new();
    for Done { row, was, .. } in done {
        if matches!(was, State::Held | State::Stale)
            && let Some(hold) = &row.hold
        {
            holds.push(super::rows::id::<uuid::Uuid>(hold)?);
        }
    }
    if holds.is_empty() {
        return Ok(());
    }
    let mut query = QueryBuilder::<Db>::new(
        "UPDATE holds SET status = 'expired', version = version + 1 \
         WHERE status = 'waiting' AND ",
    );
    among_ids(&mut query, "id", holds.into_iter());
    query.build().execute(connection).await.map(|_| ())
}

/// Gives back what was in error under other policies.
pub(super) async fn judge_again(
    connection: &mut Connection,
    revision: &RevisionId,
    at: Timestamp,
    most: i64,
    effects: &mut Effects,
) -> Result<u64, sqlx::Error> {
    let gate = By("gate".into());
    let mut wanted = Vec::new();
    // Two ranges of an index, instead of all that is not equal.
    for sense in ["<", ">"] {
        let left = most.min(PART) - i64::try_from(wanted.len()).unwrap_or(i64::MAX);
        let mut query = QueryBuilder::<Db>::new("SELECT ");
        query
            .push(SEEN)
            .push(" FROM operations o WHERE o.state = 'unjudged' AND o.revision ")
            .push(sense)
            .push(" ")
            .push_bind(revision.as_str().to_owned())
            .push(" LIMIT ")
            .push_bind(left.max(0));
        for row in query.build().fetch_all(&mut *connection).await? {
            let why = because("new_policies", "other policies are in force now");
            let who = (at, &gate);
            wanted.push(Wanted::plain(seen(&row)?, State::Received, who, why));
        }
    }
    let made = make(connection, wanted, effects).await?;
    let done: Vec<Done> = made.into_iter().flatten().collect();
    let count = done.len() as u64;
    follow(connection, done, effects).await?;
    Ok(count)
}

/// Marks some of what is open and not marked: what was being judged or waited for people goes back
/// to where it is found out first what became of it. How many.
pub(super) async fn mark_restored(
    connection: &mut Connection,
    (at, by): (Timestamp, &By),
    effects: &mut Effects,
) -> Result<u64, sqlx::Error> {
    let mut query = QueryBuilder::<Db>::new("SELECT ");
    query
        .push(SEEN)
        .push(" FROM operations o WHERE o.live_since IS NOT NULL AND o.restored = 0 ORDER BY o.nr LIMIT ")
        .push_bind(PART);
    let rows = query.build().fetch_all(&mut *connection).await?;
    let mut numbers = Vec::with_capacity(rows.len());
    let mut wanted = Vec::new();
    for row in &rows {
        let row = seen(row)?;
        numbers.push(row.nr);
        if !matches!(
            row.state,
            State::Received | State::Writing | State::Uncertain
        ) {
            let why = because("restored", "a backup was put back");
            wanted.push(Wanted::plain(row, State::Received, (at, by), why));
        }
    }
    make(connection, wanted, effects).await?;
    if numbers.is_empty() {
        return Ok(0);
    }
    // Nobody who had one of them before has it now, and all are looked at soon.
    let mut query = QueryBuilder::<Db>::new(
        "UPDATE operations SET restored = 1, lease_owner = NULL, lease_until = NULL, woken_at = \
         CASE WHEN woken_at IS NULL THEN NULL ELSE 0 END WHERE ",
    );
    among(&mut query, "nr", &numbers);
    query.build().execute(connection).await?;
    Ok(numbers.len() as u64)
}
