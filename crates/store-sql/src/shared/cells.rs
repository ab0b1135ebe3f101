//! Small values that processes share.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crmgate_store::{Cell, Cells, StoreError, Swapped};
use sqlx::{QueryBuilder, Row as _};

use super::{Connection, Db, FOR_UPDATE_SKIP_LOCKED, Row, Store, apart, clock, plain, sql, within};
use crate::convert::nanoseconds;

/// Most forgotten cells that are cleared away at once.
const SWEPT: i64 = 100;
/// For how long a forgotten cell stays, so that its versions are not given again.
const LONG_AGO: i64 = 86_400 * 1_000_000_000;

fn cell(row: &Row) -> Cell {
    Cell {
        version: row.get::<i64, _>(0).unsigned_abs(),
        body: row.get(1),
    }
}

struct Change {
    key: String,
    seen: Option<u64>,
    body: String,
    keep: Option<Duration>,
    ambient: i64,
}

impl Change {
    async fn make(&self, connection: &mut Connection) -> Result<Swapped, sqlx::Error> {
        let now = clock(connection, self.ambient).await?;
        let ends = self.keep.map(|keep| {
            let keep = i64::try_from(keep.as_nanos()).unwrap_or(i64::MAX);
            now.saturating_add(keep)
        });
        // Versions are times, or one more than the last: a value that was forgotten and came again
        // has another one.
        let done =
            match self.seen {
                Some(seen) => sql(
                    "UPDATE cells SET version = CASE WHEN version < ? THEN ? ELSE version + 1 END, \
                     body = ?, ends_at = ? \
                     WHERE key = ? AND version = ? AND (ends_at IS NULL OR ends_at > ?) \
                     RETURNING version",
                )
                .bind(now)
                .bind(now)
                .bind(self.body.as_str())
                .bind(ends)
                .bind(self.key.as_str())
                .bind(seen.cast_signed())
                .bind(now)
                .fetch_optional(&mut *connection)
                .await?,
                None => {
                    sql(
                        "INSERT INTO cells (key, version, body, ends_at) VALUES (?, ?, ?, ?) \
                     ON CONFLICT (key) DO UPDATE SET version = CASE \
                     WHEN cells.version < excluded.version THEN excluded.version \
                     ELSE cells.version + 1 END, body = excluded.body, ends_at = excluded.ends_at \
                     WHERE cells.ends_at <= ? RETURNING version",
                    )
                    .bind(self.key.as_str())
                    .bind(now)
                    .bind(self.body.as_str())
                    .bind(ends)
                    .bind(now)
                    .fetch_optional(&mut *connection)
                    .await?
                }
            };
        if let Some(row) = done {
            return Ok(Swapped::Done(row.get::<i64, _>(0).unsigned_abs()));
        }
        Ok(Swapped::Lost(holds(connection, &self.key, now).await?))
    }
}

async fn holds(
    connection: &mut Connection,
    key: &str,
    now: i64,
) -> Result<Option<Cell>, sqlx::Error> {
    let row =
        sql("SELECT version, body FROM cells WHERE key = ? AND (ends_at IS NULL OR ends_at > ?)")
            .bind(key)
            .bind(now)
            .fetch_optional(connection)
            .await?;
    Ok(row.as_ref().map(cell))
}

/// Clears away some of what was forgotten long ago.
pub(crate) async fn sweep(connection: &mut Connection, now: i64) -> Result<(), sqlx::Error> {
    let mut query = QueryBuilder::<Db>::new("SELECT key FROM cells WHERE ends_at <= ");
    query
        .push_bind(now.saturating_sub(LONG_AGO))
        .push(" ORDER BY ends_at LIMIT ")
        .push_bind(SWEPT)
        .push(FOR_UPDATE_SKIP_LOCKED);
    for row in query.build().fetch_all(&mut *connection).await? {
        sql("DELETE FROM cells WHERE key = ?")
            .bind(row.get::<String, _>(0))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

#[async_trait]
impl Cells for Store {
    async fn cell(&self, key: &str) -> Result<Option<Cell>, StoreError> {
        let key = plain(key);
        let read = async {
            let mut connection = self.reader().acquire().await?;
            let now = clock(&mut connection, nanoseconds(self.ambient().now())).await?;
            holds(&mut connection, &key, now).await
        };
        within(read).await
    }

    async fn swap(
        &self,
        key: &str,
        seen: Option<u64>,
        body: String,
        keep: Option<Duration>,
    ) -> Result<Swapped, StoreError> {
        let change = Arc::new(Change {
            key: plain(key).into_owned(),
            seen,
            body: plain(&body).into_owned(),
            keep,
            ambient: nanoseconds(self.ambient().now()),
        });
        apart(self, move |connection| {
            let change = Arc::clone(&change);
            Box::pin(async move { change.make(connection).await })
        })
        .await
    }
}
