//! Settling claimed jobs, keeping them, and taking jobs out.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crmgate_store::{Settlement, StoreError, Verdict};
use sqlx::{QueryBuilder, Row as _};

use super::{
    ALONE, Connection, DEAD, DUE, Db, FOR_UPDATE_SKIP_LOCKED, Row, Store, WAITING, among, apart,
    clock, later, lease, nanoseconds, number, plain, sql,
};

const COLUMNS: &str = "SELECT nr, claims, attempts, most_attempts, due, rank, again_due, \
     again_rank FROM jobs WHERE state = 2 AND queue = ";

/// A claimed job, locked.
struct Held {
    nr: i64,
    lease: u64,
    attempts: i64,
    most_attempts: i64,
    due: i64,
    rank: i64,
    again: Option<(i64, i64)>,
}

fn held(row: &Row) -> Held {
    let again_due: Option<i64> = row.get(6);
    let again_rank: Option<i64> = row.get(7);
    Held {
        nr: row.get(0),
        lease: lease(row.get(0), row.get(1)),
        attempts: row.get(2),
        most_attempts: row.get(3),
        due: row.get(4),
        rank: row.get(5),
        again: again_due.zip(again_rank),
    }
}

/// What is done to claimed jobs.
#[derive(Clone)]
enum Deed {
    Settle(Arc<Vec<Settlement>>),
    Renew(Duration),
}

impl Deed {
    /// Whether a job was given back.
    async fn apply(
        &self,
        connection: &mut Connection,
        all: &[Held],
        now: i64,
    ) -> Result<bool, sqlx::Error> {
        match self {
            Self::Renew(lease) => {
                let numbers: Vec<i64> = all.iter().map(|held| held.nr).collect();
                let mut query = QueryBuilder::<Db>::new("UPDATE jobs SET lease_until = ");
                query.push_bind(later(now, *lease)).push(" WHERE ");
                among(&mut query, "nr", &numbers);
                query.build().execute(connection).await?;
                Ok(false)
            }
            Self::Settle(verdicts) => {
                let mut over = Vec::new();
                let mut back = false;
                for held in all {
                    let verdict = verdicts.iter().find(|v| v.lease == held.lease);
                    match verdict.map(|v| v.verdict.clone()) {
                        Some(Verdict::Done) if held.again.is_none() => over.push(held.nr),
                        Some(verdict) => back |= held.put(connection, verdict, now).await?,
                        None => {}
                    }
                }
                take_out(connection, &over).await?;
                Ok(back)
            }
        }
    }
}

async fn take_out(connection: &mut Connection, numbers: &[i64]) -> Result<u64, sqlx::Error> {
    if numbers.is_empty() {
        return Ok(0);
    }
    let mut query = QueryBuilder::<Db>::new("DELETE FROM jobs WHERE ");
    among(&mut query, "nr", numbers);
    Ok(query.build().execute(connection).await?.rows_affected())
}

impl Held {
    /// Puts it back, or among the dead. Whether it can be claimed now.
    async fn put(
        &self,
        connection: &mut Connection,
        verdict: Verdict,
        now: i64,
    ) -> Result<bool, sqlx::Error> {
        let (due, attempts) = match verdict {
            Verdict::Done => (self.again.map_or(now, |(due, _)| due), 0),
            Verdict::Again(after) => (later(now, after), self.attempts),
            Verdict::HandedBack => (self.due, self.attempts),
            Verdict::Failed(_, reason) if self.attempts + 1 >= self.most_attempts => {
                return self.bury(connection, self.attempts + 1, reason, now).await;
            }
            Verdict::Failed(after, _) => (later(now, after), self.attempts + 1),
            Verdict::Dead(reason) => {
                return self.bury(connection, self.attempts, reason, now).await;
            }
        };
        let (again, rank) = self.again.unwrap_or((due, self.rank));
        let due = due.min(again);
        let state = if due <= now { DUE } else { WAITING };
        sql(
            "UPDATE jobs SET state = ?, due = ?, rank = ?, attempts = ?, owner = NULL, \
             lease_until = NULL, again_due = NULL, again_rank = NULL WHERE nr = ?",
        )
        .bind(state)
        .bind(due)
        .bind(rank.min(self.rank))
        .bind(attempts)
        .bind(self.nr)
        .execute(connection)
        .await?;
        Ok(state == DUE)
    }

    async fn bury(
        &self,
        connection: &mut Connection,
        attempts: i64,
        reason: String,
        now: i64,
    ) -> Result<bool, sqlx::Error> {
        sql(
            "UPDATE jobs SET state = ?, attempts = ?, owner = NULL, lease_until = NULL, \
             again_due = NULL, again_rank = NULL, dead_at = ?, reason = ? WHERE nr = ?",
        )
        .bind(DEAD)
        .bind(attempts)
        .bind(now)
        .bind(plain(&reason).into_owned())
        .bind(self.nr)
        .execute(connection)
        .await
        .map(|_| false)
    }
}

/// Those of these leases that hold, with their rows locked; `alone` waits for the lock.
async fn locked(
    connection: &mut Connection,
    queue: &str,
    leases: &[u64],
    alone: bool,
) -> Result<Vec<Held>, sqlx::Error> {
    let numbers: Vec<i64> = leases.iter().map(|lease| number(*lease)).collect();
    if alone {
        let mut query = QueryBuilder::<Db>::new("UPDATE jobs SET claims = claims WHERE ");
        among(&mut query, "nr", &numbers);
        query.build().execute(&mut *connection).await?;
    }
    let mut query = QueryBuilder::<Db>::new(COLUMNS);
    query.push_bind(queue.to_owned()).push(" AND ");
    among(&mut query, "nr", &numbers);
    if !alone {
        query.push(FOR_UPDATE_SKIP_LOCKED);
    }
    let rows = query.build().fetch_all(connection).await?;
    let found = rows.iter().map(held);
    Ok(found.filter(|held| leases.contains(&held.lease)).collect())
}

/// What one transaction reached.
#[derive(Default)]
struct Reached {
    leases: BTreeSet<u64>,
    back: bool,
}

async fn once(
    store: &Store,
    queue: &str,
    leases: Vec<u64>,
    deed: Deed,
    alone: bool,
) -> Result<Reached, StoreError> {
    let given = Arc::new((plain(queue).into_owned(), leases, deed));
    let ambient = nanoseconds(store.ambient().now());
    apart(store, move |connection| {
        let given = Arc::clone(&given);
        Box::pin(async move {
            let (queue, leases, deed) = given.as_ref();
            let now = clock(connection, ambient).await?;
            let held = locked(connection, queue, leases, alone).await?;
            if held.is_empty() {
                return Ok(Reached::default());
            }
            let back = deed.apply(connection, &held, now).await?;
            let leases = held.iter().map(|held| held.lease).collect();
            Ok(Reached { leases, back })
        })
    })
    .await
}

/// Does it to all whose lease holds: the others. What another transaction has locked is done by
/// itself, so that nobody waits for a lock while holding others.
async fn reach(
    store: &Store,
    queue: &str,
    held: &[(String, u64)],
    deed: Deed,
) -> Result<Vec<String>, StoreError> {
    if held.is_empty() {
        return Ok(Vec::new());
    }
    let leases = held.iter().map(|(_, lease)| *lease).collect();
    let mut reached = once(store, queue, leases, deed.clone(), false).await?;
    if !ALONE {
        for (_, lease) in held {
            if !reached.leases.contains(lease) {
                let one = once(store, queue, vec![*lease], deed.clone(), true).await?;
                reached.leases.extend(one.leases);
                reached.back |= one.back;
            }
        }
    }
    if reached.back {
        store.ring_queue(queue);
    }
    let lost = held
        .iter()
        .filter(|(_, lease)| !reached.leases.contains(lease));
    Ok(lost.map(|(id, _)| id.clone()).collect())
}

pub(super) async fn settle(
    store: &Store,
    queue: &str,
    settled: Vec<Settlement>,
) -> Result<Vec<String>, StoreError> {
    let held: Vec<(String, u64)> = settled.iter().map(|s| (s.id.clone(), s.lease)).collect();
    reach(store, queue, &held, Deed::Settle(Arc::new(settled))).await
}

pub(super) async fn renew(
    store: &Store,
    queue: &str,
    held: &[(String, u64)],
    lease: Duration,
) -> Result<Vec<String>, StoreError> {
    reach(store, queue, held, Deed::Renew(lease)).await
}

pub(super) async fn remove(store: &Store, queue: &str, ids: &[String]) -> Result<u64, StoreError> {
    let mut gone = 0;
    let given: Arc<Vec<String>> = Arc::new(ids.iter().map(|id| plain(id).into_owned()).collect());
    let queue: Arc<str> = plain(queue).into();
    let (all, name) = (Arc::clone(&given), Arc::clone(&queue));
    gone += apart(store, move |connection| {
        let (all, name) = (Arc::clone(&all), Arc::clone(&name));
        Box::pin(async move { remove_unlocked(connection, &name, &all).await })
    })
    .await?;
    if ALONE || gone == given.len() as u64 {
        return Ok(gone);
    }
    for id in given.iter() {
        let (name, id) = (Arc::clone(&queue), id.clone());
        gone += apart(store, move |connection| {
            let query = sql("DELETE FROM jobs WHERE queue = ? AND id = ?")
                .bind(name.as_ref().to_owned())
                .bind(id.clone());
            Box::pin(async move { Ok(query.execute(connection).await?.rows_affected()) })
        })
        .await?;
    }
    Ok(gone)
}

async fn remove_unlocked(
    connection: &mut Connection,
    queue: &str,
    ids: &[String],
) -> Result<u64, sqlx::Error> {
    let mut gone = 0;
    for part in ids.chunks(500) {
        let mut query = QueryBuilder::<Db>::new("SELECT nr FROM jobs WHERE queue = ");
        query.push_bind(queue.to_owned()).push(" AND id IN (");
        let mut names = query.separated(",");
        for id in part {
            names.push_bind(id.clone());
        }
        query.push(")").push(FOR_UPDATE_SKIP_LOCKED);
        let rows = query.build().fetch_all(&mut *connection).await?;
        let numbers: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        gone += take_out(connection, &numbers).await?;
    }
    Ok(gone)
}
