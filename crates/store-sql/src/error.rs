//! How the store fails.

use crmgate_store::StoreError;

/// A store that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "the data directory `{0}` is in use by another crmgate process: stop it, or choose another \
         `data_dir`"
    )]
    InUse(String),
    /// The folder or a file in it cannot be made or opened.
    #[error("the data directory `{dir}` cannot be used: {problem}")]
    Unusable {
        /// The folder.
        dir: String,
        /// What is wrong.
        problem: String,
    },
    /// The database is of a newer version, or not ours.
    #[error("the database in `{dir}` does not fit this version: {problem}")]
    OtherVersion {
        /// The folder.
        dir: String,
        /// What is wrong.
        problem: String,
    },
    /// The address of the database server is not one.
    #[error("the address of the database `{database}` cannot be used: {problem}")]
    BadAddress {
        /// The address, without what is secret in it.
        database: String,
        /// What is wrong.
        problem: String,
    },
    /// The database server cannot be reached, or does not do what is asked.
    #[error("the database `{database}` cannot be used: {problem}")]
    Unreachable {
        /// The address, without what is secret in it.
        database: String,
        /// What is wrong.
        problem: String,
    },
    /// The tables on the server are of a newer version, or not ours.
    #[error("the tables in `{database}` do not fit this version: {problem}")]
    OtherTables {
        /// The address, without what is secret in it.
        database: String,
        /// What is wrong.
        problem: String,
    },
}

/// A failure of the database is one of the whole store: nothing is certain.
pub(crate) fn unavailable(error: &sqlx::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

/// Nobody waits for the answer any longer.
pub(crate) fn late() -> StoreError {
    StoreError::Unavailable("the database did not answer in time".to_owned())
}

pub(crate) fn corrupt(what: &str, error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("{what}: {error}"))
}

/// Whether a statement broke a rule of the schema, or holds what the database cannot keep: then it
/// is that statement's fault, and the database is well.
pub(crate) fn is_constraint(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| {
        error.is_unique_violation()
            || error.is_check_violation()
            || error.is_foreign_key_violation()
            || is_data(error)
    })
}

/// What Postgres calls a data exception; SQLite's numbers are of another kind.
fn is_data(error: &dyn sqlx::error::DatabaseError) -> bool {
    error
        .code()
        .is_some_and(|code| code.len() == 5 && code.starts_with("22"))
}

/// The fault of one statement, as its caller is told.
pub(crate) fn own_fault(error: &sqlx::Error) -> StoreError {
    if error.as_database_error().is_some_and(is_data) {
        corrupt("what was to be stored", error)
    } else {
        StoreError::Exists("a row with this id".to_owned())
    }
}
