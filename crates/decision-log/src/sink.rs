//! Where events go.

use async_trait::async_trait;

pub mod file;
pub mod http;
pub mod stdout;

/// Why a sink did not take events. Nothing of an event may stand in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SinkError {
    /// What went wrong.
    pub message: String,
    /// When it says to come back.
    pub retry_after: Option<std::time::Duration>,
}

impl SinkError {
    /// A failure that says nothing about when to come back.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            retry_after: None,
        }
    }
}

/// Takes events for good.
///
/// INVARIANT: when `take` returns `Ok(n)`, the first `n` events survive whatever becomes of this
/// process. An event may be given twice, after a crash or a failure.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Takes events, each a line of JSON without its end, in order; how many it has taken: at
    /// least one.
    ///
    /// # Errors
    /// When it took none.
    async fn take(&mut self, events: &[Vec<u8>]) -> Result<usize, SinkError>;

    /// Does what is due between two takings. Called often.
    async fn idle(&mut self) {}
}
