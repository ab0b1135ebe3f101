//! A claimed job on its way through a worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crmgate_store::{Claimed, Settlement, Verdict};
use tokio_util::sync::CancellationToken;

use crate::handler::Job;
use crate::line::Shared;

/// A claimed job. Whoever drops the last ticket for it hands it back, unless it was settled: a
/// worker that ends, a buffer that nobody empties, a handler that is cut off in the middle.
pub(crate) type Ticket = Arc<Slip>;

pub(crate) struct Slip {
    line: Arc<Shared>,
    claimed: Claimed,
    lost: CancellationToken,
    begun: AtomicBool,
    settled: AtomicBool,
}

impl Slip {
    pub(crate) const fn new(line: Arc<Shared>, claimed: Claimed, lost: CancellationToken) -> Self {
        Self {
            line,
            claimed,
            lost,
            begun: AtomicBool::new(false),
            settled: AtomicBool::new(false),
        }
    }

    pub(crate) const fn claimed(&self) -> &Claimed {
        &self.claimed
    }

    /// Takes down that somebody looks at it now: what the handler is given.
    pub(crate) fn begin(&self) -> Job {
        if !self.begun.swap(true, Ordering::Relaxed) {
            self.line.running.fetch_add(1, Ordering::Relaxed);
        }
        Job {
            queue: self.line.spec.name.clone(),
            id: self.claimed.id.clone(),
            attempts: self.claimed.attempts,
            lost: self.lost.clone(),
        }
    }

    /// Says what becomes of it. The first word counts.
    pub(crate) fn settle(&self, verdict: Verdict) {
        if self.settled.swap(true, Ordering::Relaxed) {
            return;
        }
        let begun = self.begun.load(Ordering::Relaxed);
        if begun {
            self.line.running.fetch_sub(1, Ordering::Relaxed);
        }
        self.line.counts.ended(&verdict, begun);
        if self.line.held.has(&self.claimed.id, self.claimed.lease) {
            self.line.settle(Settlement {
                id: self.claimed.id.clone(),
                lease: self.claimed.lease,
                verdict,
            });
        }
    }
}

impl Drop for Slip {
    fn drop(&mut self) {
        self.settle(Verdict::HandedBack);
    }
}
