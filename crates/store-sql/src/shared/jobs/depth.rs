//! How full queues are.

use std::collections::BTreeMap;

use crmgate_store::{DeadJob, Depth, StoreError};
use sqlx::{QueryBuilder, Row as _};

use super::{Db, Row, Store, clock, nanoseconds, plain, sql, within};
use crate::convert::timestamp;

pub(super) async fn depths(
    store: &Store,
    only: Option<&str>,
) -> Result<BTreeMap<String, Depth>, StoreError> {
    let look = async {
        let mut connection = store.reader().acquire().await?;
        let now = clock(&mut connection, nanoseconds(store.ambient().now())).await?;
        let mut query = QueryBuilder::<Db>::new("SELECT queue, ");
        for (sense, end) in [
            (
                "count(CASE WHEN state = 1 OR (state = 0 AND due <= ",
                ") THEN 1 END), ",
            ),
            ("count(CASE WHEN state = 0 AND due > ", " THEN 1 END), "),
            (
                "min(CASE WHEN state = 1 OR (state = 0 AND due <= ",
                ") THEN due END), ",
            ),
        ] {
            query.push(sense).push_bind(now).push(end);
        }
        query.push(
            "count(CASE WHEN state = 2 THEN 1 END), count(CASE WHEN state = 3 THEN 1 END) \
             FROM jobs",
        );
        if let Some(queue) = only {
            query
                .push(" WHERE queue = ")
                .push_bind(plain(queue).into_owned());
        }
        query.push(" GROUP BY queue");
        query.build().fetch_all(&mut *connection).await
    };
    let rows = within(look).await?;
    rows.iter()
        .map(|row| Ok((row.get(0), depth(row)?)))
        .collect()
}

fn depth(row: &Row) -> Result<Depth, StoreError> {
    let count = |column: usize| row.get::<i64, _>(column).unsigned_abs();
    Ok(Depth {
        due: count(1),
        delayed: count(2),
        claimed: count(4),
        dead: count(5),
        oldest_due: row.get::<Option<i64>, _>(3).map(timestamp).transpose()?,
    })
}

pub(super) async fn dead(
    store: &Store,
    queue: &str,
    most: usize,
) -> Result<Vec<DeadJob>, StoreError> {
    let rows = within(
        sql(
            "SELECT id, dead_at, attempts, reason FROM jobs WHERE queue = ? AND state = 3 \
             ORDER BY dead_at DESC, nr DESC LIMIT ?",
        )
        .bind(plain(queue).into_owned())
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .fetch_all(store.reader()),
    )
    .await?;
    rows.iter()
        .map(|row| {
            Ok(DeadJob {
                id: row.get(0),
                at: timestamp(row.get::<Option<i64>, _>(1).unwrap_or_default())?,
                attempts: u32::try_from(row.get::<i64, _>(2)).unwrap_or(u32::MAX),
                reason: row.get::<Option<String>, _>(3).unwrap_or_default(),
            })
        })
        .collect()
}
