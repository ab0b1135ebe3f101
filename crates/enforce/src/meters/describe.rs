//! What each number of a gate is.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Tells the recorder of metrics what each number is.
pub(super) fn all() {
    decisions();
    describe_counter!(
        "crmgate_unrecorded_total",
        Unit::Count,
        "Operations that passed in observe mode although their decision could not be recorded."
    );
    describe_counter!(
        "crmgate_decision_log_mask_failed_total",
        Unit::Count,
        "Decisions of which only the envelope is kept because their masks failed."
    );
    describe_counter!(
        "crmgate_outcomes_total",
        Unit::Count,
        "What came of writes."
    );
    describe_counter!(
        "crmgate_joined_total",
        Unit::Count,
        "Creates that were answered with the record of an equal one."
    );
    describe_counter!(
        "crmgate_judged_again_total",
        Unit::Count,
        "Operations judged again because their record had changed."
    );
    describe_counter!(
        "crmgate_policy_benched_total",
        Unit::Count,
        "Packages that did not stop by the deadline and were left out for a while."
    );
    describe_counter!(
        "crmgate_budget_spent_total",
        Unit::Count,
        "Judgements that were not over within their budget of time."
    );
    describe_counter!(
        "crmgate_operations_turned_away_total",
        Unit::Count,
        "Operations told to come back because too many were under way."
    );
    describe_gauge!(
        "crmgate_unfinished_writes",
        Unit::Count,
        "Writes whose outcome is not known yet."
    );
    describe_gauge!(
        "crmgate_unfinished_oldest_seconds",
        Unit::Seconds,
        "Age of the oldest write whose outcome is not known yet; 0 without one."
    );
    describe_gauge!(
        "crmgate_outcomes_waiting",
        Unit::Count,
        "Outcomes in memory that could not be stored yet."
    );
    describe_gauge!(
        "crmgate_operations_in_flight",
        Unit::Count,
        "Operations under way."
    );
    describe_histogram!(
        "crmgate_stage_seconds",
        Unit::Seconds,
        "How long each stage of an operation took."
    );
}

fn decisions() {
    describe_counter!(
        "crmgate_decisions_total",
        Unit::Count,
        "Decisions, by effect and mode."
    );
    describe_counter!(
        "crmgate_refusals_total",
        Unit::Count,
        "Reasons of decisions that deny, by code; beyond 100 codes of a connection, `other`."
    );
    describe_counter!(
        "crmgate_evaluation_errors_total",
        Unit::Count,
        "Why no judgement could be made: transient (a look-up, a spent budget) or policy."
    );
    describe_counter!(
        "crmgate_package_verdicts_total",
        Unit::Count,
        "What packages said, each alone; beyond 1,000 packages of a connection, `other`."
    );
    describe_histogram!(
        "crmgate_package_seconds",
        Unit::Seconds,
        "What a package took of one judgement, over all its evaluations."
    );
    describe_histogram!(
        "crmgate_layer_seconds",
        Unit::Seconds,
        "What the packages of a layer took of one judgement."
    );
    describe_counter!(
        "crmgate_passed_without_verdict_total",
        Unit::Count,
        "Operations that passed although no policy allowed them: observed, opaque, failed open."
    );
}
