//! How long a judgement may take.

use std::time::{Duration, Instant};

/// A time budget, spent over several evaluations. Monotonic time, as the engine's own timer: no
/// policy can see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    start: Instant,
    limit: Duration,
}

impl Budget {
    /// Starts to run now.
    pub(crate) fn start(limit: Duration) -> Self {
        Self {
            start: Instant::now(),
            limit,
        }
    }

    /// What is left; `None` when it is spent.
    pub(crate) fn left(&self) -> Option<Duration> {
        self.limit
            .checked_sub(self.start.elapsed())
            .filter(|left| !left.is_zero())
    }

    /// The whole of it.
    pub(crate) const fn limit(&self) -> Duration {
        self.limit
    }
}
