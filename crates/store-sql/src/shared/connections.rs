//! Connections' memory, policy revisions, the pulse.

use std::sync::Arc;

use async_trait::async_trait;
use crmgate_domain::{ConnectionName, RevisionId, Timestamp};
use crmgate_store::chain::Draft;
use crmgate_store::{
    ConnectionLog, EntryKind, ModeChange, Pulse, RevisionLog, Sighting, SightingKey, StoreError,
    StoredRevision,
};
use serde_json::json;
use sqlx::Row as _;

use super::steps::with_record;
use super::writer::Writer;
use super::{Row, Store, sql, within};
use crate::convert::{nanoseconds, read, timestamp, write};

fn sighting(row: &Row) -> Result<Sighting, StoreError> {
    Ok(Sighting {
        key: SightingKey {
            client: row.get(0),
            route: row.get(1),
            class: row.get(2),
            enforced: row.get(3),
            why: row.get(4),
        },
        count: row.get::<i64, _>(5).unsigned_abs(),
        first_at: timestamp(row.get(6))?,
        last_at: timestamp(row.get(7))?,
    })
}

async fn add_sightings(
    writer: &mut Writer,
    connection: &str,
    seen: &[Sighting],
) -> Result<(), sqlx::Error> {
    for sighting in seen {
        let key = &sighting.key;
        sql(
            "INSERT INTO sightings (connection, hour, client, route, class, enforced, why, count, \
             first_at, last_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
             ON CONFLICT (connection, hour, client, route, class, enforced, why) DO UPDATE SET \
             count = sightings.count + excluded.count, \
             first_at = CASE WHEN excluded.first_at < sightings.first_at \
             THEN excluded.first_at ELSE sightings.first_at END, \
             last_at = CASE WHEN excluded.last_at > sightings.last_at \
             THEN excluded.last_at ELSE sightings.last_at END",
        )
        .bind(connection)
        .bind(sighting.first_at.as_second().div_euclid(3_600))
        .bind(key.client.as_str())
        .bind(key.route.as_str())
        .bind(key.class.as_str())
        .bind(key.enforced.as_str())
        .bind(key.why.as_str())
        .bind(i64::try_from(sighting.count).unwrap_or(i64::MAX))
        .bind(nanoseconds(sighting.first_at))
        .bind(nanoseconds(sighting.last_at))
        .execute(&mut writer.connection)
        .await?;
    }
    Ok(())
}

#[async_trait]
impl ConnectionLog for Store {
    async fn add_sightings(
        &self,
        connection: &ConnectionName,
        seen: Vec<Sighting>,
    ) -> Result<(), StoreError> {
        let name = connection.to_string();
        let seen = Arc::new(seen);
        with_record(self, move |writer| {
            let (name, seen) = (name.clone(), Arc::clone(&seen));
            Box::pin(async move { add_sightings(writer, &name, &seen).await })
        })
        .await
    }

    async fn sightings(
        &self,
        connection: &ConnectionName,
        since: Option<Timestamp>,
    ) -> Result<Vec<Sighting>, StoreError> {
        let rows = within(sql("SELECT client, route, class, enforced, why, CAST(sum(count) AS BIGINT), min(first_at), max(last_at) \
             FROM sightings WHERE connection = ? AND last_at >= ? \
             GROUP BY client, route, class, enforced, why",
        )
        .bind(connection.as_str())
        .bind(since.map_or(i64::MIN, nanoseconds))
        .fetch_all(self.reader())).await?;
        rows.iter().map(sighting).collect()
    }

    async fn append_mode(
        &self,
        connection: &ConnectionName,
        change: ModeChange,
    ) -> Result<(), StoreError> {
        let name = connection.to_string();
        let body = write("a mode", &change)?;
        let note = json!({"connection": name, "mode": change.mode, "by": change.by});
        let draft = Arc::new(Draft::new(
            EntryKind::Mode,
            change.at,
            note.to_string(),
            None,
        ));
        with_record(self, move |writer| {
            let query = sql("INSERT INTO modes (connection, body) VALUES (?, ?)")
                .bind(name.clone())
                .bind(body.clone());
            let draft = Arc::clone(&draft);
            Box::pin(async move {
                query.execute(&mut writer.connection).await?;
                writer.append(&draft).await.map(|_| ())
            })
        })
        .await
    }

    async fn modes(&self, connection: &ConnectionName) -> Result<Vec<ModeChange>, StoreError> {
        let rows = within(
            sql("SELECT body FROM modes WHERE connection = ? ORDER BY seq DESC")
                .bind(connection.as_str())
                .fetch_all(self.reader()),
        )
        .await?;
        rows.iter().map(|row| read("a mode", row.get(0))).collect()
    }
}

fn revision(row: &Row) -> Result<StoredRevision, StoreError> {
    Ok(StoredRevision {
        revision: RevisionId::new(row.get(0)),
        at: timestamp(row.get(1))?,
        sources: row.get(2),
    })
}

#[async_trait]
impl RevisionLog for Store {
    async fn accept_revision(&self, revision: StoredRevision) -> Result<(), StoreError> {
        let at = nanoseconds(revision.at);
        let note = json!({"revision": revision.revision}).to_string();
        let draft = Arc::new(Draft::new(EntryKind::Revision, revision.at, note, None));
        with_record(self, move |writer| {
            let draft = Arc::clone(&draft);
            // The number says which came into force last, whatever the clocks did.
            let query = sql("INSERT INTO revisions (seq, revision, at, sources) \
                 VALUES ((SELECT coalesce(max(seq), 0) + 1 FROM revisions), ?, ?, ?) \
                 ON CONFLICT (revision) DO UPDATE SET seq = excluded.seq, at = excluded.at")
            .bind(revision.revision.to_string())
            .bind(at)
            .bind(revision.sources.clone());
            Box::pin(async move {
                query.execute(&mut writer.connection).await?;
                writer.append(&draft).await.map(|_| ())
            })
        })
        .await
    }

    async fn latest_revision(&self) -> Result<Option<StoredRevision>, StoreError> {
        let row = within(
            sql("SELECT revision, at, sources FROM revisions ORDER BY seq DESC LIMIT 1")
                .fetch_optional(self.reader()),
        )
        .await?;
        row.as_ref().map(revision).transpose()
    }

    async fn revision(&self, id: &RevisionId) -> Result<Option<StoredRevision>, StoreError> {
        let row = within(
            sql("SELECT revision, at, sources FROM revisions WHERE revision = ?")
                .bind(id.as_str())
                .fetch_optional(self.reader()),
        )
        .await?;
        row.as_ref().map(revision).transpose()
    }
}

#[async_trait]
impl Pulse for Store {
    async fn beat(&self, at: Timestamp) -> Result<(), StoreError> {
        let at = nanoseconds(at);
        with_record(self, move |writer| {
            let query = sql(
                "INSERT INTO pulse (id, at) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET at = ?",
            )
            .bind(at)
            .bind(at);
            Box::pin(async move { query.execute(&mut writer.connection).await.map(|_| ()) })
        })
        .await
    }
}
