//! Claiming jobs, and ending leases that ran out.

use std::sync::Arc;
use std::time::Duration;

use crmgate_store::{Claimed, Reaped, StoreError};
use sqlx::{QueryBuilder, Row as _};

use super::{
    CLAIMED, Connection, DEAD, DUE, Db, FOR_UPDATE_SKIP_LOCKED, Row, Store, among, apart, clock,
    later, lease, nanoseconds, plain, sql, within,
};

/// How many jobs whose time has come are made claimable at least, in one claim.
const PROMOTED: usize = 256;

/// Who claims what.
struct Wish {
    queue: String,
    owner: String,
    most: usize,
    lease: Duration,
    ambient: i64,
}

pub(super) async fn claim(
    store: &Store,
    queue: &str,
    owner: &str,
    most: usize,
    lease: Duration,
) -> Result<Vec<Claimed>, StoreError> {
    if most == 0 || !anything(store, queue).await? {
        return Ok(Vec::new());
    }
    let wish = Arc::new(Wish {
        queue: plain(queue).into_owned(),
        owner: plain(owner).into_owned(),
        most,
        lease,
        ambient: nanoseconds(store.ambient().now()),
    });
    apart(store, move |connection| {
        let wish = Arc::clone(&wish);
        Box::pin(async move { wish.fulfil(connection).await })
    })
    .await
}

/// Whether it is worth a transaction: an idle queue costs no write.
async fn anything(store: &Store, queue: &str) -> Result<bool, StoreError> {
    let look = async {
        let mut connection = store.reader().acquire().await?;
        let now = clock(&mut connection, nanoseconds(store.ambient().now())).await?;
        sql(
            "SELECT 1 FROM (SELECT nr FROM jobs WHERE queue = ? AND state = 1 LIMIT 1) AS d \
             UNION ALL SELECT 1 FROM (SELECT nr FROM jobs WHERE queue = ? AND state = 0 \
             AND due <= ? LIMIT 1) AS w LIMIT 1",
        )
        .bind(queue)
        .bind(queue)
        .bind(now)
        .fetch_optional(&mut *connection)
        .await
    };
    Ok(within(look).await?.is_some())
}

/// Numbers of jobs, locked.
async fn numbers(
    connection: &mut Connection,
    mut query: QueryBuilder<Db>,
    most: usize,
) -> Result<Vec<i64>, sqlx::Error> {
    query
        .push(" LIMIT ")
        .push_bind(i64::try_from(most).unwrap_or(i64::MAX))
        .push(FOR_UPDATE_SKIP_LOCKED);
    let rows = query.build().fetch_all(connection).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

impl Wish {
    async fn fulfil(&self, connection: &mut Connection) -> Result<Vec<Claimed>, sqlx::Error> {
        let now = clock(connection, self.ambient).await?;
        self.promote(connection, now).await?;
        let mut query = QueryBuilder::<Db>::new("SELECT nr FROM jobs WHERE state = 1 AND queue = ");
        query
            .push_bind(self.queue.clone())
            .push(" ORDER BY rank, due, nr");
        let found = numbers(connection, query, self.most).await?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let mut query =
            QueryBuilder::<Db>::new("UPDATE jobs SET state = 2, claims = claims + 1, owner = ");
        query
            .push_bind(self.owner.clone())
            .push(", lease_until = ")
            .push_bind(later(now, self.lease))
            .push(" WHERE ");
        among(&mut query, "nr", &found);
        query.push(" RETURNING nr, id, claims, attempts, most_attempts");
        let mut rows = query.build().fetch_all(connection).await?;
        rows.sort_by_key(|row| found.iter().position(|nr| *nr == row.get::<i64, _>(0)));
        Ok(rows.iter().map(claimed).collect())
    }

    /// Makes claimable what has become due.
    async fn promote(&self, connection: &mut Connection, now: i64) -> Result<(), sqlx::Error> {
        let mut query = QueryBuilder::<Db>::new("SELECT nr FROM jobs WHERE state = 0 AND queue = ");
        query
            .push_bind(self.queue.clone())
            .push(" AND due <= ")
            .push_bind(now)
            .push(" ORDER BY due");
        let found = numbers(connection, query, PROMOTED.max(self.most)).await?;
        if found.is_empty() {
            return Ok(());
        }
        let mut query = QueryBuilder::<Db>::new("UPDATE jobs SET state = 1 WHERE ");
        among(&mut query, "nr", &found);
        query.build().execute(connection).await.map(|_| ())
    }
}

fn claimed(row: &Row) -> Claimed {
    let small = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
    Claimed {
        id: row.get(1),
        lease: lease(row.get(0), row.get(2)),
        attempts: small(row.get(3)),
        most_attempts: small(row.get(4)),
    }
}

pub(super) async fn reap(store: &Store, queue: &str, most: usize) -> Result<Reaped, StoreError> {
    let name = plain(queue).into_owned();
    let ambient = nanoseconds(store.ambient().now());
    let reaped = apart(store, move |connection| {
        let name = name.clone();
        Box::pin(async move { end_leases(connection, &name, most, ambient).await })
    })
    .await?;
    if reaped.returned > 0 {
        store.ring_queue(queue);
    }
    Ok(reaped)
}

async fn end_leases(
    connection: &mut Connection,
    queue: &str,
    most: usize,
    ambient: i64,
) -> Result<Reaped, sqlx::Error> {
    let now = clock(connection, ambient).await?;
    let mut query = QueryBuilder::<Db>::new("SELECT nr FROM jobs WHERE state = 2 AND queue = ");
    query
        .push_bind(queue.to_owned())
        .push(" AND lease_until <= ")
        .push_bind(now)
        .push(" ORDER BY lease_until");
    let found = numbers(connection, query, most).await?;
    if found.is_empty() {
        return Ok(Reaped::default());
    }
    let mut query = QueryBuilder::<Db>::new(
        "UPDATE jobs SET attempts = attempts + 1, owner = NULL, lease_until = NULL, \
         again_due = NULL, again_rank = NULL, \
         state = CASE WHEN attempts + 1 >= most_attempts THEN ",
    );
    query.push_bind(DEAD).push(" ELSE ").push_bind(DUE);
    query
        .push(" END, dead_at = CASE WHEN attempts + 1 >= most_attempts THEN ")
        .push_bind(now)
        .push(" END, reason = CASE WHEN attempts + 1 >= most_attempts THEN ")
        .push_bind("whoever looked at it broke off, each time")
        .push(" END WHERE state = ")
        .push_bind(CLAIMED)
        .push(" AND ");
    among(&mut query, "nr", &found);
    query.push(" RETURNING id, state");
    let rows = query.build().fetch_all(connection).await?;
    let (dead, returned): (Vec<&Row>, Vec<&Row>) =
        rows.iter().partition(|row| row.get::<i64, _>(1) == DEAD);
    Ok(Reaped {
        returned: returned.len() as u64,
        dead: dead.iter().map(|row| row.get(0)).collect(),
    })
}
