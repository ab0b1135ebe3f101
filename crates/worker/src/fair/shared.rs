//! What all processes know of a connection's calls.

use std::collections::BTreeMap;
use std::time::Duration;

use crmgate_domain::{ProcessId, Timestamp};
use jiff::ToSpan as _;
use serde::{Deserialize, Serialize};

use super::breaker::Pass;
use super::{Breaker, Bucket, Day, Limit, Rules};

/// A process that has asked for no calls for so long has no part of them.
const PRESENT_SECONDS: i64 = 15;
/// For how long a grant lasts: what is not used by then is given back.
const GRANT_MILLIS: i64 = 1_000;
/// No process takes more than this share of a second's calls at once.
const PARTS: f64 = 4.0;
/// The longest that a CRM is believed when it says how long to wait.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// What all processes know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shared {
    bucket: Bucket,
    limit: Limit,
    breaker: Breaker,
    /// The CRM wants no calls until then.
    pause: Option<Timestamp>,
    day: Day,
    /// When each process asked last.
    present: BTreeMap<ProcessId, Timestamp>,
}

/// Why there is no place for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitFor {
    /// The calls of this second are made.
    Rate,
    /// All calls that may be under way are.
    Calls,
    /// The CRM said when to come back.
    Throttle,
    /// The CRM does not answer.
    Breaker,
    /// The day's calls are made.
    Daily,
    /// What is left of the allowance is for others.
    Allowance,
    /// It is quiet.
    Quiet,
}

impl WaitFor {
    /// All reasons.
    pub const ALL: [Self; 7] = [
        Self::Rate,
        Self::Calls,
        Self::Throttle,
        Self::Breaker,
        Self::Daily,
        Self::Allowance,
        Self::Quiet,
    ];

    /// The word in histories and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "rate_limit",
            Self::Calls => "call_limit",
            Self::Throttle => "throttled",
            Self::Breaker => "crm_unavailable",
            Self::Daily => "daily_limit",
            Self::Allowance => "allowance_reserved",
            Self::Quiet => "quiet_hours",
        }
    }

    /// For people.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Rate => "the connection's calls of this second are made",
            Self::Calls => "as many calls as may be are under way at the connection",
            Self::Throttle => "the CRM wants no calls for a while",
            Self::Breaker => "the CRM does not answer; it is left alone for a while",
            Self::Daily => "the connection's calls of this day are made",
            Self::Allowance => "what is left of the CRM's allowance is kept for people",
            Self::Quiet => "the connection's quiet hours",
        }
    }
}

/// No call may be made until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// Until when.
    pub until: Timestamp,
    /// Why.
    pub why: WaitFor,
}

/// Calls that a process may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// How many may be begun.
    pub calls: u32,
    /// Until when.
    pub until: Timestamp,
    /// How many may be under way at once.
    pub at_once: u32,
    /// Whether it is the one call that shows whether the CRM answers again.
    pub probe: bool,
}

/// What a process has seen since it told last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Good answers.
    pub answered: u32,
    /// Calls in a row, the last ones, that the CRM did not take.
    pub failed: u32,
    /// How long the CRM wants to be left alone, where it said, in either way.
    pub asked: Option<Duration>,
    /// Whether it said that there are too many calls.
    pub throttled: bool,
    /// Calls that were made beyond those that were granted.
    pub beyond: u32,
    /// Granted calls that were not made in time.
    pub unused: u32,
    /// A probe that was not made.
    pub not_probed: bool,
}

impl Report {
    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the others should know at once.
    #[must_use]
    pub const fn is_urgent(&self) -> bool {
        self.throttled || self.failed > 0 || self.not_probed
    }
}

impl Shared {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(rules: &Rules, now: Timestamp) -> Self {
        Self {
            bucket: Bucket::full(rules, now),
            limit: Limit::first(&rules.calls),
            breaker: Breaker::default(),
            pause: None,
            day: Day::of(now),
            present: BTreeMap::new(),
        }
    }

    /// The bucket.
    #[must_use]
    pub const fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// The limit of calls under way.
    #[must_use]
    pub const fn limit(&self) -> &Limit {
        &self.limit
    }

    /// The breaker.
    #[must_use]
    pub const fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// Calls of the day so far.
    #[must_use]
    pub fn spent(&self, now: Timestamp) -> u64 {
        self.day.spent(now)
    }

    /// How many processes make calls.
    #[must_use]
    pub fn processes(&self) -> usize {
        self.present.len().max(1)
    }

    /// Takes in what a process has seen.
    pub fn hear(&mut self, rules: &Rules, report: &Report, now: Timestamp) {
        self.bucket.give_back(rules, report.unused);
        self.bucket.owe(report.beyond);
        self.day.spend(now, report.beyond);
        self.day.give_back(report.unused);
        if report.answered > 0 {
            self.limit.grow(&rules.calls, report.answered);
            self.breaker.answered();
        }
        let asked = report.asked.unwrap_or_default().min(LONGEST_PAUSE);
        if report.throttled {
            self.limit.halve(&rules.calls, now);
        }
        if !asked.is_zero() {
            let until = now.checked_add(asked).ok();
            self.pause = self.pause.max(until);
        }
        if report.failed > 0 {
            self.breaker
                .failed(&rules.breaker, report.failed, (now, asked));
        }
    }

    /// A process ends: others have its part.
    pub fn leave(&mut self, who: ProcessId) {
        self.breaker.not_probed(who);
        self.present.remove(&who);
    }

    /// Takes in what a process has seen of its probe that it could not make.
    pub fn hear_no_probe(&mut self, who: ProcessId) {
        self.breaker.not_probed(who);
    }

    /// Grants a process calls: those that are needed, `want` at most.
    ///
    /// # Errors
    /// Until when there are not as many as are needed.
    pub fn draw(
        &mut self,
        rules: &Rules,
        (who, want, need): (ProcessId, u32, u32),
        now: Timestamp,
    ) -> Result<Grant, Wait> {
        let need = need.clamp(1, rules.burst.max(1));
        self.present
            .retain(|_, at| now.duration_since(*at).as_secs() < PRESENT_SECONDS);
        self.present.insert(who, now);
        let wait = |until, why| Err(Wait { until, why });
        if let Some(until) = self.pause.filter(|until| now < *until) {
            return wait(until, WaitFor::Throttle);
        }
        self.pause = None;
        if let Some(until) = self.day.over_until(rules, need, now) {
            return wait(until, WaitFor::Daily);
        }
        let probe = match self.breaker.pass(who, now) {
            Pass::Calls => false,
            Pass::Probe => true,
            Pass::NotUntil(until) => return wait(until, WaitFor::Breaker),
        };
        let need = if probe { 1 } else { need };
        let want = if probe { 1 } else { want.min(portion(rules)) };
        let left = self.day.left(rules, now).unwrap_or(u64::MAX);
        let want = want.min(u32::try_from(left).unwrap_or(u32::MAX));
        let calls = self.bucket.take(rules, now, want.max(need));
        if calls < need {
            self.bucket.give_back(rules, calls);
            if probe {
                self.breaker.not_probed(who);
            }
            let until = now
                .checked_add(self.bucket.wait(rules, need))
                .unwrap_or(now);
            return wait(until, WaitFor::Rate);
        }
        // Counted when they are granted: all that is out together is never more than there is.
        self.day.spend(now, calls);
        Ok(Grant {
            calls,
            until: now + GRANT_MILLIS.milliseconds(),
            at_once: self.limit.part(self.present.len()),
            probe,
        })
    }
}

/// How many calls are granted at once: a quarter of a second's, so that processes take turns.
fn portion(rules: &Rules) -> u32 {
    let mut portion = 1;
    while f64::from(portion + 1) <= rules.rate / PARTS && portion < 10_000 {
        portion += 1;
    }
    portion
}
