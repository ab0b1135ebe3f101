//! Removing what was kept long enough, in small steps.

use async_trait::async_trait;
use crmgate_domain::Timestamp;
use crmgate_store::chain::{Draft, PrunedWhat, PruningNote};
use crmgate_store::{Cutoffs, EntryKind, Head, Pruned, Retention, StoreError};
use sqlx::Row as _;

use super::ledger;
use super::steps::with_record;
use super::writer::Writer;
use super::{Store, scalar, sql};
use crate::convert::nanoseconds;

/// Most entries of one step.
const STEP: i64 = 500;

/// The oldest entries that may go: their heads, in order, and whether a sink holds back the next.
struct Old {
    heads: Vec<Head>,
    held_by_sink: bool,
}

/// Up to where all sinks have come.
async fn taken(writer: &mut Writer, cutoffs: &Cutoffs) -> Result<i64, sqlx::Error> {
    if cutoffs.past_sinks {
        return Ok(i64::MAX);
    }
    let least: Option<i64> =
        scalar("SELECT min(position) FROM sinks WHERE name NOT LIKE 'checkpoint:%'")
            .fetch_one(&mut writer.connection)
            .await?;
    Ok(least.unwrap_or(i64::MAX))
}

/// Entries after a position, as far as they were made before a time.
async fn older(
    writer: &mut Writer,
    after: i64,
    before: Timestamp,
    cutoffs: &Cutoffs,
) -> Result<Old, sqlx::Error> {
    let taken = taken(writer, cutoffs).await?;
    let rows =
        sql("SELECT seq, chain, link, hash, at FROM ledger WHERE seq > ? ORDER BY seq LIMIT ?")
            .bind(after)
            .bind(STEP)
            .fetch_all(&mut writer.connection)
            .await?;
    let mut old = Old {
        heads: Vec::with_capacity(rows.len()),
        held_by_sink: false,
    };
    for row in rows {
        if row.get::<i64, _>(4) >= nanoseconds(before) {
            break;
        }
        if row.get::<i64, _>(0) > taken {
            old.held_by_sink = true;
            break;
        }
        let head = ledger::head(&row).map_err(|error| sqlx::Error::Decode(error.into()))?;
        old.heads.push(head);
    }
    Ok(old)
}

async fn note(
    writer: &mut Writer,
    now: Timestamp,
    what: PrunedWhat,
    count: u64,
    (up_to, cut): (u64, Vec<Head>),
) -> Result<(), sqlx::Error> {
    let note = PruningNote {
        what,
        count,
        up_to,
        cut,
    };
    let envelope =
        serde_json::to_string(&note).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let draft = Draft::new(EntryKind::Pruning, now, envelope, None);
    writer.append(&draft).await.map(|_| ())
}

async fn payloads(
    writer: &mut Writer,
    cutoffs: &Cutoffs,
    now: Timestamp,
    pruned: &mut Pruned,
) -> Result<(), sqlx::Error> {
    let Some(before) = cutoffs.payloads else {
        return Ok(());
    };
    let done: i64 = scalar("SELECT payloads FROM pruned")
        .fetch_one(&mut writer.connection)
        .await?;
    let old = older(writer, done, before, cutoffs).await?;
    pruned.held_by_sink |= old.held_by_sink;
    let Some(last) = old.heads.last() else {
        return Ok(());
    };
    pruned.more |= old.heads.len() == usize::try_from(STEP).unwrap_or(usize::MAX);
    let gone = sql("DELETE FROM payloads WHERE seq > ? AND seq <= ?")
        .bind(done)
        .bind(last.position.cast_signed())
        .execute(&mut writer.connection)
        .await?
        .rows_affected();
    sql("UPDATE pruned SET payloads = ?")
        .bind(last.position.cast_signed())
        .execute(&mut writer.connection)
        .await?;
    pruned.payloads = gone;
    if gone > 0 {
        let reach = (last.position, Vec::new());
        note(writer, now, PrunedWhat::Payloads, gone, reach).await?;
    }
    Ok(())
}

async fn entries(
    writer: &mut Writer,
    cutoffs: &Cutoffs,
    now: Timestamp,
    pruned: &mut Pruned,
) -> Result<(), sqlx::Error> {
    let Some(before) = cutoffs.entries else {
        return Ok(());
    };
    // The last entry stays, so that the next start finds what to name; so does a decision whose
    // outcome is not known.
    let open: Option<i64> = scalar("SELECT min(seq) FROM read_backs")
        .fetch_one(&mut writer.connection)
        .await?;
    let end = open.unwrap_or(i64::MAX).min(writer.last).unsigned_abs();
    let mut old = older(writer, 0, before, cutoffs).await?;
    pruned.held_by_sink |= old.held_by_sink;
    let full = old.heads.len() == usize::try_from(STEP).unwrap_or(usize::MAX);
    old.heads.retain(|head| head.position < end);
    let Some(last) = old.heads.last().copied() else {
        return Ok(());
    };
    pruned.more |= full;
    let mut cut: Vec<Head> = Vec::new();
    for head in &old.heads {
        cut.retain(|other| other.chained.chain != head.chained.chain);
        cut.push(*head);
    }
    let up_to = last.position.cast_signed();
    for text in [
        "DELETE FROM decision_reasons WHERE decision <= ?",
        "DELETE FROM decisions WHERE seq <= ?",
        "DELETE FROM payloads WHERE seq <= ?",
        "DELETE FROM ledger WHERE seq <= ?",
    ] {
        let delete = sql(text).bind(up_to);
        delete.execute(&mut writer.connection).await?;
    }
    sql("DELETE FROM checkpoints WHERE at < ? AND number < (SELECT max(number) FROM checkpoints)")
        .bind(nanoseconds(before))
        .execute(&mut writer.connection)
        .await?;
    pruned.entries = old.heads.len() as u64;
    let reach = (last.position, cut);
    note(writer, now, PrunedWhat::Entries, pruned.entries, reach).await
}

/// What is not part of the record.
async fn others(
    writer: &mut Writer,
    cutoffs: &Cutoffs,
    now: Timestamp,
    pruned: &mut Pruned,
) -> Result<(), sqlx::Error> {
    sql(
        "UPDATE holds SET status = 'expired', version = version + 1 \
         WHERE status IN ('waiting', 'approved') AND expires_at <= ? \
         AND (status = 'waiting' OR queued IS NULL)",
    )
    .bind(nanoseconds(now))
    .execute(&mut writer.connection)
    .await?;
    for (before, text, count) in [
        (
            cutoffs.sightings,
            "DELETE FROM sightings WHERE last_at < ?",
            &mut pruned.sightings,
        ),
        (
            // One that a later one replaced before the time.
            cutoffs.revisions,
            "DELETE FROM revisions WHERE seq < (SELECT max(seq) FROM revisions WHERE at < ?)",
            &mut pruned.revisions,
        ),
        (
            cutoffs.holds,
            "DELETE FROM holds WHERE status <> 'waiting' AND (status <> 'approved' OR queued IS NOT NULL) \
             AND expires_at < ?",
            &mut pruned.holds,
        ),
    ] {
        if let Some(before) = before {
            let done = sql(text)
                .bind(nanoseconds(before))
                .execute(&mut writer.connection)
                .await?;
            *count = done.rows_affected();
        }
    }
    Ok(())
}

#[async_trait]
impl Retention for Store {
    async fn prune(&self, cutoffs: &Cutoffs, now: Timestamp) -> Result<Pruned, StoreError> {
        let cutoffs = *cutoffs;
        with_record(self, move |writer| {
            Box::pin(async move {
                let mut pruned = Pruned::default();
                payloads(writer, &cutoffs, now, &mut pruned).await?;
                entries(writer, &cutoffs, now, &mut pruned).await?;
                others(writer, &cutoffs, now, &mut pruned).await?;
                Ok(pruned)
            })
        })
        .await
    }
}
