//! The stores on Postgres: one database, many processes.
//!
//! INVARIANT: positions are in the order of commits over all processes, without gaps. A transaction
//! that appends to the record takes one advisory lock first, reads the last position under it, and
//! holds it until it has ended: whoever reads up to a position finds all that is before it, then
//! and later. Row locks come after that lock, never before.

mod clock;
mod heads;
mod insert;
mod migrations;
mod open;
mod open_writes;
#[cfg(test)]
mod plans;
mod session;
mod settings;
mod texts;
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

pub use self::open::PostgresStore;
pub use self::settings::PostgresSettings;

pub(crate) use self::clock::clock;
pub(crate) use self::open::{Opening, PostgresStore as Store};
pub(crate) use self::session::{apart, within};
pub(crate) use self::texts::{plain, scalar, sql};

/// The database.
pub(crate) type Db = sqlx::Postgres;
/// A row of it.
pub(crate) type Row = sqlx::postgres::PgRow;
/// A connection to it.
pub(crate) type Connection = sqlx::PgConnection;
/// Connections for reading, and for writing apart from the record.
pub(crate) type Pool = sqlx::PgPool;
/// A statement with its values.
pub(crate) type Statement<'q> = sqlx::query::Query<'q, Db, sqlx::postgres::PgArguments>;
/// A statement whose answer is one column.
pub(crate) type Scalar<'q, T> = sqlx::query::QueryScalar<'q, Db, T, sqlx::postgres::PgArguments>;

/// Behind a `SELECT`: locks its rows for the transaction and leaves out those that another one has
/// locked.
pub(crate) const FOR_UPDATE_SKIP_LOCKED: &str = " FOR UPDATE SKIP LOCKED";

/// Behind a `SELECT`: nobody changes its rows before the transaction has ended.
pub(crate) const FOR_SHARE: &str = " FOR SHARE";

/// Whether one process at a time has the database.
pub(crate) const ALONE: bool = false;

/// Adds a condition: the column has one of the numbers.
pub(crate) fn among(query: &mut sqlx::QueryBuilder<Db>, column: &str, numbers: &[i64]) {
    query
        .push(column)
        .push(" = ANY(")
        .push_bind(numbers.to_vec())
        .push(")");
}

/// Adds a condition: the column has one of the ids.
pub(crate) fn among_ids(
    query: &mut sqlx::QueryBuilder<Db>,
    column: &str,
    ids: impl Iterator<Item = uuid::Uuid>,
) {
    let ids: Vec<Vec<u8>> = ids.map(|id| id.as_bytes().to_vec()).collect();
    query.push(column).push(" = ANY(").push_bind(ids).push(")");
}
