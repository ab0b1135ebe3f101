//! Transactions, and how long anything is waited for.

use std::future::Future;
use std::time::Duration;

use crmgate_domain::ChainId;
use crmgate_store::chain::Chain;
use crmgate_store::{Extent, Head, StoreError};
use futures::future::BoxFuture;
use sqlx::{Connection as _, Row as _, Transaction};
use tokio::time::Instant;

use super::writer::Writer;
use super::{Connection, Db, Pool, Store, heads, ledger};
use crate::error::{is_constraint, late, own_fault, unavailable};

/// How long any call waits for a database that does not answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
/// How long it is before what failed is tried again.
const PAUSE: Duration = Duration::from_millis(40);

/// Begins a transaction that may append to the record: waits for those of other processes, then
/// tells the last position and the transaction's own number.
const BEGIN_RECORD: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
     SELECT pg_advisory_xact_lock(1668441447, 1); \
     SELECT coalesce(max(seq), 0), pg_current_xact_id()::text FROM ledger";

/// Begins one beside the record.
const BEGIN_APART: &str =
    "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT 0, pg_current_xact_id()::text";

/// The number of a transaction, by which it is known once its connection is lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mark(i64);

async fn start(
    connection: &mut Connection,
    text: &'static str,
) -> Result<(i64, Mark), sqlx::Error> {
    let rows = sqlx::raw_sql(text).fetch_all(connection).await?;
    let row = rows.last().ok_or(sqlx::Error::RowNotFound)?;
    let number: &str = row.try_get(1)?;
    let number = number.parse().map_err(|_| sqlx::Error::RowNotFound)?;
    let last = if text == BEGIN_RECORD {
        row.try_get(0)?
    } else {
        0
    };
    Ok((last, Mark(number)))
}

pub(crate) async fn begin(writer: &mut Writer) -> Result<(), sqlx::Error> {
    (writer.last, writer.mark) = start(&mut writer.connection, BEGIN_RECORD).await?;
    Ok(())
}

pub(crate) async fn commit(writer: &mut Writer) -> Result<(), sqlx::Error> {
    end(&mut writer.connection, "COMMIT").await
}

pub(crate) async fn roll_back(writer: &mut Writer) -> Result<(), sqlx::Error> {
    end(&mut writer.connection, "ROLLBACK").await
}

async fn end(connection: &mut Connection, text: &'static str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(text).execute(connection).await.map(|_| ())
}

/// The last entry of a chain.
pub(crate) async fn end_of(
    writer: &mut Writer,
    chain: ChainId,
) -> Result<Option<Head>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT seq, chain, link, hash FROM ledger WHERE chain = $1 ORDER BY link DESC LIMIT 1",
    )
    .bind(chain.uuid().as_bytes().to_vec())
    .fetch_optional(&mut writer.connection)
    .await?;
    row.as_ref()
        .map(ledger::head)
        .transpose()
        .map_err(|error| sqlx::Error::Decode(error.into()))
}

/// The ends that no start names.
pub(crate) async fn ends(connection: &mut Connection) -> Result<Vec<Head>, sqlx::Error> {
    heads::unnamed(connection).await
}

/// A transaction that reads what is there at one moment.
pub(crate) async fn moment(reader: &Pool) -> Result<Transaction<'static, Db>, sqlx::Error> {
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    reader.begin_with(begin).await
}

/// How far the record reaches.
pub(crate) async fn extent(reader: &Pool) -> Result<Extent, sqlx::Error> {
    let mut connection = moment(reader).await?;
    let row = sqlx::query("SELECT coalesce(min(seq), 0), coalesce(max(seq), 0) FROM ledger")
        .fetch_one(&mut *connection)
        .await?;
    let heads = heads::unnamed(&mut connection).await?;
    connection.rollback().await?;
    Ok(Extent {
        first: row.get::<i64, _>(0).unsigned_abs(),
        last: row.get::<i64, _>(1).unsigned_abs(),
        heads,
    })
}

/// Whether a transaction is committed whose end was not heard of. This connection has had the
/// record's lock since, so that it has ended.
pub(crate) async fn came_through(
    writer: &mut Writer,
    mark: Mark,
    chain: &Chain,
) -> Result<bool, sqlx::Error> {
    let committed = is_committed(&mut writer.connection, mark).await? == Some(true);
    if committed && writer.chain != *chain {
        // Another database under the same address: what it says of this number is of no worth.
        return Err(sqlx::Error::Protocol(
            "the record does not end where its last transaction ended".to_owned(),
        ));
    }
    Ok(committed)
}

/// `None` while it is under way.
async fn is_committed(
    connection: &mut Connection,
    mark: Mark,
) -> Result<Option<bool>, sqlx::Error> {
    let status: Option<String> = sqlx::query_scalar("SELECT pg_xact_status($1::text::xid8)")
        .bind(mark.0.to_string())
        .fetch_one(connection)
        .await?;
    Ok(match status.as_deref() {
        Some("committed") => Some(true),
        Some("in progress") => None,
        _ => Some(false),
    })
}

pub(crate) fn until() -> Instant {
    Instant::now() + PATIENCE
}

pub(crate) async fn bounded<T>(
    until: Instant,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    tokio::time::timeout_at(until, work)
        .await
        .unwrap_or_else(|_| Err(silent()))
}

fn silent() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(
        std::io::ErrorKind::TimedOut,
        "the database did not answer in time",
    ))
}

pub(crate) async fn patiently<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(PATIENCE, work).await.ok()
}

pub(crate) fn too_late(asked: Instant) -> bool {
    asked.elapsed() >= PATIENCE
}

/// Whether what failed is tried again, after a pause: there is time, and the connection or the
/// server is to blame.
pub(crate) async fn pause(until: Instant, error: &sqlx::Error) -> bool {
    let again = Instant::now() + PAUSE;
    if again >= until || !passes(error) {
        return false;
    }
    tokio::time::sleep_until(again).await;
    true
}

/// Whether an error is likely to pass: the connection was lost, the server starts or stops, another
/// transaction was in the way.
fn passes(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else {
        return matches!(
            error,
            sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::WorkerCrashed
        );
    };
    error.code().is_some_and(|code| {
        matches!(
            code.as_ref(),
            // Ended while it was open; read only after a change of servers; too many connections.
            "25P03" | "25006" | "53300" | "55P03"
        ) || ["08", "40", "57P"]
            .iter()
            .any(|class| code.starts_with(class))
    })
}

/// The answer to a read.
pub(crate) async fn within<T>(
    read: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    let read = tokio::time::timeout(PATIENCE, read).await;
    read.map_err(|_| late())?
        .map_err(|error| unavailable(&error))
}

/// Has a function write in a transaction of its own that appends nothing to the record, beside
/// those of others. It may be called again when that fails; it is certain then that nothing was
/// written.
pub(crate) async fn apart<F, T>(store: &Store, mut work: F) -> Result<T, StoreError>
where
    F: for<'c> FnMut(&'c mut Connection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send + 'static,
    T: Send + 'static,
{
    let until = until();
    let mut ending = None;
    loop {
        let once = once(store.reader(), &mut work, &mut ending);
        let error = match bounded(until, once).await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        if is_constraint(&error) {
            return Err(own_fault(&error));
        }
        if !pause(until, &error).await {
            return Err(unavailable(&error));
        }
    }
}

async fn once<F, T>(
    pool: &Pool,
    work: &mut F,
    ending: &mut Option<(Mark, T)>,
) -> Result<T, sqlx::Error>
where
    F: for<'c> FnMut(&'c mut Connection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send,
{
    // A connection on which this breaks off is not given back in the middle of a transaction.
    let mut connection = Leased(Some(pool.acquire().await?));
    if let Some((mark, _)) = ending {
        match is_committed(connection.get()?, *mark).await? {
            None => return Err(silent()),
            Some(committed) => {
                let done = ending.take().filter(|_| committed);
                if let Some((_, done)) = done {
                    connection.keep();
                    return Ok(done);
                }
            }
        }
    }
    let (_, mark) = start(connection.get()?, BEGIN_APART).await?;
    let done = match work(connection.get()?).await {
        Ok(done) => done,
        Err(error) => {
            end(connection.get()?, "ROLLBACK").await?;
            connection.keep();
            return Err(error);
        }
    };
    let (_, done) = {
        *ending = Some((mark, done));
        end(connection.get()?, "COMMIT").await?;
        ending.take().ok_or(sqlx::Error::RowNotFound)?
    };
    connection.keep();
    Ok(done)
}

/// A connection of the pool that is closed unless it is given back in good order.
struct Leased(Option<sqlx::pool::PoolConnection<Db>>);

impl Leased {
    fn get(&mut self) -> Result<&mut Connection, sqlx::Error> {
        self.0.as_deref_mut().ok_or(sqlx::Error::PoolClosed)
    }

    fn keep(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        if let Some(mut connection) = self.0.take() {
            connection.close_on_drop();
        }
    }
}

/// Whether a connection still answers, soon.
pub(super) async fn answers(connection: &mut Connection) -> bool {
    matches!(
        tokio::time::timeout(PATIENCE / 4, connection.ping()).await,
        Ok(Ok(()))
    )
}
