//! The record stores on SQL: one SQLite file for one process, or one Postgres for many.
//!
//! One task of each process appends to the record. It takes everything that waits, does it in one
//! transaction, and answers after the commit has reached the disk: the cost of a flush is shared by
//! all that came in meanwhile. Reads go by a pool of their own and never wait for writes.
//!
//! INVARIANT: whoever got an `Ok` finds the row after any crash.
//!
//! # One text of each statement
//!
//! The files in `shared/` are compiled twice, as children of `sqlite` and of `postgres`: both
//! name what the database calls `Db`, `Row`, `Connection`, `Pool`, `Store`, so that shared code
//! takes it from `super` and never names a database. To add one:
//!
//! 1. Write `shared/NAME.rs`; add `#[path = "shared/NAME.rs"] mod NAME;` to both parents.
//! 2. Texts go through `super::sql` and `super::scalar`, one statement each, values as `?`, in what
//!    both databases understand: `ON CONFLICT (column) DO …`, `RETURNING`, `CASE` for least and
//!    greatest, `CAST(sum(…) AS BIGINT)`; `QueryBuilder::<Db>` where the shape varies.
//! 3. Numbers are `i64`, ids `BYTEA`/`BLOB`, times nanoseconds, bodies JSON as `TEXT` that no
//!    statement looks into.
//! 4. A read is `within(sql(…).fetch_…(self.reader())).await?`: bounded in time, its error told.
//! 5. A write that appends to the record, or goes with a decision, is `steps::with_record(store,
//!    |writer| …)`: one at a time over all processes, statements on `writer.connection`, entries by
//!    `writer.append`, decisions by `batch::append`.
//! 6. Any other write is `apart(store, |connection| …)`: a transaction of its own, beside others.
//!    Select what it changes with `FOR_UPDATE_SKIP_LOCKED`, or change it by compare-and-set. Both
//!    kinds may run again when they fail, so they must not move out of what they captured.
//! 7. Tables come by a new file in `migrations/sqlite/` and its twin in `migrations/postgres/`,
//!    named `NNNN_additive_…` when the version before can live with them (new tables, new columns
//!    with a default): then processes are replaced one by one. Any other name stops the old ones
//!    from starting.
//! 8. What cannot be said in both is a constant or function of the parents, under one name.

mod bells;
mod convert;
mod error;
mod meters;
#[expect(
    clippy::duplicate_mod,
    reason = "what is shared is compiled for each database"
)]
mod postgres;
mod sqlite;

pub use error::OpenError;
pub use postgres::{PostgresSettings, PostgresStore};
pub use sqlite::{RecordFile, Settings, SqliteStore};
