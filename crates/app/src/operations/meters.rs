//! What submitting tells about itself.

use crmgate_store::Submission;
use metrics::{Unit, counter, describe_counter};

/// Tells the recorder of metrics what each number is.
pub(crate) fn describe() {
    describe_counter!(
        "crmgate_submissions_accepted_total",
        Unit::Count,
        "Requests whose operations were taken into the queue."
    );
    describe_counter!(
        "crmgate_operations_accepted_total",
        Unit::Count,
        "Operations that were taken into the queue."
    );
    describe_counter!(
        "crmgate_operations_repeated_total",
        Unit::Count,
        "Submitted operations that were in the queue already."
    );
    describe_counter!(
        "crmgate_operations_left_out_total",
        Unit::Count,
        "Lines that were left out of an accepted request because something is wrong with them."
    );
    describe_counter!(
        "crmgate_operations_answered_total",
        Unit::Count,
        "Operations that people cancelled, retried or resolved, by what they did."
    );
}

pub(crate) fn submitted(submission: &Submission) {
    counter!("crmgate_submissions_accepted_total").increment(1);
    counter!("crmgate_operations_accepted_total").increment(submission.count);
    counter!("crmgate_operations_repeated_total").increment(submission.repeated);
    counter!("crmgate_operations_left_out_total").increment(submission.refused);
}

pub(crate) fn answered(what: &'static str, count: u64) {
    counter!("crmgate_operations_answered_total", "answer" => what).increment(count);
}
