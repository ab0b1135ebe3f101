//! The simulators' clock: the machine's, plus what a test has moved it by.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

/// A clock that can be moved forward. Clones move together.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    ahead_millis: Arc<AtomicI64>,
}

impl Clock {
    /// The time, to the millisecond.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.millis()).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn millis(&self) -> i64 {
        #[expect(
            clippy::disallowed_methods,
            reason = "the simulators' one door to the machine's clock"
        )]
        let now = Timestamp::now().as_millisecond();
        now.saturating_add(self.ahead_millis.load(Ordering::Relaxed))
    }

    /// Moves the clock forward, for this clone and all others.
    pub fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.ahead_millis.fetch_add(millis, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_move_together() {
        let clock = Clock::default();
        let other = clock.clone();
        let before = other.millis();
        clock.advance(Duration::from_secs(3600));
        assert!(other.millis() - before >= 3_600_000);
    }
}
