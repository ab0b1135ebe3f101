//! A file that is only read.

use std::path::Path;

use crmgate_store::{RawEntry, StoreError};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

use super::{Pool, filed, ledger, within};

/// A database file that is only read, whether or not a process has it open: to verify its record.
pub struct RecordFile {
    reader: Pool,
}

impl RecordFile {
    /// Opens a file.
    ///
    /// # Errors
    /// When it is no database of ours, or cannot be read.
    pub async fn open(file: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .read_only(true)
            .disable_statement_logging();
        let reader = within(
            SqlitePoolOptions::new()
                .max_connections(1)
                .connect_with(options),
        )
        .await?;
        Ok(Self { reader })
    }

    /// Entries after a position, in the order of commits, payloads included.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn entries(&self, after: u64, limit: usize) -> Result<Vec<RawEntry>, StoreError> {
        ledger::entries(&self.reader, after, limit).await
    }

    /// Decisions after a position and up to another that listings would not find by what they are,
    /// or show as others.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn misfiled(&self, after: u64, up_to: u64) -> Result<Vec<u64>, StoreError> {
        filed::misfiled(&self.reader, after, up_to).await
    }
}
