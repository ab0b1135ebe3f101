//! The named points between two steps of a queued operation, in one place for the crash tests.

use crmgate_enforce::queued::Step;

/// Names of stages of the gateway's way that a queued operation passes, too.
const SHARED: [&str; 2] = ["enrich", "evaluate"];

/// All points at which a worker may be killed without harm: `<stage>:begin` and `<stage>:end`.
#[must_use]
pub fn kill_points() -> Vec<String> {
    let own = Step::ALL.iter().map(|step| step.as_str());
    let names = SHARED.into_iter().chain(own);
    names
        .flat_map(|name| ["begin", "end"].map(|edge| format!("{name}:{edge}")))
        .collect()
}
