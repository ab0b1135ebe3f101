//! The record stores on SQL: one SQLite file.
//!
//! One task writes. It takes everything that waits, does it in one transaction, and answers after
//! the commit has reached the disk (WAL, `synchronous=FULL`): the cost of a flush is shared by all
//! that came in meanwhile. Reads go by a small pool of their own and never wait for writes.
//!
//! INVARIANT: whoever got an `Ok` finds the row after any crash.

mod batch;
mod convert;
mod decisions;
mod erase;
mod error;
mod feed;
mod holds;
mod insert;
mod ledger;
mod lock;
mod meters;
mod misc;
mod open;
mod open_writes;
mod outcomes;
mod prune;
mod tokens;
mod writer;

pub use error::OpenError;
pub use ledger::RecordFile;
pub use open::{Settings, SqliteStore};
