//! Putting jobs into their queues.

use std::collections::{BTreeMap, BTreeSet};

use crmgate_store::NewJob;
use sqlx::{QueryBuilder, Row as _};

use super::super::many::{Kind, Many, Value};
use super::{Connection, DUE, Db, WAITING, plain, sql};

/// Most jobs of one statement.
const PART: usize = 500;

/// A dead job that is in its queue already stays dead.
pub(crate) const PUSH: Many = Many {
    head: "INSERT INTO jobs (queue, id, state, due, rank, most_attempts) SELECT * FROM",
    columns: &[
        ("queue", Kind::Word),
        ("id", Kind::Word),
        ("state", Kind::Number),
        ("due", Kind::Number),
        ("rank", Kind::Number),
        ("most_attempts", Kind::Number),
    ],
    tail: " WHERE true ON CONFLICT (queue, id) DO UPDATE SET pushes = jobs.pushes + 1, \
     due = CASE WHEN jobs.state < 2 AND excluded.due < jobs.due \
     THEN excluded.due ELSE jobs.due END, \
     rank = CASE WHEN jobs.state < 2 AND excluded.rank < jobs.rank \
     THEN excluded.rank ELSE jobs.rank END, \
     state = CASE WHEN jobs.state = 0 AND excluded.state = 1 THEN 1 ELSE jobs.state END, \
     again_due = CASE WHEN jobs.state <> 2 THEN NULL \
     WHEN jobs.again_due IS NULL OR excluded.due < jobs.again_due \
     THEN excluded.due ELSE jobs.again_due END, \
     again_rank = CASE WHEN jobs.state <> 2 THEN NULL \
     WHEN jobs.again_rank IS NULL OR excluded.rank < jobs.again_rank \
     THEN excluded.rank ELSE jobs.again_rank END \
     RETURNING pushes",
};

/// The earlier time and the higher priority of jobs of one name.
struct Wanted {
    due: i64,
    rank: i64,
    most_attempts: i64,
}

fn once(jobs: &[NewJob]) -> Vec<((String, String), Wanted)> {
    let mut wanted: BTreeMap<(String, String), Wanted> = BTreeMap::new();
    for job in jobs {
        let due = crate::convert::nanoseconds(job.due);
        let rank = -i64::from(job.priority);
        let name = (plain(&job.queue).into_owned(), plain(&job.id).into_owned());
        let entry = wanted.entry(name).or_insert_with(|| Wanted {
            due,
            rank,
            most_attempts: i64::from(job.most_attempts.max(1)),
        });
        entry.due = entry.due.min(due);
        entry.rank = entry.rank.min(rank);
    }
    let mut wanted: Vec<_> = wanted.into_iter().collect();
    // Those of one time are claimed in the order in which they were given numbers.
    let order: BTreeMap<(&str, &str), usize> = jobs
        .iter()
        .enumerate()
        .rev()
        .map(|(n, job)| ((job.queue.as_str(), job.id.as_str()), n))
        .collect();
    wanted.sort_by_key(|((queue, id), _)| order.get(&(queue.as_str(), id.as_str())).copied());
    wanted
}

/// The rows of [`PUSH`].
pub(crate) fn pushed(jobs: &[NewJob], now: i64) -> Vec<Vec<Value>> {
    let rows = once(jobs).into_iter().map(|((queue, id), wanted)| {
        let state = if wanted.due <= now { DUE } else { WAITING };
        vec![
            Some(queue).into(),
            Some(id).into(),
            state.into(),
            wanted.due.into(),
            wanted.rank.into(),
            wanted.most_attempts.into(),
        ]
    });
    rows.collect()
}

/// Pushes inside a transaction of the task that appends to the record: how many were not there.
pub(crate) async fn push(
    connection: &mut Connection,
    jobs: &[NewJob],
    now: i64,
) -> Result<u64, sqlx::Error> {
    let rows = PUSH.run(connection, pushed(jobs, now)).await?;
    let new = rows.iter().filter(|row| row.get::<i64, _>(0) == 1);
    Ok(new.count() as u64)
}

/// Which of these are not in their queue.
pub(crate) async fn absent(
    connection: &mut Connection,
    jobs: Vec<NewJob>,
) -> Result<Vec<NewJob>, sqlx::Error> {
    let mut there = BTreeSet::new();
    for part in jobs.chunks(PART) {
        let mut query = QueryBuilder::<Db>::new("SELECT queue, id FROM jobs WHERE id IN (");
        let mut ids = query.separated(",");
        for job in part {
            ids.push_bind(job.id.clone());
        }
        query.push(") AND queue IN (");
        let queues: BTreeSet<&str> = part.iter().map(|job| job.queue.as_str()).collect();
        let mut names = query.separated(",");
        for queue in queues {
            names.push_bind(queue.to_owned());
        }
        query.push(")");
        let rows = query
            .build()
            .persistent(false)
            .fetch_all(&mut *connection)
            .await?;
        there.extend(
            rows.iter()
                .map(|row| (row.get::<String, _>(0), row.get::<String, _>(1))),
        );
    }
    let mut jobs = jobs;
    jobs.retain(|job| !there.contains(&(job.queue.clone(), job.id.clone())));
    Ok(jobs)
}

/// Takes a dead job out, whose work somebody wants done once more.
pub(crate) async fn bury_not(
    connection: &mut Connection,
    queue: &str,
    id: &str,
) -> Result<(), sqlx::Error> {
    sql("DELETE FROM jobs WHERE queue = ? AND id = ? AND state = 3")
        .bind(queue)
        .bind(id)
        .execute(connection)
        .await
        .map(|_| ())
}
