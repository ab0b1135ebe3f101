//! The record as entries of chains, and the checkpoints over it.

use std::path::Path;

use async_trait::async_trait;
use crmgate_domain::ChainId;
use crmgate_store::{
    ChainRef, Digest, Entry, Extent, Head, Ledger, RawEntry, SealedPayload, StoreError,
    StoredCheckpoint,
};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteRow};
use sqlx::{ConnectOptions as _, Row as _, SqliteConnection};

use crate::convert::{nanoseconds, timestamp};
use crate::error::{corrupt, unavailable};
use crate::misc::statement;
use crate::open::SqliteStore;

/// Where an entry stands, from a row that begins with `seq, chain, link, hash`.
pub(crate) fn chained(row: &SqliteRow) -> Result<ChainRef, StoreError> {
    let hash = Digest::from_slice(row.get(3));
    Ok(ChainRef {
        chain: chain(row.get(1))?,
        link: row.get::<i64, _>(2).unsigned_abs(),
        hash: hash.ok_or_else(|| corrupt("an entry", "its hash is not 32 bytes long"))?,
    })
}

fn chain(bytes: &[u8]) -> Result<ChainId, StoreError> {
    let id = uuid::Uuid::from_slice(bytes).map_err(|error| corrupt("a chain's id", error))?;
    let id = id.to_string().parse();
    id.map_err(|error| corrupt("a chain's id", error))
}

pub(crate) fn head(row: &SqliteRow) -> Result<Head, StoreError> {
    Ok(Head {
        position: row.get::<i64, _>(0).unsigned_abs(),
        chained: chained(row)?,
    })
}

/// The last entry.
pub(crate) async fn last(connection: &mut SqliteConnection) -> Result<Option<Head>, sqlx::Error> {
    let row = sqlx::query("SELECT seq, chain, link, hash FROM ledger ORDER BY seq DESC LIMIT 1")
        .fetch_optional(connection)
        .await?;
    row.as_ref()
        .map(head)
        .transpose()
        .map_err(|error| sqlx::Error::Decode(error.into()))
}

fn raw(row: &SqliteRow) -> Result<RawEntry, StoreError> {
    let commitment: Option<&[u8]> = row.get(7);
    let key: Option<&[u8]> = row.get(8);
    // A digest of the wrong length is somebody's edit: it is told as one that does not fit.
    let digest = |bytes: &[u8]| Digest::from_slice(bytes).unwrap_or_default();
    Ok(RawEntry {
        entry: Entry {
            position: row.get::<i64, _>(0).unsigned_abs(),
            chain: chain(row.get(1))?,
            link: row.get::<i64, _>(2).unsigned_abs(),
            kind: row.get::<String, _>(4).into(),
            at: timestamp(row.get(5))?,
            envelope: row.get(6),
            commitment: commitment.map(digest),
            hash: digest(row.get(3)),
        },
        payload: key.map(|key| SealedPayload {
            key: digest(key),
            body: row.get(9),
        }),
    })
}

fn checkpoint(row: &SqliteRow) -> Result<StoredCheckpoint, StoreError> {
    Ok(StoredCheckpoint {
        number: row.get::<i64, _>(0).unsigned_abs(),
        at: timestamp(row.get(1))?,
        jws: row.get(2),
    })
}

async fn entries(
    reader: &SqlitePool,
    after: u64,
    limit: usize,
) -> Result<Vec<RawEntry>, StoreError> {
    let rows = sqlx::query(
        "SELECT l.seq, l.chain, l.link, l.hash, l.kind, l.at, l.envelope, l.commitment, p.key, \
         p.body FROM ledger l LEFT JOIN payloads p ON p.seq = l.seq \
         WHERE l.seq > ? ORDER BY l.seq LIMIT ?",
    )
    .bind(after.cast_signed())
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(reader)
    .await
    .map_err(|error| unavailable(&error))?;
    rows.iter().map(raw).collect()
}

async fn misfiled(reader: &SqlitePool, after: u64, up_to: u64) -> Result<Vec<u64>, StoreError> {
    // The record of a create is filed by its outcome: only one that the entry names must fit. What
    // is no JSON any more is told, not stumbled over.
    let found: Vec<i64> = sqlx::query_scalar(
        "SELECT l.seq FROM ledger l LEFT JOIN decisions d ON d.seq = l.seq \
         WHERE l.seq > ? AND l.seq <= ? AND l.kind = 'decision' \
         AND CASE WHEN json_valid(l.envelope) THEN d.seq IS NULL \
         OR d.id IS NOT unhex(replace(l.envelope ->> 'id', '-', '')) OR d.at IS NOT l.at \
         OR d.connection IS NOT l.envelope ->> 'connection' \
         OR d.effect IS NOT l.envelope ->> 'effect' OR d.mode IS NOT l.envelope ->> 'mode' \
         OR d.object IS NOT l.envelope ->> '$.operation.object' \
         OR d.actor IS NOT coalesce(l.envelope ->> '$.operation.actor', \
                                    l.envelope ->> 'asked_by') \
         OR d.record_id IS NOT coalesce(l.envelope ->> '$.operation.record_id', d.record_id) \
         ELSE 1 END ORDER BY l.seq",
    )
    .bind(after.cast_signed())
    .bind(up_to.cast_signed())
    .fetch_all(reader)
    .await
    .map_err(|error| unavailable(&error))?;
    Ok(found.into_iter().map(i64::unsigned_abs).collect())
}

/// A database file that is only read, whether or not a process has it open: to verify its record.
pub struct RecordFile {
    reader: SqlitePool,
}

impl RecordFile {
    /// Opens a file.
    ///
    /// # Errors
    /// When it is no database of ours, or cannot be read.
    pub async fn open(file: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .read_only(true)
            .disable_statement_logging();
        let reader = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options)
            .await
            .map_err(|error| unavailable(&error))?;
        Ok(Self { reader })
    }

    /// Entries after a position, in the order of commits, payloads included.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn entries(&self, after: u64, limit: usize) -> Result<Vec<RawEntry>, StoreError> {
        entries(&self.reader, after, limit).await
    }

    /// Decisions after a position and up to another that listings would not find by what they are,
    /// or show as others.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn misfiled(&self, after: u64, up_to: u64) -> Result<Vec<u64>, StoreError> {
        misfiled(&self.reader, after, up_to).await
    }
}

#[async_trait]
impl Ledger for SqliteStore {
    async fn entries(&self, after: u64, limit: usize) -> Result<Vec<RawEntry>, StoreError> {
        entries(self.reader(), after, limit).await
    }

    async fn misfiled(&self, after: u64, up_to: u64) -> Result<Vec<u64>, StoreError> {
        misfiled(self.reader(), after, up_to).await
    }

    async fn extent(&self) -> Result<Extent, StoreError> {
        // One statement, so that first and last are of one moment.
        let rows = sqlx::query(
            "SELECT seq, chain, link, hash FROM ledger \
             WHERE seq IN ((SELECT min(seq) FROM ledger), (SELECT max(seq) FROM ledger)) \
             ORDER BY seq",
        )
        .fetch_all(self.reader())
        .await
        .map_err(|error| unavailable(&error))?;
        let ends = rows.iter().map(head).collect::<Result<Vec<_>, _>>()?;
        // One process writes at a time, and each one's start names the chain before: the last
        // entry's chain is the only one that no start names.
        Ok(Extent {
            first: ends.first().map_or(0, |head| head.position),
            last: ends.last().map_or(0, |head| head.position),
            heads: ends.last().copied().into_iter().collect(),
        })
    }

    async fn add_checkpoint(&self, checkpoint: StoredCheckpoint) -> Result<(), StoreError> {
        let number = checkpoint.number;
        let added = statement(self, move |writer| {
            let query = sqlx::query(
                "INSERT INTO checkpoints (number, at, jws) VALUES (?, ?, ?) \
                 ON CONFLICT (number) DO NOTHING",
            )
            .bind(checkpoint.number.cast_signed())
            .bind(nanoseconds(checkpoint.at))
            .bind(checkpoint.jws.clone());
            Box::pin(
                async move { Ok(query.execute(&mut writer.connection).await?.rows_affected()) },
            )
        })
        .await?;
        if added == 0 {
            return Err(StoreError::Exists(format!("checkpoint {number}")));
        }
        Ok(())
    }

    async fn checkpoints(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<StoredCheckpoint>, StoreError> {
        let rows = sqlx::query(
            "SELECT number, at, jws FROM checkpoints WHERE number > ? ORDER BY number LIMIT ?",
        )
        .bind(after.cast_signed())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(self.reader())
        .await
        .map_err(|error| unavailable(&error))?;
        rows.iter().map(checkpoint).collect()
    }

    async fn last_checkpoint(&self) -> Result<Option<StoredCheckpoint>, StoreError> {
        let row =
            sqlx::query("SELECT number, at, jws FROM checkpoints ORDER BY number DESC LIMIT 1")
                .fetch_optional(self.reader())
                .await
                .map_err(|error| unavailable(&error))?;
        row.as_ref().map(checkpoint).transpose()
    }
}
