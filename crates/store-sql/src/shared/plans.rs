//! How the database finds what it is asked for: by what index, however many rows there are.

use super::operations::{MANY, MOVABLE};

/// Statements with the index that must serve them, their values written out. `id` is some bytes in
/// the database's words, `write` writes out the values of a statement over many rows.
pub(crate) fn statements(
    id: &str,
    write: impl Fn(String) -> String,
) -> Vec<(String, &'static str)> {
    let plain = [
        (
            "SELECT nr FROM jobs WHERE state = 1 AND queue = 'q' ORDER BY rank, due, nr LIMIT 9",
            "jobs_due",
        ),
        (
            "SELECT nr FROM jobs WHERE state = 0 AND queue = 'q' AND due <= 9 ORDER BY due LIMIT 9",
            "jobs_waiting",
        ),
        (
            "SELECT nr FROM jobs WHERE state = 2 AND queue = 'q' AND lease_until <= 9 \
             ORDER BY lease_until LIMIT 9",
            "jobs_claimed",
        ),
        (
            "SELECT min(due) FROM jobs WHERE queue = 'q' AND state = 0",
            "jobs_waiting",
        ),
        (
            "SELECT nr FROM operations WHERE woken_at < 9 ORDER BY woken_at LIMIT 9",
            "operations_to_wake",
        ),
        (
            "SELECT nr FROM operations WHERE deadline <= 9 AND restored = 0 \
             ORDER BY deadline LIMIT 9",
            "operations_by_deadline",
        ),
        (
            "SELECT nr FROM operations WHERE submission = 1 AND line > 9 ORDER BY line LIMIT 9",
            "operations_by_submission",
        ),
        (
            "SELECT nr FROM submissions WHERE accepted_at IS NOT NULL AND unfolded IS NOT NULL \
             ORDER BY accepted_at, nr LIMIT 1",
            "submissions_folded",
        ),
        (
            "SELECT min(live_since) FROM operations WHERE connection = 'c' AND state = 'held' \
             AND live_since IS NOT NULL",
            "operations_live",
        ),
        (
            "SELECT nr FROM operations WHERE state = 'unjudged' AND revision < 'r' LIMIT 9",
            "operations_unjudged",
        ),
        (
            "SELECT nr FROM operations WHERE keeps_since < 9 ORDER BY keeps_since LIMIT 9",
            "operations_kept",
        ),
        (
            "SELECT nr FROM operations WHERE ended_at < 9 ORDER BY ended_at LIMIT 9",
            "operations_ended",
        ),
        (
            "SELECT nr FROM operations WHERE seq < 9 ORDER BY seq DESC LIMIT 9",
            "operations_by_seq",
        ),
    ];
    let mut all: Vec<(String, &'static str)> = plain
        .into_iter()
        .map(|(text, index)| (text.to_owned(), index))
        .collect();
    for (many, index) in MANY {
        all.push((write(many.text(1, 0)), index));
    }
    all.push((
        format!("SELECT nr FROM operations o WHERE o.nr = 1 AND {MOVABLE}"),
        "operations_in_lanes",
    ));
    all.push((
        format!("SELECT dependant FROM operation_dependencies WHERE target = {id} AND open = 1"),
        "operation_dependencies_by_target",
    ));
    all.push((
        format!("SELECT nr FROM operations o WHERE o.grp = {id}"),
        "operations_by_group",
    ));
    all
}
