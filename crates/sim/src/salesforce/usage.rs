//! How many calls were made in the last 24 hours, and how many may be.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::Clock;

/// The day's allowance where none is set.
const DAILY_CALLS: u64 = 5_000_000;
const HOUR: i64 = 3600;

/// The org's count of calls. It rolls: what was made more than 24 hours ago doesn't count.
#[derive(Debug)]
pub(crate) struct Usage {
    clock: Clock,
    initial: Option<u64>,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    most: Option<u64>,
    /// Calls by the hour since 1970 in which they were made, oldest first.
    hours: VecDeque<(i64, u64)>,
}

/// The body of `PUT /_sim/limits`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    daily_calls: Option<u64>,
    used: Option<u64>,
}

impl Usage {
    pub(crate) fn new(clock: Clock, most: Option<u64>) -> Self {
        let counted = Counted {
            most,
            hours: VecDeque::new(),
        };
        Self {
            clock,
            initial: most,
            counted: Mutex::new(counted),
        }
    }

    /// Counts a call; whether it may be made. One that may not doesn't count.
    pub(crate) fn take(&self) -> bool {
        let mut counted = self.current();
        if counted.used() >= counted.most.unwrap_or(DAILY_CALLS) {
            return false;
        }
        counted.add(self.hour(), 1);
        true
    }

    /// Calls made, and calls that may be made.
    pub(crate) fn seen(&self) -> (u64, u64) {
        let counted = self.current();
        (counted.used(), counted.most.unwrap_or(DAILY_CALLS))
    }

    /// What `Sforce-Limit-Info` says.
    pub(crate) fn header(&self) -> String {
        let (used, most) = self.seen();
        format!("api-usage={used}/{most}")
    }

    /// What `/_sim/limits` shows.
    pub(crate) fn show(&self) -> Value {
        let (used, most) = self.seen();
        json!({"daily_calls": most, "used": used})
    }

    /// What `/_sim/limits` sets; nothing: what it was at first, and no call made.
    pub(crate) fn set(&self, body: Option<&[u8]>) -> Result<(), String> {
        let given = match body {
            Some(body) => serde_json::from_slice(body)
                .map_err(|error| format!("expected `daily_calls` and `used`: {error}"))?,
            None => Given {
                daily_calls: self.initial,
                used: Some(0),
            },
        };
        let hour = self.hour();
        let mut counted = self.current();
        if given.daily_calls.is_some() || body.is_none() {
            counted.most = given.daily_calls;
        }
        if let Some(used) = given.used {
            counted.hours.clear();
            counted.add(hour, used);
        }
        Ok(())
    }

    fn hour(&self) -> i64 {
        self.clock.now().as_second().div_euclid(HOUR)
    }

    fn current(&self) -> MutexGuard<'_, Counted> {
        let hour = self.hour();
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.hours.retain(|(at, _)| *at > hour - 24);
        counted
    }
}

impl Counted {
    fn used(&self) -> u64 {
        self.hours.iter().map(|(_, count)| count).sum()
    }

    fn add(&mut self, hour: i64, count: u64) {
        match self.hours.back_mut() {
            Some((at, before)) if *at == hour => *before += count,
            _ => self.hours.push_back((hour, count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn calls_count_for_a_day() {
        let clock = Clock::default();
        let usage = Usage::new(clock.clone(), Some(3));
        assert!(usage.take());
        clock.advance(Duration::from_hours(20));
        assert!(usage.take() && usage.take() && !usage.take());
        assert_eq!(usage.header(), "api-usage=3/3");
        clock.advance(Duration::from_hours(5));
        assert_eq!(usage.seen(), (2, 3));
        usage.set(Some(br#"{"used": 0}"#)).unwrap();
        assert_eq!(usage.show(), json!({"daily_calls": 3, "used": 0}));
        usage
            .set(Some(br#"{"daily_calls": 10, "used": 9}"#))
            .unwrap();
        assert!(usage.take() && !usage.take());
        usage.set(None).unwrap();
        assert_eq!(usage.seen(), (0, 3));
        assert!(
            usage
                .set(Some(br#"{"dayly": 1}"#))
                .unwrap_err()
                .contains("`daily_calls`")
        );
    }
}
