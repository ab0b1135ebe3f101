//! A CRM that does not answer is left alone.

use std::time::Duration;

use crmgate_domain::{ProcessId, Timestamp};
use serde::{Deserialize, Serialize};

use super::BreakerRules;

/// For how long the process that probes keeps the others waiting.
const PROBE: Duration = Duration::from_secs(60);

/// How soon they look what came of it.
const LOOK: Duration = Duration::from_secs(1);

/// Closed lets calls through, open none, and after its pause one, whose answer decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Breaker {
    /// Calls one after the other that the CRM did not take.
    failures: u32,
    /// How often it has opened without a good answer between.
    opened: u32,
    /// Open until then.
    until: Option<Timestamp>,
    /// Who probes, and until when others wait for what comes of it.
    probing: Option<(ProcessId, Timestamp)>,
}

/// What the breaker lets pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Calls.
    Calls,
    /// One call, to see.
    Probe,
    /// None until then.
    NotUntil(Timestamp),
}

impl Breaker {
    /// Whether it lets calls through.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.until.is_none()
    }

    /// What it lets pass; the one who probes is noted.
    pub fn pass(&mut self, who: ProcessId, now: Timestamp) -> Pass {
        let Some(until) = self.until else {
            return Pass::Calls;
        };
        if now < until {
            return Pass::NotUntil(until);
        }
        match self.probing {
            // One probe at a time, also of one's own: what comes of it is told.
            Some((_, wait)) if now < wait => {
                let soon = now.checked_add(LOOK).unwrap_or(wait);
                Pass::NotUntil(wait.min(soon))
            }
            _ => {
                let wait = now.checked_add(PROBE).unwrap_or(now);
                self.probing = Some((who, wait));
                Pass::Probe
            }
        }
    }

    /// The probe that was let through was not made.
    pub fn not_probed(&mut self, who: ProcessId) {
        if self.probing.is_some_and(|(prober, _)| prober == who) {
            self.probing = None;
        }
    }

    /// The CRM answered.
    pub fn answered(&mut self) {
        *self = Self::default();
    }

    /// The CRM did not take calls, so many one after the other.
    pub fn failed(
        &mut self,
        rules: &BreakerRules,
        calls: u32,
        (now, asked): (Timestamp, Duration),
    ) {
        self.failures = self.failures.saturating_add(calls);
        let probed = self.probing.take().is_some();
        let still_open = self.until.is_some_and(|until| now < until);
        if still_open || (!probed && self.failures < rules.failures) {
            return;
        }
        let factor = 2_u32.saturating_pow(self.opened.min(16));
        let pause = rules.pause.saturating_mul(factor).min(rules.longest);
        self.until = now.checked_add(pause.max(asked)).ok();
        self.opened = self.opened.saturating_add(1);
    }
}
