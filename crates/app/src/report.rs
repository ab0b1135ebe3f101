//! What was seen at a connection, and whether enforcing is safe.

use crmgate_domain::{ConnectionName, Mode, Timestamp};
use crmgate_store::Sighting;
use serde::Serialize;

/// The report on a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The connection.
    pub connection: ConnectionName,
    /// Its mode now.
    pub mode: Mode,
    /// From when on things were counted: since it last went into observe mode, unless asked
    /// otherwise.
    pub since: Option<Timestamp>,
    /// What was seen, per client and route; refused things first.
    pub rows: Vec<ReportRow>,
    /// What stands in the way of enforcing. Empty when nothing does.
    pub obstacles: Vec<Obstacle>,
    /// Whether enforcing would break nothing that was seen.
    pub safe_to_enforce: bool,
    /// The last line, for people: `safe to enforce`, or what stands in the way.
    pub conclusion: String,
}

/// One client at one route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportRow {
    /// The client.
    pub client: String,
    /// The route.
    pub route: String,
    /// `read`, `write`, `sign_in`, `open`, `unknown`.
    pub class: String,
    /// How often it was seen.
    pub seen: u64,
    /// How often the gate understood it.
    pub understood: u64,
    /// How often enforcing refuses it.
    pub refused: u64,
    /// How often enforcing holds it.
    pub held: u64,
    /// How often it could not be judged.
    pub not_judged: u64,
    /// Why it does not pass, most frequent first, with counts.
    pub why: Vec<(String, u64)>,
    /// Last time.
    pub last_at: Timestamp,
}

/// One thing that stands in the way of enforcing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Obstacle {
    /// A stable word: `nothing_seen`, `not_understood`, `refused`, `held`, `not_judged`,
    /// `policies_broken`.
    pub code: String,
    /// For people.
    pub message: String,
}

impl Report {
    /// Makes the report out of what was seen.
    #[must_use]
    pub fn of(
        connection: ConnectionName,
        mode: Mode,
        since: Option<Timestamp>,
        seen: &[Sighting],
        policies_broken: bool,
    ) -> Self {
        let _ = (seen, policies_broken);
        Self {
            connection,
            mode,
            since,
            rows: Vec::new(),
            obstacles: Vec::new(),
            safe_to_enforce: false,
            conclusion: String::new(),
        }
    }
}
