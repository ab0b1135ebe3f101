//! What a listener tells about itself.

use crmgate_telemetry::{Each, status};
use metrics::{Counter, Gauge, Unit, counter, describe_counter, describe_gauge, gauge};

/// A listener's numbers.
#[derive(Debug, Clone)]
pub(crate) struct Meters {
    open: Gauge,
    accepted: Counter,
    handshakes: Each<&'static str, Counter>,
    requests: Each<&'static str, Counter>,
}

/// Why a TLS handshake came to nothing.
pub(crate) const FAILED: &str = "failed";
/// It took too long.
pub(crate) const TIMED_OUT: &str = "timed_out";

impl Meters {
    pub(crate) fn new(name: &str) -> Self {
        describe_gauge!(
            "crmgate_listener_connections",
            Unit::Count,
            "Connections that are open."
        );
        describe_counter!(
            "crmgate_listener_connections_total",
            Unit::Count,
            "Connections that were accepted."
        );
        describe_counter!(
            "crmgate_listener_handshake_failures_total",
            Unit::Count,
            "TLS handshakes that came to nothing."
        );
        describe_counter!(
            "crmgate_listener_requests_total",
            Unit::Count,
            "Requests that were answered, by status."
        );
        let count = |metric: &'static str, label: &'static str, value: &'static str| counter!(metric, "listener" => name.to_owned(), label => value);
        Self {
            open: gauge!("crmgate_listener_connections", "listener" => name.to_owned()),
            accepted: counter!("crmgate_listener_connections_total", "listener" => name.to_owned()),
            handshakes: Each::of(&[FAILED, TIMED_OUT], |reason| {
                count(
                    "crmgate_listener_handshake_failures_total",
                    "reason",
                    reason,
                )
            }),
            requests: Each::of(&status::ALL, |word| {
                count("crmgate_listener_requests_total", "status", word)
            }),
        }
    }

    /// Counts a connection as open until what this gives is dropped.
    pub(crate) fn accepted(&self) -> Open {
        self.accepted.increment(1);
        self.open.increment(1);
        Open(self.open.clone())
    }

    pub(crate) fn no_handshake(&self, reason: &'static str) {
        if let Some(counter) = self.handshakes.get(reason) {
            counter.increment(1);
        }
    }

    pub(crate) fn answered(&self, status: http::StatusCode) {
        if let Some(counter) = self.requests.get(status::word(status.as_u16())) {
            counter.increment(1);
        }
    }
}

/// An open connection.
pub(crate) struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}
