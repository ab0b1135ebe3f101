//! Erasing on request.

use std::sync::Arc;

use async_trait::async_trait;
use crmgate_domain::Timestamp;
use crmgate_store::chain::{Draft, ErasureNote};
use crmgate_store::{
    By, EntryKind, EraseFilter, Erased, Erasing, Erasure, Hold, Outcome, OutcomeKind, StoreError,
};
use sqlx::{QueryBuilder, Row as _};

use super::operations::{self, Effects, act};
use super::writer::Writer;
use super::{Db, Store, among, plain, sql, within};
use crate::convert::nanoseconds;

/// Most decisions, and most holds, of one transaction.
const PART: i64 = 500;

/// Joins what can be erased of decisions; the rows that have any of it.
const DECISIONS: &str = " FROM decisions d LEFT JOIN payloads p ON p.seq = d.seq \
     LEFT JOIN read_backs r ON r.seq = d.seq WHERE (p.seq IS NOT NULL OR r.seq IS NOT NULL)";
const HOLDS: &str = " FROM holds h WHERE h.erased = 0";

/// A decision that something is erased of.
struct Found {
    seq: i64,
    id: Vec<u8>,
    payload: bool,
    read_back: bool,
}

fn decisions(select: &str, wanted: &EraseFilter) -> QueryBuilder<Db> {
    let mut query = QueryBuilder::new(select);
    query.push(DECISIONS);
    if let Some(id) = wanted.decision {
        query
            .push(" AND d.id = ")
            .push_bind(id.uuid().as_bytes().to_vec());
    }
    narrow(&mut query, 'd', wanted);
    if let Some(before) = wanted.before {
        query.push(" AND d.at < ").push_bind(nanoseconds(before));
    }
    query
}

fn holds(select: &str, wanted: &EraseFilter) -> QueryBuilder<Db> {
    let mut query = QueryBuilder::new(select);
    query.push(HOLDS);
    if let Some(id) = wanted.decision {
        query
            .push(" AND h.decision = ")
            .push_bind(id.uuid().as_bytes().to_vec());
    }
    narrow(&mut query, 'h', wanted);
    if let Some(before) = wanted.before {
        query
            .push(" AND h.created_at < ")
            .push_bind(nanoseconds(before));
    }
    query
}

fn narrow(query: &mut QueryBuilder<Db>, table: char, wanted: &EraseFilter) {
    let connection = wanted.connection.as_ref().map(ToString::to_string);
    for (column, value) in [
        ("connection", connection),
        ("record_id", wanted.record_id.clone()),
        ("actor", wanted.actor.clone()),
    ] {
        if let Some(value) = value {
            query.push(format!(" AND {table}.{column} = "));
            query.push_bind(plain(&value).into_owned());
        }
    }
}

async fn find(writer: &mut Writer, wanted: &EraseFilter) -> Result<Vec<Found>, sqlx::Error> {
    let select = "SELECT d.seq, d.id, p.seq IS NOT NULL, r.seq IS NOT NULL";
    let mut query = decisions(select, wanted);
    query.push(" ORDER BY d.seq LIMIT ").push_bind(PART);
    let rows = query.build().fetch_all(&mut writer.connection).await?;
    let found = rows.iter().map(|row| Found {
        seq: row.get(0),
        id: row.get(1),
        payload: row.get(2),
        read_back: row.get(3),
    });
    Ok(found.collect())
}

/// Erases one part: what it reached.
async fn part(
    writer: &mut Writer,
    wanted: &EraseFilter,
    erasure: &Erasure,
    effects: &mut Effects,
) -> Result<Erased, sqlx::Error> {
    let found = find(writer, wanted).await?;
    let seqs: Vec<i64> = found.iter().filter(|f| f.payload).map(|f| f.seq).collect();
    let mut erased = Erased {
        decisions: seqs.len() as u64,
        ..Erased::default()
    };
    let mut delete = QueryBuilder::new("DELETE FROM payloads WHERE ");
    among(&mut delete, "seq", &seqs);
    delete.build().execute(&mut writer.connection).await?;
    for open in found.iter().filter(|found| found.read_back) {
        give_up(writer, open, erasure.at).await?;
        erased.read_backs += 1;
    }
    let by = By(format!("token {}", erasure.by).into());
    let who = (erasure.at, &by);
    erased.operations = operations::erase(&mut writer.connection, wanted, who, effects).await?;
    let (holds, votes) = empty_holds(writer, wanted).await?;
    erased.holds = holds;
    let mut seqs = seqs;
    seqs.extend(votes);
    seqs.sort_unstable();
    if erased != Erased::default() {
        let note = ErasureNote {
            erasure: erasure.clone(),
            wanted: wanted.clone(),
            erased,
            positions: ranges(&seqs),
        };
        let envelope = text(&note)?;
        let draft = Draft::new(EntryKind::Erasure, erasure.at, envelope, None);
        writer.append(&draft).await?;
    }
    Ok(erased)
}

/// Nobody can find out any more what came of the write.
async fn give_up(writer: &mut Writer, open: &Found, at: Timestamp) -> Result<(), sqlx::Error> {
    let unreadable = |error: String| sqlx::Error::Decode(error.into());
    let id = uuid::Uuid::from_slice(&open.id).map_err(|error| unreadable(error.to_string()))?;
    let decision = id.to_string().parse();
    let outcome = Outcome {
        decision: decision.map_err(|error: uuid::Error| unreadable(error.to_string()))?,
        at,
        kind: OutcomeKind::Uncertain,
        status: None,
        code: Some("erased".to_owned()),
        record_id: None,
    };
    let draft = Draft::new(EntryKind::Outcome, at, text(&outcome)?, None);
    let seq = writer.append(&draft).await?;
    sql("UPDATE decisions SET outcome = ?, outcome_seq = ? WHERE seq = ?")
        .bind(outcome.kind.as_str())
        .bind(seq)
        .bind(open.seq)
        .execute(&mut writer.connection)
        .await?;
    sql("DELETE FROM read_backs WHERE seq = ?")
        .bind(open.seq)
        .execute(&mut writer.connection)
        .await
        .map(|_| ())
}

/// Takes from holds what was asked; those that waited for people cannot be answered any more.
async fn empty_holds(
    writer: &mut Writer,
    wanted: &EraseFilter,
) -> Result<(u64, Vec<i64>), sqlx::Error> {
    let mut votes = Vec::new();
    let mut query = holds("SELECT h.seq, h.body", wanted);
    query.push(" ORDER BY h.seq LIMIT ").push_bind(PART);
    let rows = query.build().fetch_all(&mut writer.connection).await?;
    for row in &rows {
        let hold: Hold =
            serde_json::from_str(row.get(1)).map_err(|error| sqlx::Error::Decode(error.into()))?;
        let id = hold.id.uuid().as_bytes().to_vec();
        votes.extend(empty_votes(writer, &id).await?);
        sql(
            "UPDATE holds SET body = ?, erased = 1, ended = NULL, version = version + 1, \
             status = CASE WHEN status IN ('waiting', 'approved') THEN 'expired' ELSE status END \
             WHERE seq = ?",
        )
        .bind(text(&hold.emptied())?)
        .bind(row.get::<i64, _>(0))
        .execute(&mut writer.connection)
        .await?;
    }
    Ok((rows.len() as u64, votes))
}

/// Takes names and words from the votes on a hold; the places of their entries.
async fn empty_votes(writer: &mut Writer, hold: &[u8]) -> Result<Vec<i64>, sqlx::Error> {
    let rows = sql("UPDATE votes SET person = '', reason = NULL WHERE hold = ? RETURNING seq")
        .bind(hold)
        .fetch_all(&mut writer.connection)
        .await?;
    let seqs: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    let mut delete = QueryBuilder::new("DELETE FROM payloads WHERE ");
    among(&mut delete, "seq", &seqs);
    delete.build().execute(&mut writer.connection).await?;
    Ok(seqs)
}

fn text(value: &impl serde::Serialize) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// Ascending numbers as ranges.
fn ranges(numbers: &[i64]) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for number in numbers.iter().map(|number| number.unsigned_abs()) {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    ranges
}

#[async_trait]
impl Erasing for Store {
    async fn erasable(&self, wanted: &EraseFilter) -> Result<Erased, StoreError> {
        if wanted.is_empty() {
            return Ok(Erased::default());
        }
        let counts = within(
            decisions("SELECT count(p.seq), count(r.seq)", wanted)
                .build()
                .fetch_one(self.reader()),
        )
        .await?;
        let holds: i64 = within(
            holds("SELECT count(*)", wanted)
                .build_query_scalar()
                .fetch_one(self.reader()),
        )
        .await?;
        let operations: i64 = within(
            operations::erasable("SELECT count(*)", wanted)
                .build_query_scalar()
                .fetch_one(self.reader()),
        )
        .await?;
        Ok(Erased {
            decisions: counts.get::<i64, _>(0).unsigned_abs(),
            read_backs: counts.get::<i64, _>(1).unsigned_abs(),
            holds: holds.unsigned_abs(),
            operations: operations.unsigned_abs(),
        })
    }

    async fn erase(&self, wanted: &EraseFilter, erasure: &Erasure) -> Result<Erased, StoreError> {
        let mut all = Erased::default();
        if wanted.is_empty() {
            return Ok(all);
        }
        let given = Arc::new((wanted.clone(), erasure.clone()));
        loop {
            let given = Arc::clone(&given);
            let erased = act(self, move |writer, effects| {
                let given = Arc::clone(&given);
                Box::pin(async move { part(writer, &given.0, &given.1, effects).await })
            })
            .await?;
            if erased == Erased::default() {
                break;
            }
            all.decisions += erased.decisions;
            all.read_backs += erased.read_backs;
            all.holds += erased.holds;
            all.operations += erased.operations;
        }
        if all != Erased::default()
            && let Err(error) = self.empty_log().await
        {
            tracing::warn!(%error, "what was erased may stay in the database's log for a while");
        }
        Ok(all)
    }
}
