//! What is counted of queued operations at one connection.

use std::time::Duration;

use crmgate_domain::{ConnectionName, State, Timestamp};
use crmgate_store::StoredOperation;
use crmgate_telemetry::Each;
use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};

/// The handles of one connection.
#[derive(Debug)]
pub(crate) struct QueueMeters {
    moved: Each<State, Counter>,
    stood: Each<State, Histogram>,
    calls: Counter,
    calls_of_one: Histogram,
    tries: Histogram,
    batch: Histogram,
}

impl QueueMeters {
    pub(crate) fn new(connection: &ConnectionName) -> Self {
        describe();
        let name = connection.to_string();
        Self {
            moved: Each::of(&State::ALL, |state| {
                counter!("crmgate_operations_moved_total",
                    "connection" => name.clone(), "state" => state.as_str())
            }),
            stood: Each::of(&State::ALL, |state| {
                histogram!("crmgate_operation_state_seconds",
                    "connection" => name.clone(), "state" => state.as_str())
            }),
            calls: counter!("crmgate_queue_crm_calls_total", "connection" => name.clone()),
            calls_of_one: histogram!("crmgate_operation_crm_calls", "connection" => name.clone()),
            tries: histogram!("crmgate_operation_failed_tries", "connection" => name.clone()),
            batch: histogram!("crmgate_queue_call_operations", "connection" => name),
        }
    }

    /// Counts a move, and how long the operation stood where it stood before.
    pub(crate) fn moved(&self, from: &StoredOperation, to: State, at: Timestamp) {
        if let Some(counter) = self.moved.get(to) {
            counter.increment(1);
        }
        if let Some(histogram) = self.stood.get(from.state) {
            let stood = Duration::try_from(at.duration_since(from.updated_at));
            histogram.record(stood.unwrap_or_default());
        }
        if to.is_final() {
            self.tries.record(f64::from(from.attempts));
        }
    }

    /// Counts the calls that a number of operations shared.
    pub(crate) fn called(&self, calls: u32, operations: usize) {
        self.calls.increment(u64::from(calls));
        let operations = u32::try_from(operations).unwrap_or(u32::MAX);
        if operations > 0 {
            self.batch.record(f64::from(operations));
            self.calls_of_one
                .record(f64::from(calls) / f64::from(operations));
        }
    }
}

fn describe() {
    describe_counter!(
        "crmgate_operations_moved_total",
        Unit::Count,
        "Moves of queued operations that workers made, by the state they came to."
    );
    describe_histogram!(
        "crmgate_operation_state_seconds",
        Unit::Seconds,
        "How long queued operations stood in a state before a worker moved them on."
    );
    describe_counter!(
        "crmgate_queue_crm_calls_total",
        Unit::Count,
        "Calls to the CRM that workers made to write and to read back; look-ups apart."
    );
    describe_histogram!(
        "crmgate_operation_crm_calls",
        Unit::Count,
        "Calls to the CRM for each written operation, shared ones in parts."
    );
    describe_histogram!(
        "crmgate_operation_failed_tries",
        Unit::Count,
        "Tries that came to nothing before an operation ended."
    );
    describe_histogram!(
        "crmgate_queue_call_operations",
        Unit::Count,
        "Operations that went in one call."
    );
}
