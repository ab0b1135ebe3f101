//! Whether there is room for more.

use std::time::Duration;

use async_trait::async_trait;
use crmgate_domain::ConnectionName;

/// Why nothing is taken now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Pushback {
    /// Whether it is the callers' doing: there is too much of theirs. Else crmgate is not able.
    pub busy: bool,
    /// A stable word: `queue_full`, `disk_full`, `store_unavailable`.
    pub code: &'static str,
    /// For people.
    pub message: String,
    /// When to try again.
    pub retry_after: Duration,
}

/// Says when no more operations can be taken. Asked before a submission, and again and again while
/// it comes in: answers must be cheap.
#[async_trait]
pub trait Pressure: Send + Sync {
    /// Whether operations can be taken, for one connection or at all.
    ///
    /// # Errors
    /// Why not.
    async fn check(&self, connection: Option<&ConnectionName>) -> Result<(), Pushback>;
}

/// There is always room.
pub struct NoPressure;

#[async_trait]
impl Pressure for NoPressure {
    async fn check(&self, _: Option<&ConnectionName>) -> Result<(), Pushback> {
        Ok(())
    }
}
