//! The record as entries of chains, and the checkpoints over it.

use async_trait::async_trait;
use crmgate_domain::ChainId;
use crmgate_store::{
    ChainRef, Digest, Entry, Extent, Head, Ledger, RawEntry, SealedPayload, StoreError,
    StoredCheckpoint,
};
use sqlx::Row as _;

use super::steps::with_record;
use super::{Pool, Row, Store, filed, session, sql, within};
use crate::convert::{nanoseconds, timestamp};
use crate::error::corrupt;

/// Where an entry stands, from a row that begins with `seq, chain, link, hash`.
pub(crate) fn chained(row: &Row) -> Result<ChainRef, StoreError> {
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

pub(crate) fn head(row: &Row) -> Result<Head, StoreError> {
    Ok(Head {
        position: row.get::<i64, _>(0).unsigned_abs(),
        chained: chained(row)?,
    })
}

fn raw(row: &Row) -> Result<RawEntry, StoreError> {
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

fn checkpoint(row: &Row) -> Result<StoredCheckpoint, StoreError> {
    Ok(StoredCheckpoint {
        number: row.get::<i64, _>(0).unsigned_abs(),
        at: timestamp(row.get(1))?,
        jws: row.get(2),
    })
}

pub(crate) async fn entries(
    reader: &Pool,
    after: u64,
    limit: usize,
) -> Result<Vec<RawEntry>, StoreError> {
    let rows = within(
        sql(
            "SELECT l.seq, l.chain, l.link, l.hash, l.kind, l.at, l.envelope, l.commitment, p.key, \
         p.body FROM ledger l LEFT JOIN payloads p ON p.seq = l.seq \
         WHERE l.seq > ? ORDER BY l.seq LIMIT ?",
        )
        .bind(after.cast_signed())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(reader),
    )
    .await?;
    rows.iter().map(raw).collect()
}

#[async_trait]
impl Ledger for Store {
    async fn entries(&self, after: u64, limit: usize) -> Result<Vec<RawEntry>, StoreError> {
        entries(self.reader(), after, limit).await
    }

    async fn misfiled(&self, after: u64, up_to: u64) -> Result<Vec<u64>, StoreError> {
        filed::misfiled(self.reader(), after, up_to).await
    }

    async fn extent(&self) -> Result<Extent, StoreError> {
        within(session::extent(self.reader())).await
    }

    async fn add_checkpoint(&self, checkpoint: StoredCheckpoint) -> Result<(), StoreError> {
        let number = checkpoint.number;
        let added = with_record(self, move |writer| {
            let query = sql(
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
        let rows = within(
            sql("SELECT number, at, jws FROM checkpoints WHERE number > ? ORDER BY number LIMIT ?")
                .bind(after.cast_signed())
                .bind(i64::try_from(limit).unwrap_or(i64::MAX))
                .fetch_all(self.reader()),
        )
        .await?;
        rows.iter().map(checkpoint).collect()
    }

    async fn last_checkpoint(&self) -> Result<Option<StoredCheckpoint>, StoreError> {
        let row = within(
            sql("SELECT number, at, jws FROM checkpoints ORDER BY number DESC LIMIT 1")
                .fetch_optional(self.reader()),
        )
        .await?;
        row.as_ref().map(checkpoint).transpose()
    }
}
