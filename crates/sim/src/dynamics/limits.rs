//! Service protection: what one user may ask of the environment in a while.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::error::{ApiError, Outcome};

/// The three ways in which the service protects itself; faults take turns.
pub(crate) const THROTTLES: [(&str, &str); 3] = [
    (
        "0x80072322",
        "Number of requests exceeded the limit of 6000 over time window of 300 seconds.",
    ),
    (
        "0x80072321",
        "Combined execution time of incoming requests exceeded limit of 1,200,000 milliseconds over time window of 300 seconds. Decrease number of concurrent requests or reduce the duration of requests and try again later.",
    ),
    (
        "0x80072326",
        "Number of concurrent requests exceeded the limit of 52.",
    ),
];

/// What one user may ask, as `PUT /_sim/limits` takes it; what is left out is as the service has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Whether what goes beyond is refused. It is counted either way.
    pub enforced: bool,
    /// The sliding window, in seconds.
    pub window_seconds: u32,
    /// Requests in one window. A batch is one.
    pub requests: u32,
    /// Execution time in one window.
    pub execution_millis: u64,
    /// Requests at once.
    pub concurrent: u32,
    /// What an operation is taken to last; each of a batch counts.
    pub operation_millis: u64,
    /// How many requests at once the service advises.
    pub dop_hint: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            enforced: true,
            window_seconds: 300,
            requests: 6_000,
            execution_millis: 1_200_000,
            concurrent: 52,
            operation_millis: 0,
            dop_hint: 4,
        }
    }
}

impl Limits {
    /// Whether these limits can work.
    fn check(&self) -> Result<(), String> {
        let least = [
            ("window_seconds", u64::from(self.window_seconds)),
            ("requests", u64::from(self.requests)),
            ("execution_millis", self.execution_millis),
            ("concurrent", u64::from(self.concurrent)),
        ];
        match least.iter().find(|(_, value)| *value == 0) {
            Some((name, _)) => Err(format!("limits: `{name}` must be 1 at least, not `0`")),
            None => Ok(()),
        }
    }
}

/// What a user has left, as every answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) requests: u32,
    pub(crate) millis: u64,
    pub(crate) dop_hint: u32,
}

impl Left {
    /// Seconds, with a comma and two places, as the service writes them.
    pub(crate) fn seconds(self) -> String {
        let (seconds, hundredths) = (self.millis / 1000, self.millis % 1000 / 10);
        let (thousands, rest) = (seconds / 1000, seconds % 1000);
        if thousands > 0 {
            format!("{thousands},{rest:03}.{hundredths:02}")
        } else {
            format!("{rest}.{hundredths:02}")
        }
    }
}

/// One second of a user's.
#[derive(Clone, Copy, Debug)]
struct Second {
    at: i64,
    requests: u32,
    millis: u64,
}

#[derive(Debug, Default)]
struct Usage {
    seconds: VecDeque<Second>,
    /// Refused until then, and for which of the limits.
    until: Option<(i64, usize)>,
    /// How often the user has been refused since it was last served.
    pushes: u32,
}

#[derive(Debug, Default)]
struct State {
    limits: Limits,
    users: HashMap<Uuid, Usage>,
    running: HashMap<Uuid, u32>,
}

/// The counters of all users.
#[derive(Debug, Default)]
pub(crate) struct Protection {
    state: Arc<Mutex<State>>,
}

/// A request under way; dropped when it has ended.
struct Running {
    state: Arc<Mutex<State>>,
    who: Uuid,
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        if let Some(count) = state.running.get_mut(&self.who) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                state.running.remove(&self.who);
            }
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Protection {
    pub(crate) fn new(limits: Limits) -> Self {
        let protection = Self::default();
        lock(&protection.state).limits = limits;
        protection
    }

    pub(crate) fn limits(&self) -> Limits {
        lock(&self.state).limits.clone()
    }

    /// Puts other limits in force and forgets what was counted.
    pub(crate) fn set(&self, limits: Limits) -> Result<(), String> {
        limits.check()?;
        let mut state = lock(&self.state);
        state.limits = limits;
        state.users.clear();
        Ok(())
    }

    /// Notes that a request of this sign-in is under way for as long as the answer is kept.
    pub(crate) fn arrive(&self, who: Uuid) -> Box<dyn std::any::Any + Send> {
        *lock(&self.state).running.entry(who).or_default() += 1;
        Box::new(Running {
            state: Arc::clone(&self.state),
            who,
        })
    }

    /// Counts a request of so many operations, and says what the user has left.
    pub(crate) fn count(
        &self,
        (user, sign_in): (Uuid, Uuid),
        operations: usize,
        now: Timestamp,
    ) -> Outcome<Left> {
        let mut state = lock(&self.state);
        let limits = state.limits.clone();
        let running = state.running.get(&sign_in).copied().unwrap_or_default();
        let usage = state.users.entry(user).or_default();
        let now = now.as_second();
        let window = i64::from(limits.window_seconds);
        while usage
            .seconds
            .front()
            .is_some_and(|second| now - second.at >= window)
        {
            usage.seconds.pop_front();
        }
        if limits.enforced {
            usage.admit(&limits, running, now)?;
        }
        let operations = u64::try_from(operations).unwrap_or(u64::MAX);
        let millis = limits.operation_millis.saturating_mul(operations);
        usage.note(now, millis);
        let (requests, spent) = usage.spent();
        Ok(Left {
            requests: limits.requests.saturating_sub(requests),
            millis: limits.execution_millis.saturating_sub(spent),
            dop_hint: limits.dop_hint,
        })
    }
}

impl Usage {
    fn spent(&self) -> (u32, u64) {
        self.seconds.iter().fold((0, 0), |(requests, millis), one| {
            (
                requests.saturating_add(one.requests),
                millis.saturating_add(one.millis),
            )
        })
    }

    fn note(&mut self, now: i64, millis: u64) {
        match self.seconds.back_mut() {
            Some(last) if last.at == now => {
                last.requests = last.requests.saturating_add(1);
                last.millis = last.millis.saturating_add(millis);
            }
            _ => self.seconds.push_back(Second {
                at: now,
                requests: 1,
                millis,
            }),
        }
    }

    /// Refuses what is too much. Who keeps asking while refused has to wait longer each time.
    fn admit(&mut self, limits: &Limits, running: u32, now: i64) -> Outcome<()> {
        if running > limits.concurrent {
            self.pushes = self.pushes.saturating_add(1);
            return Err(throttled(2, i64::from(self.pushes)));
        }
        let window = i64::from(limits.window_seconds);
        let (requests, millis) = self.spent();
        let over = if requests >= limits.requests {
            Some(0)
        } else if millis >= limits.execution_millis {
            Some(1)
        } else {
            let still = self.until.filter(|(until, _)| now < *until);
            still.map(|(_, which)| which)
        };
        let Some(which) = over else {
            (self.until, self.pushes) = (None, 0);
            return Ok(());
        };
        let oldest = self.seconds.front().map_or(now, |second| second.at);
        let slides = (oldest + window - now).max(1);
        let wait = slides
            .saturating_add(i64::from(self.pushes))
            .min(2 * window);
        self.pushes = self.pushes.saturating_add(1);
        self.until = Some((now + wait, which));
        Err(throttled(which, wait))
    }
}

fn throttled(which: usize, seconds: i64) -> ApiError {
    let (code, message) = THROTTLES.get(which).copied().unwrap_or_default();
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, code, message).after(seconds.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    const WHO: (Uuid, Uuid) = (Uuid::from_u128(1), Uuid::from_u128(2));

    fn small() -> Protection {
        Protection::new(Limits {
            window_seconds: 10,
            requests: 3,
            execution_millis: 1_000,
            concurrent: 1,
            operation_millis: 100,
            ..Limits::default()
        })
    }

    #[test]
    fn the_window_slides() {
        let protection = small();
        for second in [0, 1, 2] {
            protection.count(WHO, 1, at(second)).unwrap();
        }
        let refused = protection.count(WHO, 1, at(5)).unwrap_err();
        assert_eq!((refused.code, refused.retry_after), ("0x80072322", Some(5)));
        let left = protection.count(WHO, 1, at(10)).unwrap();
        assert_eq!((left.requests, left.millis), (0, 700));
    }

    #[test]
    fn who_keeps_pushing_waits_longer() {
        let protection = small();
        for _ in 0..3 {
            protection.count(WHO, 1, at(0)).unwrap();
        }
        let waits: Vec<Option<u64>> = (1..5)
            .map(|second| {
                let error = protection.count(WHO, 1, at(second)).unwrap_err();
                error.retry_after.map(|wait| wait + second.unsigned_abs())
            })
            .collect();
        assert_eq!(waits, [10, 11, 12, 13].map(Some));
        // The window has slid past, and still it is too early.
        let early = protection.count(WHO, 1, at(12)).unwrap_err();
        let until = 12 + i64::try_from(early.retry_after.unwrap()).unwrap();
        protection.count(WHO, 1, at(until)).unwrap();
    }

    #[test]
    fn execution_time_counts_each_operation_of_a_batch() {
        let protection = small();
        let left = protection.count(WHO, 9, at(0)).unwrap();
        assert_eq!((left.millis, left.seconds().as_str()), (100, "0.10"));
        protection.count(WHO, 9, at(1)).unwrap();
        let refused = protection.count(WHO, 1, at(1)).unwrap_err();
        assert_eq!(refused.code, "0x80072321");
    }

    #[test]
    fn so_many_at_once() {
        let protection = small();
        let first = protection.arrive(WHO.1);
        protection.count(WHO, 1, at(0)).unwrap();
        let second = protection.arrive(WHO.1);
        let refused = protection.count(WHO, 1, at(0)).unwrap_err();
        assert_eq!((refused.code, refused.retry_after), ("0x80072326", Some(1)));
        drop((first, second));
        protection.count(WHO, 1, at(0)).unwrap();
    }

    #[test]
    fn limits_that_cannot_work_are_named() {
        let zero = Limits {
            requests: 0,
            ..Limits::default()
        };
        let error = Protection::default().set(zero).unwrap_err();
        assert!(error.contains("`requests`"), "{error}");
        let left = Left {
            requests: 0,
            millis: 1_200_000,
            dop_hint: 4,
        };
        assert_eq!(left.seconds(), "1,200.00");
    }
}
