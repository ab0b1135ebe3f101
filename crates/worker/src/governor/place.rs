//! A place for one call, and what is told of it.

use std::sync::Arc;
use std::time::Duration;

use crmgate_enforce::queued::Signal;

use super::Governor;

/// A place for one call. Dropped without a word, nothing is known of the call.
pub struct Place {
    pub(super) governor: Arc<Governor>,
    pub(super) probe: bool,
    pub(super) told: bool,
    /// Of a look-up: the call that will write what it finds.
    pub(crate) reserve: Option<Reserve>,
}

/// A call that is put by for the write of what was looked up: otherwise look-ups alone could use up
/// a day's calls. Of several writes that go in one call, one is made and the others are given back.
pub(crate) struct Reserve(pub(super) Arc<Governor>);

impl Drop for Reserve {
    fn drop(&mut self) {
        let mut local = self.0.local();
        if local.used > 0 {
            local.used -= 1;
        } else {
            local.reserved = local.reserved.saturating_sub(1);
            local.report.unused += 1;
        }
    }
}

impl Place {
    /// Tells what came of the calls that were made in it.
    pub async fn done(mut self, calls: u32, signal: Signal) {
        self.told = true;
        let urgent = {
            let mut local = self.governor.local();
            let report = &mut local.report;
            match (calls, signal) {
                (0, _) => report.unused += 1,
                (calls, _) => report.beyond += calls - 1,
            }
            match signal {
                Signal::Idle => report.not_probed |= self.probe,
                Signal::Fine => {
                    report.answered += 1;
                    report.failed = 0;
                }
                Signal::Throttled(asked) => {
                    report.throttled = true;
                    report.answered += 1;
                    report.failed = 0;
                    let asked = asked.unwrap_or(Duration::from_secs(1));
                    report.asked = report.asked.max(Some(asked));
                }
                Signal::Unavailable(asked) => {
                    report.failed += 1;
                    report.asked = report.asked.max(asked);
                }
            }
            let urgent = report.is_urgent() || self.probe;
            if urgent {
                // What was granted before counts no more.
                if let Some(grant) = local.grant.take() {
                    local.report.unused += grant.calls;
                }
            }
            urgent
        };
        if urgent {
            self.governor.tell().await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.told {
            self.governor.local().report.not_probed |= self.probe;
        }
        self.governor.release();
    }
}
