//! What the one task that writes tells about itself.

use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};

/// The writer's numbers.
#[derive(Clone)]
pub(crate) struct Meters {
    waiting: Gauge,
    together: Histogram,
    flush: Histogram,
    failures: Counter,
}

impl Meters {
    pub(crate) fn new() -> Self {
        describe_gauge!(
            "crmgate_record_queue",
            Unit::Count,
            "Writes to the store that wait for their transaction."
        );
        describe_histogram!(
            "crmgate_record_batch_size",
            Unit::Count,
            "Writes to the store that shared one transaction."
        );
        describe_histogram!(
            "crmgate_record_flush_seconds",
            Unit::Seconds,
            "How long a transaction took until it was on disk."
        );
        describe_counter!(
            "crmgate_record_failures_total",
            Unit::Count,
            "Transactions of the store that failed; what was in them was not recorded."
        );
        Self {
            waiting: gauge!("crmgate_record_queue"),
            together: histogram!("crmgate_record_batch_size"),
            flush: histogram!("crmgate_record_flush_seconds"),
            failures: counter!("crmgate_record_failures_total"),
        }
    }

    pub(crate) fn queued(&self) {
        self.waiting.increment(1);
    }

    pub(crate) fn taken(&self, writes: usize) {
        let writes = u32::try_from(writes).unwrap_or(u32::MAX);
        self.waiting.decrement(writes);
        self.together.record(writes);
    }

    pub(crate) fn flushed(&self, took: Duration) {
        self.flush.record(took);
    }

    pub(crate) fn failed(&self) {
        self.failures.increment(1);
    }
}
