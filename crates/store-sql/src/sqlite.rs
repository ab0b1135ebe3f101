//! The stores on SQLite: one file, one process.

use std::borrow::Cow;

mod clock;
mod file;
mod insert;
mod lock;
mod open;
mod open_writes;
#[cfg(test)]
mod plans;
mod session;
mod values;

#[path = "shared/batch.rs"]
mod batch;
#[path = "shared/cells.rs"]
mod cells;
#[path = "shared/connections.rs"]
mod connections;
#[path = "shared/decisions.rs"]
mod decisions;
#[path = "shared/erase.rs"]
mod erase;
#[path = "shared/feed.rs"]
mod feed;
#[path = "shared/filed.rs"]
mod filed;
#[path = "shared/holds.rs"]
mod holds;
#[path = "shared/jobs.rs"]
mod jobs;
#[path = "shared/ledger.rs"]
mod ledger;
#[path = "shared/many.rs"]
mod many;
#[path = "shared/operations.rs"]
mod operations;
#[path = "shared/outcomes.rs"]
mod outcomes;
#[path = "shared/places.rs"]
mod places;
#[path = "shared/processes.rs"]
mod processes;
#[path = "shared/prune.rs"]
mod prune;
#[path = "shared/steps.rs"]
mod steps;
#[path = "shared/tokens.rs"]
mod tokens;
#[path = "shared/votes.rs"]
mod votes;
#[path = "shared/writer.rs"]
mod writer;

pub use self::file::RecordFile;
pub use self::open::{Settings, SqliteStore};

pub(crate) use self::clock::clock;
pub(crate) use self::open::{Opening, SqliteStore as Store};
pub(crate) use self::session::{apart, within};

/// The database.
pub(crate) type Db = sqlx::Sqlite;
/// A row of it.
pub(crate) type Row = sqlx::sqlite::SqliteRow;
/// A connection to it.
pub(crate) type Connection = sqlx::SqliteConnection;
/// Connections for reading.
pub(crate) type Pool = sqlx::SqlitePool;
/// A statement with its values.
pub(crate) type Statement<'q> = sqlx::query::Query<'q, Db, sqlx::sqlite::SqliteArguments>;
/// A statement whose answer is one column.
pub(crate) type Scalar<'q, T> = sqlx::query::QueryScalar<'q, Db, T, sqlx::sqlite::SqliteArguments>;

/// A statement, its values written as `?`.
pub(crate) fn sql<'q>(text: &'static str) -> Statement<'q> {
    sqlx::query(text)
}

/// A statement whose answer is one column, its values written as `?`.
pub(crate) fn scalar<'q, T>(text: &'static str) -> Scalar<'q, T>
where
    (T,): for<'r> sqlx::FromRow<'r, Row>,
{
    sqlx::query_scalar(text)
}

/// Behind a `SELECT`: locks its rows for the transaction and leaves out those that another one has
/// locked.
pub(crate) const FOR_UPDATE_SKIP_LOCKED: &str = "";

/// Behind a `SELECT`: nobody changes its rows before the transaction has ended.
pub(crate) const FOR_SHARE: &str = "";

/// Whether one process at a time has the database.
pub(crate) const ALONE: bool = true;

/// A word that somebody else chose, as it can be kept.
pub(crate) const fn plain(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text)
}

/// Adds a condition: the column has one of the numbers.
pub(crate) fn among(query: &mut sqlx::QueryBuilder<Db>, column: &str, numbers: &[i64]) {
    query
        .push(column)
        .push(" IN (SELECT value FROM json_each(")
        .push_bind(serde_json::json!(numbers).to_string())
        .push("))");
}

/// Adds a condition: the column has one of the ids.
pub(crate) fn among_ids(
    query: &mut sqlx::QueryBuilder<Db>,
    column: &str,
    ids: impl Iterator<Item = uuid::Uuid>,
) {
    let ids: Vec<String> = ids.map(|id| id.simple().to_string()).collect();
    query
        .push(column)
        .push(" IN (SELECT unhex(value) FROM json_each(")
        .push_bind(serde_json::json!(ids).to_string())
        .push("))");
}
