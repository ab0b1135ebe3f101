//! How storage fails.

/// A failure of the store. None of them says anything about a record; all of them close the gate.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached or written now: disk full, lock, lost connection.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// What is stored cannot be read as this version writes it.
    #[error("the store holds something unreadable: {0}")]
    Corrupt(String),
    /// A unique thing exists already.
    #[error("{0} exists already")]
    Exists(String),
    /// A cursor that this store did not give.
    #[error("the cursor is not one that a listing gave")]
    BadCursor,
}

impl StoreError {
    /// A stable code for callers.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "store_unavailable",
            Self::Corrupt(_) => "store_corrupt",
            Self::Exists(_) => "exists",
            Self::BadCursor => "bad_cursor",
        }
    }
}
