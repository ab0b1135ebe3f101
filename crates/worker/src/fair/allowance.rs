//! The calls of a day.

use std::time::Duration;

use crmgate_connector::Allowance;
use crmgate_domain::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::Rules;

/// After what part of an allowance's span the CRM is asked again how it stands.
const LOOKS: u32 = 96;
/// Never sooner.
const SOONEST: Duration = Duration::from_secs(2);
/// Never later.
const LATEST: Duration = Duration::from_secs(15 * 60);

/// Calls that workers made in one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    day: Date,
    calls: u64,
}

impl Day {
    /// The day of that moment, without calls.
    #[must_use]
    pub fn of(now: Timestamp) -> Self {
        Self {
            day: now.to_zoned(TimeZone::UTC).date(),
            calls: 0,
        }
    }

    /// Counts calls.
    pub fn spend(&mut self, now: Timestamp, calls: u32) {
        let today = Self::of(now);
        if today.day > self.day {
            *self = today;
        }
        self.calls = self.calls.saturating_add(u64::from(calls));
    }

    /// Takes back calls that were counted and not made.
    pub fn give_back(&mut self, calls: u32) {
        self.calls = self.calls.saturating_sub(u64::from(calls));
    }

    /// How many more may be made; `None`: any number.
    #[must_use]
    pub fn left(&self, rules: &Rules, now: Timestamp) -> Option<u64> {
        Some(rules.daily?.saturating_sub(self.spent(now)))
    }

    /// Calls made on the day of that moment.
    #[must_use]
    pub fn spent(&self, now: Timestamp) -> u64 {
        if Self::of(now).day > self.day {
            0
        } else {
            self.calls
        }
    }

    /// Until when so many more may not be made; `None`: they may.
    #[must_use]
    pub fn over_until(&self, rules: &Rules, calls: u32, now: Timestamp) -> Option<Timestamp> {
        if self.left(rules, now)? >= u64::from(calls) {
            return None;
        }
        let tomorrow = now.to_zoned(TimeZone::UTC).date().tomorrow().ok()?;
        let begins = tomorrow.to_zoned(TimeZone::UTC).ok()?;
        Some(begins.timestamp())
    }
}

/// Until when workers make no calls because what the CRM says is left is for others; `None`: they
/// may. Only an answer tells anew, so after a while one call may ask.
#[must_use]
pub fn low_until(rules: &Rules, told: Option<&Allowance>, now: Timestamp) -> Option<Timestamp> {
    let told = told?;
    if !is_low(rules, told) {
        return None;
    }
    let pause = (told.over / LOOKS).clamp(SOONEST, LATEST);
    let until = told.at.checked_add(pause).ok()?;
    (now < until).then_some(until)
}

/// Whether no more is left than what is for others.
#[must_use]
pub(crate) fn is_low(rules: &Rules, told: &Allowance) -> bool {
    let share = rules.reserve.clamp(0.0, 1.0);
    // Parts of a thousand: an allowance is no number to be exact about, but a large one.
    let mut parts = 0_u64;
    while parts < 1_000 && f64::from(u32::try_from(parts).unwrap_or(1_000)) < share * 1_000.0 {
        parts += 1;
    }
    told.left() <= told.most / 1_000 * parts + told.most % 1_000 * parts / 1_000
}
