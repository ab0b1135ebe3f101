//! Small values that processes share: what is left of an allowance, a breaker, a watermark.

use std::time::Duration;

use async_trait::async_trait;

use crate::StoreError;

/// A value and which one it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Counts the values it has had; never the same for two values.
    pub version: u64,
    /// The value.
    pub body: String,
}

/// What came of an attempt to change a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Swapped {
    /// It has the new value, of this version.
    Done(u64),
    /// Somebody was faster: what it holds now.
    Lost(Option<Cell>),
}

/// Values that change only from what was seen.
#[async_trait]
pub trait Cells: Send + Sync {
    /// What a cell holds.
    ///
    /// # Errors
    /// When the store cannot be asked.
    async fn cell(&self, key: &str) -> Result<Option<Cell>, StoreError>;

    /// Gives a cell another value if it still holds the version that was seen (`None`: nothing).
    /// It is forgotten when nobody changed it for `keep`.
    ///
    /// # Errors
    /// When it is not certain which of the two happened.
    async fn swap(
        &self,
        key: &str,
        seen: Option<u64>,
        body: String,
        keep: Option<Duration>,
    ) -> Result<Swapped, StoreError>;
}
