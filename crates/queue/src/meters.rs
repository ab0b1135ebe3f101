//! What is counted. Labels are the names of queues, which are configured, and fixed words.

use std::sync::Once;

use crmgate_store::{Reaped, Settlement, Verdict};
use crmgate_telemetry::Each;
use metrics::{Counter, Unit, counter, describe_counter, describe_gauge};

const VERDICTS: [&str; 5] = ["done", "again", "failed", "handed_back", "dead"];
const CALLS: [&str; 6] = ["claim", "renew", "settle", "reap", "pushed", "died"];

/// The handles of one queue.
pub(crate) struct Meters {
    claimed: Counter,
    settled: Each<&'static str, Counter>,
    lost: Counter,
    returned: Counter,
    dead: Counter,
    failures: Each<&'static str, Counter>,
}

impl Meters {
    pub(crate) fn new(queue: &str) -> Self {
        describe();
        let counts = |name: &'static str| counter!(name, "queue" => queue.to_owned());
        let reaped = |end: &'static str| counter!("crmgate_queue_reaped_total", "queue" => queue.to_owned(), "end" => end);
        Self {
            claimed: counts("crmgate_queue_claimed_total"),
            settled: Each::of(
                &VERDICTS,
                |verdict| counter!("crmgate_queue_settled_total", "queue" => queue.to_owned(), "verdict" => verdict),
            ),
            lost: counts("crmgate_queue_lost_leases_total"),
            returned: reaped("returned"),
            dead: reaped("dead"),
            failures: Each::of(
                &CALLS,
                |call| counter!("crmgate_queue_store_errors_total", "queue" => queue.to_owned(), "call" => call),
            ),
        }
    }

    pub(crate) fn claimed(&self, count: usize) {
        self.claimed.increment(count as u64);
    }

    pub(crate) fn settled(&self, batch: &[Settlement], lost: &[String]) {
        for one in batch {
            if lost.contains(&one.id) {
                self.lost.increment(1);
            } else if let Some(counter) = self.settled.get(word(&one.verdict)) {
                counter.increment(1);
            }
        }
    }

    pub(crate) fn lost(&self, count: u64) {
        self.lost.increment(count);
    }

    pub(crate) fn reaped(&self, reaped: &Reaped) {
        self.returned.increment(reaped.returned);
        self.dead.increment(reaped.dead.len() as u64);
    }

    pub(crate) fn failed(&self, call: &'static str) {
        if let Some(counter) = self.failures.get(call) {
            counter.increment(1);
        }
    }
}

const fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Done => "done",
        Verdict::Again(_) => "again",
        Verdict::Failed(..) => "failed",
        Verdict::HandedBack => "handed_back",
        Verdict::Dead(_) => "dead",
    }
}

/// Tells the recorder of metrics what each number is.
pub(crate) fn describe() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let counted = |name: &'static str, text: &'static str| {
            describe_counter!(name, Unit::Count, text);
        };
        counted(
            "crmgate_queue_claimed_total",
            "Jobs that this process claimed.",
        );
        counted(
            "crmgate_queue_settled_total",
            "Claimed jobs, by what became of them.",
        );
        counted(
            "crmgate_queue_lost_leases_total",
            "Leases that ran out while this process held them.",
        );
        counted(
            "crmgate_queue_reaped_total",
            "Run-out leases that this process ended, by whether the job came back or is dead.",
        );
        counted(
            "crmgate_queue_store_errors_total",
            "Calls of a queue that failed, by call.",
        );
        describe_gauge!(
            "crmgate_queue_depth",
            Unit::Count,
            "Jobs in a queue, by state: due, delayed, claimed, dead."
        );
        describe_gauge!(
            "crmgate_queue_oldest_due_seconds",
            Unit::Seconds,
            "For how long the oldest due job of a queue has been waiting."
        );
    });
}
