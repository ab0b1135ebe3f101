//! The record as a feed.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use crmgate_store::{EntryKind, FeedEntry, FeedItem, Outcome, RecordFeed, StoreError};
use sqlx::{QueryBuilder, Row as _};

use super::decisions;
use super::ledger::chained;
use super::steps::with_record;
use super::{Db, Pool, Row, Store, scalar, sql, within};
use crate::convert::read;
use crate::error::corrupt;

/// The connections of decisions, by the decisions' ids.
type Connections = HashMap<Vec<u8>, String>;

/// What came of a write, where the row is about that.
fn ended(row: &Row) -> Result<Option<Outcome>, StoreError> {
    if row.get::<&str, _>(4) == EntryKind::Decision.as_str() {
        return Ok(None);
    }
    read("an outcome", row.get(5)).map(Some)
}

fn item(
    row: &Row,
    outcome: Option<Outcome>,
    connections: &Connections,
) -> Result<FeedEntry, StoreError> {
    let item = if let Some(outcome) = outcome {
        let id = *outcome.decision.uuid().as_bytes();
        let connection = connections
            .get(id.as_slice())
            .map(|name| name.parse())
            .transpose();
        FeedItem::Outcome {
            outcome,
            connection: connection.map_err(|error| corrupt("a connection", error))?,
        }
    } else {
        let record = decisions::record(row.get(5), row.get(6), row.get(7))?;
        FeedItem::Decision(Box::new(record))
    };
    Ok(FeedEntry {
        position: row.get::<i64, _>(0).unsigned_abs(),
        chained: chained(row)?,
        item,
    })
}

async fn connections(
    reader: &Pool,
    outcomes: impl Iterator<Item = &Outcome>,
) -> Result<Connections, StoreError> {
    let mut query = QueryBuilder::<Db>::new("SELECT id, connection FROM decisions WHERE id IN (");
    let mut list = query.separated(",");
    let mut asked = false;
    for outcome in outcomes {
        list.push_bind(outcome.decision.uuid().as_bytes().to_vec());
        asked = true;
    }
    if !asked {
        return Ok(Connections::new());
    }
    query.push(")");
    let rows = within(query.build().persistent(false).fetch_all(reader)).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

#[async_trait]
impl RecordFeed for Store {
    async fn feed(&self, after: u64, limit: usize) -> Result<Vec<FeedEntry>, StoreError> {
        let query = sql(
            "SELECT l.seq, l.chain, l.link, l.hash, l.kind, l.envelope, p.body, \
             l.seq <= (SELECT payloads FROM pruned) \
             FROM ledger l LEFT JOIN payloads p ON p.seq = l.seq \
             WHERE l.seq > ? AND l.kind IN ('decision', 'outcome') ORDER BY l.seq LIMIT ?",
        )
        .bind(after.cast_signed())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = within(query.fetch_all(self.reader())).await?;
        let outcomes = rows.iter().map(ended).collect::<Result<Vec<_>, _>>()?;
        let known = connections(self.reader(), outcomes.iter().flatten()).await?;
        let items = rows.iter().zip(outcomes);
        items
            .map(|(row, outcome)| item(row, outcome, &known))
            .collect()
    }

    async fn feed_end(&self) -> Result<u64, StoreError> {
        let last: Option<i64> =
            within(scalar("SELECT max(seq) FROM ledger").fetch_one(self.reader())).await?;
        Ok(last.unwrap_or(0).unsigned_abs())
    }

    async fn sink_position(&self, sink: &str) -> Result<u64, StoreError> {
        let position: Option<i64> = within(
            scalar("SELECT position FROM sinks WHERE name = ?")
                .bind(sink)
                .fetch_optional(self.reader()),
        )
        .await?;
        Ok(position.unwrap_or(0).unsigned_abs())
    }

    async fn set_sink_position(&self, sink: &str, position: u64) -> Result<(), StoreError> {
        let sink = sink.to_owned();
        with_record(self, move |writer| {
            let query = sql("INSERT INTO sinks (name, position) VALUES (?, ?) \
                 ON CONFLICT (name) DO UPDATE SET position = excluded.position")
            .bind(sink.clone())
            .bind(position.cast_signed());
            Box::pin(async move { query.execute(&mut writer.connection).await.map(|_| ()) })
        })
        .await
    }

    async fn sink_positions(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let rows = within(sql("SELECT name, position FROM sinks").fetch_all(self.reader())).await?;
        let positions = rows
            .iter()
            .map(|row| (row.get(0), row.get::<i64, _>(1).unsigned_abs()));
        Ok(positions.collect())
    }

    async fn forget_sink(&self, sink: &str) -> Result<(), StoreError> {
        let sink = sink.to_owned();
        with_record(self, move |writer| {
            let query = sql("DELETE FROM sinks WHERE name = ?").bind(sink.clone());
            Box::pin(async move { query.execute(&mut writer.connection).await.map(|_| ()) })
        })
        .await
    }
}
