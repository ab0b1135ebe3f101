//! Which processes share the store.

use std::sync::Arc;

use async_trait::async_trait;
use crmgate_domain::{ProcessId, Timestamp};
use crmgate_store::{Process, Processes, StoreError};
use sqlx::Row as _;

use super::{Store, apart, cells, clock, plain, sql, within};
use crate::convert::{nanoseconds, read, write};

/// For how long a process that broke off is remembered.
const LONG_DEAD: i64 = 30 * 86_400 * 1_000_000_000;

#[async_trait]
impl Processes for Store {
    async fn beat_process(&self, process: &Process) -> Result<(), StoreError> {
        let body = write("a process", process)?;
        let body: Arc<str> = plain(&body).into();
        let (id, started, beat) = (
            *process.id.uuid().as_bytes(),
            nanoseconds(process.started_at),
            nanoseconds(process.beat_at),
        );
        let ambient = nanoseconds(self.ambient().now());
        apart(self, move |connection| {
            let body = Arc::clone(&body);
            Box::pin(async move {
                sql(
                    "INSERT INTO processes (id, started_at, beat_at, body) VALUES (?, ?, ?, ?) \
                     ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at, \
                     body = excluded.body",
                )
                .bind(id.as_slice())
                .bind(started)
                .bind(beat)
                .bind(body.as_ref())
                .execute(&mut *connection)
                .await?;
                sql("DELETE FROM processes WHERE beat_at < ?")
                    .bind(beat.saturating_sub(LONG_DEAD))
                    .execute(&mut *connection)
                    .await?;
                let now = clock(connection, ambient).await?;
                cells::sweep(connection, now).await
            })
        })
        .await
    }

    async fn leave(&self, id: ProcessId) -> Result<(), StoreError> {
        let id = *id.uuid().as_bytes();
        apart(self, move |connection| {
            Box::pin(async move {
                sql("DELETE FROM processes WHERE id = ?")
                    .bind(id.as_slice())
                    .execute(connection)
                    .await
                    .map(|_| ())
            })
        })
        .await
    }

    async fn processes(&self, since: Timestamp) -> Result<Vec<Process>, StoreError> {
        let rows = within(
            sql("SELECT body FROM processes WHERE beat_at >= ? ORDER BY started_at, id")
                .bind(nanoseconds(since))
                .fetch_all(self.reader()),
        )
        .await?;
        rows.iter()
            .map(|row| read("a process", row.get(0)))
            .collect()
    }
}
