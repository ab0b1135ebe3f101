//! What is told of bundles: log lines when something changes, numbers always.

use crmgate_app::BundleTrouble;
use crmgate_domain::Timestamp;

use super::{Held, Slot, Trouble};

/// Says once what the numbers mean. Labels are names of the configuration and words of this
/// program.
pub(super) fn describe() {
    metrics::describe_counter!(
        "crmgate_bundle_fetches_total",
        "Looks at a bundle's source, by result: changed, same, or what went wrong"
    );
    metrics::describe_counter!(
        "crmgate_bundle_activations_total",
        "Tries to put a bundle's newest state into force, by result: in_force, refused"
    );
    metrics::describe_gauge!(
        "crmgate_bundle_healthy",
        "1 when the newest state of the bundle is in force as far as is known, else 0"
    );
    metrics::describe_gauge!(
        "crmgate_bundle_last_success_timestamp_seconds",
        metrics::Unit::Seconds,
        "When the bundle's source last answered with what is in force"
    );
}

/// Begins at nothing, so that the first of anything is seen as one more.
pub(super) fn begin(bundle: &str) {
    for result in ["changed", "same"] {
        metrics::counter!("crmgate_bundle_fetches_total",
            "bundle" => bundle.to_owned(), "result" => result)
        .increment(0);
    }
    for result in ["in_force", "refused"] {
        metrics::counter!("crmgate_bundle_activations_total",
            "bundle" => bundle.to_owned(), "result" => result)
        .increment(0);
    }
}

pub(super) fn fetched(slot: &Slot, result: &'static str) {
    metrics::counter!("crmgate_bundle_fetches_total",
        "bundle" => slot.name.clone(), "result" => result)
    .increment(1);
}

fn activated(slot: &Slot, result: &'static str) {
    metrics::counter!("crmgate_bundle_activations_total",
        "bundle" => slot.name.clone(), "result" => result)
    .increment(1);
}

fn healthy(slot: &Slot, healthy: bool) {
    let value = if healthy { 1.0 } else { 0.0 };
    metrics::gauge!("crmgate_bundle_healthy", "bundle" => slot.name.clone()).set(value);
}

pub(super) fn in_force(slot: &Slot, held: &Held) {
    activated(slot, "in_force");
    tracing::info!(
        bundle = slot.name,
        revision = held.bundle.manifest.revision,
        signed_by = held.bundle.signed_by,
        "the bundle's newest state is in force"
    );
}

pub(super) fn refused(slot: &Slot) {
    activated(slot, "refused");
}

/// The newest state is known and in force.
pub(super) fn well(slot: &Slot, now: Timestamp) {
    let before = {
        let mut state = slot.state();
        state.last_success = Some(now);
        state.trouble.take()
    };
    healthy(slot, true);
    metrics::gauge!("crmgate_bundle_last_success_timestamp_seconds",
        "bundle" => slot.name.clone())
    .set(now.as_second() as f64);
    if before.is_some() {
        tracing::info!(bundle = slot.name, "the bundle is well again");
    }
}

/// Something is wrong; said in the log when it is something new.
pub(super) fn trouble(slot: &Slot, trouble: &Trouble, now: Timestamp) {
    let new = {
        let mut state = slot.state();
        let same = state
            .trouble
            .as_ref()
            .is_some_and(|before| before.code == trouble.code && before.message == trouble.message);
        if !same {
            let since = state.trouble.as_ref().map_or(now, |before| before.since);
            state.trouble = Some(BundleTrouble {
                since,
                code: trouble.code,
                message: trouble.message.clone(),
            });
        }
        !same
    };
    healthy(slot, false);
    if new {
        tracing::error!(
            bundle = slot.name,
            code = trouble.code,
            "the bundle's newest state is not in force, its last good one stays: {}",
            trouble.message
        );
    }
}
