//! What a connection's configuration says about calls.

use std::time::Duration;

use super::Quiet;

/// How fair the workers of all processes together are to a connection's org.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Calls a second, in the long run. Look-ups before a judgement count, too.
    pub rate: f64,
    /// Calls that may be made at once after a time of rest.
    pub burst: u32,
    /// How many calls may be under way at the same time.
    pub calls: CallRules,
    /// Calls that workers may make in a day (UTC); `None`: as many as the CRM says there are.
    pub daily: Option<u64>,
    /// The share of an allowance that is left to people and other programs: 0.2 stops the workers
    /// when a fifth is left.
    pub reserve: f64,
    /// What happens when the CRM does not answer.
    pub breaker: BreakerRules,
    /// When no operation is begun.
    pub quiet: Vec<Quiet>,
}

/// How many calls may be under way at the same time, over all processes. Each process has an equal
/// part, one call at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallRules {
    /// Never fewer.
    pub least: u32,
    /// At first.
    pub first: u32,
    /// Never more.
    pub most: u32,
}

/// When the workers leave a CRM alone that does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerRules {
    /// After so many calls one after the other that it did not take.
    pub failures: u32,
    /// For how long; twice as long after every probe that fails.
    pub pause: Duration,
    /// Never longer.
    pub longest: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            rate: 20.0,
            burst: 40,
            calls: CallRules::default(),
            daily: None,
            reserve: 0.2,
            breaker: BreakerRules::default(),
            quiet: Vec::new(),
        }
    }
}

impl Default for CallRules {
    fn default() -> Self {
        Self {
            least: 1,
            first: 8,
            most: 16,
        }
    }
}

impl Default for BreakerRules {
    fn default() -> Self {
        Self {
            failures: 5,
            pause: Duration::from_secs(5),
            longest: Duration::from_secs(5 * 60),
        }
    }
}
