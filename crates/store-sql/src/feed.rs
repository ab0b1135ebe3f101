//! The record as a feed.

use std::collections::BTreeMap;

use async_trait::async_trait;
use crmgate_store::{EntryKind, FeedEntry, FeedItem, RecordFeed, StoreError};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use crate::convert::read;
use crate::decisions;
use crate::error::{corrupt, unavailable};
use crate::ledger::chained;
use crate::misc::statement;
use crate::open::SqliteStore;

fn item(row: &SqliteRow) -> Result<FeedEntry, StoreError> {
    let envelope: &str = row.get(5);
    let item = if row.get::<&str, _>(4) == EntryKind::Decision.as_str() {
        let record = decisions::record(envelope, row.get(6), row.get(8))?;
        FeedItem::Decision(Box::new(record))
    } else {
        let connection: Option<&str> = row.get(7);
        let connection = connection.map(str::parse).transpose();
        FeedItem::Outcome {
            outcome: read("an outcome", envelope)?,
            connection: connection.map_err(|error| corrupt("a connection", error))?,
        }
    };
    Ok(FeedEntry {
        position: row.get::<i64, _>(0).unsigned_abs(),
        chained: chained(row)?,
        item,
    })
}

#[async_trait]
impl RecordFeed for SqliteStore {
    async fn feed(&self, after: u64, limit: usize) -> Result<Vec<FeedEntry>, StoreError> {
        let rows = sqlx::query(
            "SELECT l.seq, l.chain, l.link, l.hash, l.kind, l.envelope, p.body, d.connection, \
             l.seq <= (SELECT payloads FROM pruned) \
             FROM ledger l LEFT JOIN payloads p ON p.seq = l.seq \
             LEFT JOIN decisions d ON l.kind = 'outcome' \
             AND d.id = unhex(replace(l.envelope ->> 'decision', '-', '')) \
             WHERE l.seq > ? AND l.kind IN ('decision', 'outcome') ORDER BY l.seq LIMIT ?",
        )
        .bind(after.cast_signed())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(self.reader())
        .await
        .map_err(|error| unavailable(&error))?;
        rows.iter().map(item).collect()
    }

    async fn feed_end(&self) -> Result<u64, StoreError> {
        let last: Option<i64> = sqlx::query_scalar("SELECT max(seq) FROM ledger")
            .fetch_one(self.reader())
            .await
            .map_err(|error| unavailable(&error))?;
        Ok(last.unwrap_or(0).unsigned_abs())
    }

    async fn sink_position(&self, sink: &str) -> Result<u64, StoreError> {
        let position: Option<i64> = sqlx::query_scalar("SELECT position FROM sinks WHERE name = ?")
            .bind(sink)
            .fetch_optional(self.reader())
            .await
            .map_err(|error| unavailable(&error))?;
        Ok(position.unwrap_or(0).unsigned_abs())
    }

    async fn set_sink_position(&self, sink: &str, position: u64) -> Result<(), StoreError> {
        let sink = sink.to_owned();
        statement(self, move |writer| {
            let query = sqlx::query(
                "INSERT INTO sinks (name, position) VALUES (?, ?) \
                 ON CONFLICT (name) DO UPDATE SET position = excluded.position",
            )
            .bind(sink.clone())
            .bind(position.cast_signed());
            Box::pin(async move { query.execute(&mut writer.connection).await.map(|_| ()) })
        })
        .await
    }

    async fn sink_positions(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let rows = sqlx::query("SELECT name, position FROM sinks")
            .fetch_all(self.reader())
            .await
            .map_err(|error| unavailable(&error))?;
        let positions = rows
            .iter()
            .map(|row| (row.get(0), row.get::<i64, _>(1).unsigned_abs()));
        Ok(positions.collect())
    }

    async fn forget_sink(&self, sink: &str) -> Result<(), StoreError> {
        let sink = sink.to_owned();
        statement(self, move |writer| {
            let query = sqlx::query("DELETE FROM sinks WHERE name = ?").bind(sink.clone());
            Box::pin(async move { query.execute(&mut writer.connection).await.map(|_| ()) })
        })
        .await
    }
}
