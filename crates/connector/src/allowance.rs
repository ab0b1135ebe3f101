//! What a CRM says about the calls that are left.

use std::time::Duration;

use crmgate_domain::Timestamp;

/// A CRM's allowance of calls, as its last answer told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Calls made, by whomever.
    pub used: u64,
    /// Calls that may be made.
    pub most: u64,
    /// The span over which they count.
    pub over: Duration,
    /// Calls under way at once that the CRM advises, where it says.
    pub at_once: Option<u32>,
    /// When this was said.
    pub at: Timestamp,
}

impl Allowance {
    /// Calls that are left.
    #[must_use]
    pub const fn left(&self) -> u64 {
        self.most.saturating_sub(self.used)
    }
}
