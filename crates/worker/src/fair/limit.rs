//! Calls at the same time.

use crmgate_domain::Timestamp;
use jiff::ToSpan as _;
use serde::{Deserialize, Serialize};

use super::CallRules;

/// After a halving, answers to calls that were under way then say nothing new.
const DEAF_SECONDS: i64 = 2;

/// How many calls may be under way: one more after as many good answers as there may be calls, half
/// as many after a throttle.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    calls: f64,
    /// When it was halved last.
    halved: Option<Timestamp>,
}

impl Limit {
    /// At first.
    #[must_use]
    pub fn first(rules: &CallRules) -> Self {
        Self {
            calls: f64::from(rules.first.clamp(rules.least.max(1), rules.most.max(1))),
            halved: None,
        }
    }

    /// How many.
    #[must_use]
    pub const fn calls(&self) -> f64 {
        self.calls
    }

    /// The part of one of so many processes: one at least.
    #[must_use]
    pub fn part(&self, processes: usize) -> u32 {
        let processes = u32::try_from(processes).unwrap_or(u32::MAX).max(1);
        let mut part = 1;
        while f64::from(part + 1) * f64::from(processes) <= self.calls {
            part += 1;
        }
        part
    }

    /// After good answers.
    pub fn grow(&mut self, rules: &CallRules, answers: u32) {
        for _ in 0..answers.min(1_000) {
            self.calls += 1.0 / self.calls.max(1.0);
        }
        self.calls = self.calls.min(f64::from(rules.most.max(1)));
    }

    /// After a throttle.
    pub fn halve(&mut self, rules: &CallRules, now: Timestamp) {
        let deaf = self
            .halved
            .is_some_and(|at| now < at + DEAF_SECONDS.seconds() && now >= at);
        if !deaf {
            self.calls = (self.calls / 2.0).max(f64::from(rules.least.max(1)));
            self.halved = Some(now);
        }
    }
}
