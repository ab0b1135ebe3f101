//! Calls a second.

use std::time::Duration;

use crmgate_domain::Timestamp;
use serde::{Deserialize, Serialize};

use super::Rules;

/// A token bucket: so many calls may be made now.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// Calls; below nothing when a call turned out to be several.
    tokens: f64,
    /// When that was so.
    at: Timestamp,
}

impl Bucket {
    /// A full one.
    #[must_use]
    pub fn full(rules: &Rules, now: Timestamp) -> Self {
        Self {
            tokens: f64::from(rules.burst),
            at: now,
        }
    }

    /// What it holds.
    #[must_use]
    pub const fn tokens(&self) -> f64 {
        self.tokens
    }

    /// A clock that goes back gives nothing and takes nothing.
    fn refill(&mut self, rules: &Rules, now: Timestamp) {
        let gone = now.duration_since(self.at).as_secs_f64();
        if gone > 0.0 {
            self.tokens = (self.tokens + gone * rules.rate).min(f64::from(rules.burst));
        }
        self.at = now;
    }

    /// Takes as many whole calls as there are, `want` at most.
    pub fn take(&mut self, rules: &Rules, now: Timestamp, want: u32) -> u32 {
        self.refill(rules, now);
        let mut taken = 0;
        while taken < want && self.tokens >= 1.0 {
            self.tokens -= 1.0;
            taken += 1;
        }
        taken
    }

    /// Gives back calls that were taken and not made.
    pub fn give_back(&mut self, rules: &Rules, calls: u32) {
        self.tokens = (self.tokens + f64::from(calls)).min(f64::from(rules.burst));
    }

    /// Takes calls that were made without having been asked for.
    pub fn owe(&mut self, calls: u32) {
        self.tokens -= f64::from(calls);
    }

    /// How long until it holds so many calls.
    #[must_use]
    pub fn wait(&self, rules: &Rules, calls: u32) -> Duration {
        let lacking = (f64::from(calls) - self.tokens).max(0.0);
        Duration::try_from_secs_f64(lacking / rules.rate.max(f64::MIN_POSITIVE))
            .unwrap_or(LONGEST)
            .min(LONGEST)
    }
}

/// Nothing waits longer without looking again.
const LONGEST: Duration = Duration::from_secs(60 * 60);
