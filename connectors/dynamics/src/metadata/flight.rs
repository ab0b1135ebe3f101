//! One fetch at a time; who waited for one that failed shares its failure.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crmgate_connector::Failure;
use tokio::sync::{Mutex, MutexGuard};

/// What can be told to others of a failed fetch: that the environment cannot answer now. A refusal
/// is about one caller.
#[derive(Debug, Clone)]
struct Shared {
    code: String,
    reason: String,
    retry_after: Option<Duration>,
}

/// The runway.
#[derive(Debug, Default)]
pub(super) struct Flight {
    last: Mutex<Option<Shared>>,
    ended: AtomicU64,
}

/// Leave to fetch.
pub(super) struct Leave<'a> {
    flight: &'a Flight,
    last: MutexGuard<'a, Option<Shared>>,
}

impl Flight {
    /// Waits for leave to fetch.
    ///
    /// # Errors
    /// The failure of the fetch that was waited for: a crowd must not find out one by one that the
    /// environment is down.
    pub(super) async fn enter(&self) -> Result<Leave<'_>, Failure> {
        let seen = self.ended.load(Ordering::Acquire);
        let last = self.last.lock().await;
        if self.ended.load(Ordering::Acquire) != seen
            && let Some(shared) = last.clone()
        {
            return Err(Failure::Repeatable {
                code: shared.code,
                reason: shared.reason,
                retry_after: shared.retry_after,
                response: None,
            });
        }
        Ok(Leave { flight: self, last })
    }
}

impl Leave<'_> {
    /// Notes how the fetch ended.
    pub(super) fn end<T>(mut self, result: Result<T, Failure>) -> Result<T, Failure> {
        *self.last = match &result {
            Err(Failure::Repeatable {
                code,
                reason,
                retry_after,
                ..
            }) => Some(Shared {
                code: code.clone(),
                reason: reason.clone(),
                retry_after: *retry_after,
            }),
            _ => None,
        };
        self.flight.ended.fetch_add(1, Ordering::AcqRel);
        result
    }
}
