//! Finding a create without a key again: by who made it, when, and with which values.
//!
//! What can be certain is that nothing was made: no record came from that user in the time in which
//! it could have come. A record that holds the values is likely the one; another write may have made
//! it.

use std::time::Duration;

use crmgate_domain::Timestamp;
use jiff::SignedDuration;

use crate::{Failure, ReadBackResult};

/// How far the clocks of the gate and of a CRM are taken to be apart at most.
pub const CLOCKS: SignedDuration = SignedDuration::from_secs(60);
/// Most records that are looked at.
pub const MOST: usize = 200;
/// After this nothing more comes of a create that was judged: a permit lives 30 seconds, and a call
/// runs 10 minutes at most.
const OVER: SignedDuration = SignedDuration::from_mins(11);
/// Most ids that a text names.
const MOST_NAMED: usize = 10;

/// What stands for the version of a write that was pinned to none: when it was looked up.
#[must_use]
pub fn since(at: Timestamp) -> String {
    format!("*{at}")
}

/// When a write that was pinned to no version was looked up.
#[must_use]
pub fn looked_up(version: Option<&str>) -> Option<Timestamp> {
    version?.strip_prefix('*')?.parse().ok()
}

/// Between which times, to the second, a create that was looked up then has made its record.
#[must_use]
pub fn window(since: Timestamp) -> Option<[String; 2]> {
    let from = since.saturating_sub(CLOCKS).ok()?;
    let to = since.saturating_add(OVER + CLOCKS).ok()?;
    Some([from, to].map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()))
}

/// Why a create cannot be found.
#[must_use]
pub fn uncertain(why: &str) -> ReadBackResult {
    ReadBackResult::Uncertain(format!("the create carried no key of its own, and {why}"))
}

/// What became of a create that was looked up at `since`. `made`: ids of all records that its user
/// made in the [`window`], so far as no other write is known to have made them, each with whether it
/// holds what was written.
///
/// # Errors
/// `Repeatable`, when something may still come of it.
pub fn verdict(
    since: Timestamp,
    now: Timestamp,
    made: &[(&str, bool)],
) -> Result<ReadBackResult, Failure> {
    let alike = made.iter().filter(|(_, alike)| *alike);
    let alike: Vec<&str> = alike.map(|(id, _)| *id).collect();
    let over = since.saturating_add(OVER).unwrap_or(Timestamp::MAX);
    let left = over.duration_since(now);
    match (alike.as_slice(), made.len()) {
        ([one], _) => Ok(uncertain(&format!(
            "the record {one} holds what was written, and another write may have made it"
        ))),
        ([], _) if left.is_positive() => Err(Failure::Repeatable {
            code: "unavailable".to_owned(),
            reason: "the create may still be under way".to_owned(),
            retry_after: Duration::try_from(left).ok(),
            response: None,
        }),
        ([], 0) => Ok(ReadBackResult::DidNotHappen),
        ([], count) => {
            let ids: Vec<&str> = made.iter().map(|(id, _)| *id).collect();
            Ok(uncertain(&format!(
                "of {count} records made by its user at that time none holds all that was written \
                 ({})",
                named(&ids)
            )))
        }
        (several, _) => Ok(uncertain(&format!(
            "{} records hold what was written ({})",
            several.len(),
            named(several)
        ))),
    }
}

fn named(ids: &[&str]) -> String {
    let shown: Vec<&str> = ids.iter().take(MOST_NAMED).copied().collect();
    let more = if ids.len() > MOST_NAMED { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}
