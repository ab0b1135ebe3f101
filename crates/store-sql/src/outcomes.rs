//! What came of writes.

use async_trait::async_trait;
use crmgate_domain::{ConnectionName, PayloadHash, Timestamp};
use crmgate_store::{AttemptLog, Outcome, StoreError, Unfinished};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use crate::convert::{nanoseconds, read, timestamp, write};
use crate::error::{corrupt, unavailable};
use crate::open::SqliteStore;
use crate::writer::{Command, Writer};

/// An outcome, ready to be inserted.
pub(crate) struct OutcomeRow {
    decision: [u8; 16],
    ends: bool,
    body: String,
}

pub(crate) async fn insert(writer: &mut Writer, rows: &[&OutcomeRow]) -> Result<(), sqlx::Error> {
    for row in rows {
        sqlx::query("INSERT INTO outcomes (decision, body) VALUES (?, ?)")
            .bind(row.decision.as_slice())
            .bind(row.body.as_str())
            .execute(&mut writer.connection)
            .await?;
        if row.ends {
            sqlx::query("DELETE FROM read_backs WHERE decision = ?")
                .bind(row.decision.as_slice())
                .execute(&mut writer.connection)
                .await?;
        }
    }
    Ok(())
}

fn unfinished(row: &SqliteRow) -> Result<Unfinished, StoreError> {
    let id: Vec<u8> = row.get(0);
    let uuid = uuid::Uuid::from_slice(&id).map_err(|error| corrupt("a decision's id", error))?;
    let decision = uuid.to_string().parse();
    let connection: String = row.get(2);
    Ok(Unfinished {
        decision: decision.map_err(|error| corrupt("a decision's id", error))?,
        connection: connection
            .parse()
            .map_err(|error| corrupt("a connection", error))?,
        at: timestamp(row.get(1))?,
        read_back: read("a read-back", row.get(3))?,
    })
}

#[async_trait]
impl AttemptLog for SqliteStore {
    async fn append_outcome(&self, outcome: Outcome) -> Result<(), StoreError> {
        let row = OutcomeRow {
            decision: *outcome.decision.uuid().as_bytes(),
            ends: outcome.kind.is_final(),
            body: write("an outcome", &outcome)?,
        };
        self.queue().ask(|reply| Command::Outcome(row, reply)).await
    }

    async fn unfinished(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<Unfinished>, StoreError> {
        let rows = sqlx::query(
            "SELECT decision, at, connection, body FROM read_backs WHERE at < ? ORDER BY at LIMIT ?",
        )
        .bind(nanoseconds(before))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(self.reader())
        .await
        .map_err(|error| unavailable(&error))?;
        rows.iter().map(unfinished).collect()
    }

    async fn unfinished_twin(
        &self,
        connection: &ConnectionName,
        join_key: PayloadHash,
        since: Timestamp,
    ) -> Result<Option<Unfinished>, StoreError> {
        let row = sqlx::query(
            "SELECT decision, at, connection, body FROM read_backs \
             WHERE join_key = ? AND at >= ? AND connection = ? ORDER BY at DESC LIMIT 1",
        )
        .bind(join_key.to_hex())
        .bind(nanoseconds(since))
        .bind(connection.as_str())
        .fetch_optional(self.reader())
        .await
        .map_err(|error| unavailable(&error))?;
        row.as_ref().map(unfinished).transpose()
    }
}
