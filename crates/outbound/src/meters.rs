//! What is counted of calls: by far side, never by address.

use std::time::Duration;

use crmgate_telemetry::{Each, status};
use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};

use crate::SendError;

/// What [`SendError::code`] gives.
const KINDS: [&str; 4] = ["invalid_request", "not_sent", "timed_out", "unknown"];

/// A client's numbers.
#[derive(Debug, Clone)]
pub(crate) struct Meters {
    answers: Each<&'static str, Counter>,
    failures: Each<&'static str, Counter>,
    seconds: Histogram,
}

impl Meters {
    /// `None` for a client without a name: nobody asked for its numbers.
    pub(crate) fn new(name: &str) -> Option<Self> {
        if name.is_empty() {
            return None;
        }
        describe_counter!(
            "crmgate_upstream_requests_total",
            Unit::Count,
            "Calls that were answered, by status."
        );
        describe_counter!(
            "crmgate_upstream_failures_total",
            Unit::Count,
            "Calls without an answer: not_sent can be repeated; of timed_out and unknown nobody knows whether they arrived."
        );
        describe_histogram!(
            "crmgate_upstream_seconds",
            Unit::Seconds,
            "Time from a call to the head of its answer, or to its failure."
        );
        let count = |metric: &'static str, label: &'static str, value: &'static str| counter!(metric, "upstream" => name.to_owned(), label => value);
        Some(Self {
            answers: Each::of(&status::ALL, |word| {
                count("crmgate_upstream_requests_total", "status", word)
            }),
            failures: Each::of(&KINDS, |kind| {
                count("crmgate_upstream_failures_total", "kind", kind)
            }),
            seconds: histogram!("crmgate_upstream_seconds", "upstream" => name.to_owned()),
        })
    }

    pub(crate) fn ended(&self, result: Result<u16, &SendError>, took: Duration) {
        let counter = match result {
            Ok(status) => self.answers.get(status::word(status)),
            Err(error) => self.failures.get(error.code()),
        };
        if let Some(counter) = counter {
            counter.increment(1);
        }
        self.seconds.record(took);
    }
}
