//! Transactions of the writing task, and how long anything is waited for.

use std::future::Future;

use crmgate_domain::ChainId;
use crmgate_store::chain::Chain;
use crmgate_store::{Extent, Head, StoreError};
use futures::future::BoxFuture;
use sqlx::Transaction;
use tokio::time::Instant;

use super::steps::with_record;
use super::writer::Writer;
use super::{Connection, Db, Pool, Store, ledger};
use crate::error::unavailable;

/// By what a transaction is known once its connection is lost. Here nothing is: it ended with it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mark(());

/// The last entry.
async fn last(connection: &mut Connection) -> Result<Option<Head>, sqlx::Error> {
    let row = sqlx::query("SELECT seq, chain, link, hash FROM ledger ORDER BY seq DESC LIMIT 1")
        .fetch_optional(connection)
        .await?;
    row.as_ref()
        .map(ledger::head)
        .transpose()
        .map_err(|error| sqlx::Error::Decode(error.into()))
}

pub(crate) async fn begin(writer: &mut Writer) -> Result<(), sqlx::Error> {
    execute(writer, "BEGIN IMMEDIATE").await?;
    if writer.last == 0 {
        let last = last(&mut writer.connection).await?;
        writer.last = last.map_or(0, |head| head.position.cast_signed());
    }
    Ok(())
}

pub(crate) async fn commit(writer: &mut Writer) -> Result<(), sqlx::Error> {
    execute(writer, "COMMIT").await
}

pub(crate) async fn roll_back(writer: &mut Writer) -> Result<(), sqlx::Error> {
    execute(writer, "ROLLBACK").await
}

async fn execute(writer: &mut Writer, text: &'static str) -> Result<(), sqlx::Error> {
    sqlx::query(text)
        .execute(&mut writer.connection)
        .await
        .map(|_| ())
}

/// The last entry of a chain that this process began.
pub(crate) async fn end_of(
    writer: &mut Writer,
    chain: ChainId,
) -> Result<Option<Head>, sqlx::Error> {
    let last = last(&mut writer.connection).await?;
    Ok(last.filter(|head| head.chained.chain == chain))
}

/// The ends that no start names: one process writes at a time, and each one's start names the
/// chain before, so that only the last entry's is left.
pub(crate) async fn ends(connection: &mut Connection) -> Result<Vec<Head>, sqlx::Error> {
    let last = last(connection).await?;
    Ok(last.into_iter().collect())
}

/// A transaction that reads what is there at one moment.
pub(crate) async fn moment(reader: &Pool) -> Result<Transaction<'static, Db>, sqlx::Error> {
    reader.begin().await
}

/// How far the record reaches.
pub(crate) async fn extent(reader: &Pool) -> Result<Extent, sqlx::Error> {
    // One statement, so that first and last are of one moment.
    let rows = sqlx::query(
        "SELECT seq, chain, link, hash FROM ledger \
         WHERE seq IN ((SELECT min(seq) FROM ledger), (SELECT max(seq) FROM ledger)) ORDER BY seq",
    )
    .fetch_all(reader)
    .await?;
    let ends: Result<Vec<_>, _> = rows.iter().map(ledger::head).collect();
    let ends = ends.map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(Extent {
        first: ends.first().map_or(0, |head| head.position),
        last: ends.last().map_or(0, |head| head.position),
        heads: ends.last().copied().into_iter().collect(),
    })
}

/// Never asked: what failed is not tried again.
pub(crate) async fn came_through(_: &mut Writer, _: Mark, _: &Chain) -> Result<bool, sqlx::Error> {
    Ok(false)
}

pub(crate) fn until() -> Instant {
    Instant::now()
}

/// The file answers or fails by itself.
pub(crate) async fn bounded<T>(
    _: Instant,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    work.await
}

pub(crate) async fn patiently<T>(work: impl Future<Output = T>) -> Option<T> {
    Some(work.await)
}

pub(crate) const fn too_late(_: Instant) -> bool {
    false
}

/// Whether what failed is tried again: a file that fails fails again.
pub(crate) async fn pause(_: Instant, _: &sqlx::Error) -> bool {
    false
}

/// The answer to a read.
pub(crate) async fn within<T>(
    read: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    read.await.map_err(|error| unavailable(&error))
}

/// Has a function write in a transaction that appends nothing to the record. It may be called
/// again when that fails. Here one task does all writing, and such a transaction is part of its.
pub(crate) async fn apart<F, T>(store: &Store, mut work: F) -> Result<T, StoreError>
where
    F: for<'c> FnMut(&'c mut Connection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send + 'static,
    T: Send + 'static,
{
    with_record(store, move |writer| work(&mut writer.connection)).await
}
