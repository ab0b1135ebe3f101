//! What is told about people's answers.

use std::collections::BTreeMap;

use crmgate_domain::approval::{Choice, End};
use crmgate_domain::{ConnectionName, Timestamp};
use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

pub(super) fn describe() {
    describe_counter!(
        "crmgate_votes_total",
        Unit::Count,
        "People's answers to held operations."
    );
    describe_counter!(
        "crmgate_approvals_ended_total",
        Unit::Count,
        "Holds that people ended, by how."
    );
    describe_gauge!(
        "crmgate_holds_oldest_seconds",
        Unit::Seconds,
        "Age of the oldest operation that waits for people; 0 without one."
    );
}

pub(super) fn voted(connection: &ConnectionName, choice: Choice) {
    counter!("crmgate_votes_total", "connection" => connection.to_string(),
        "choice" => choice.as_str())
    .increment(1);
}

pub(super) fn ended(connection: &ConnectionName, how: End) {
    counter!("crmgate_approvals_ended_total", "connection" => connection.to_string(),
        "how" => how.as_str())
    .increment(1);
}

/// Sets the ages of the oldest holds of these connections.
pub(crate) fn oldest<'a>(
    connections: impl Iterator<Item = &'a ConnectionName>,
    since: &BTreeMap<ConnectionName, Timestamp>,
    now: Timestamp,
) {
    for connection in connections {
        let age = since.get(connection).map_or(0.0, |since| {
            now.duration_since(*since).as_secs_f64().max(0.0)
        });
        gauge!("crmgate_holds_oldest_seconds", "connection" => connection.to_string()).set(age);
    }
}
