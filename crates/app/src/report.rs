//! What was seen at a connection, and whether enforcing is safe.

use std::collections::BTreeMap;

use crmgate_domain::{ConnectionName, Mode, Timestamp};
use crmgate_store::Sighting;
use serde::Serialize;

/// Why a request of an unknown route does not pass.
const NOT_UNDERSTOOD: &str = "crmgate/not_understood";

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
        let rows = rows(seen);
        let mut obstacles = Vec::new();
        if policies_broken {
            let message = "the newest policies are broken: what is in force is not what is on disk";
            obstacles.push(Obstacle::new("policies_broken", message));
        }
        if rows.is_empty() {
            let message =
                "nothing was seen: send the traffic of every client through the gate first";
            obstacles.push(Obstacle::new("nothing_seen", message));
        }
        obstacles.extend(rows.iter().flat_map(ReportRow::obstacles));
        let conclusion = match obstacles.len() {
            0 => "safe to enforce".to_owned(),
            1 => "not safe to enforce: one thing stands in the way".to_owned(),
            count => format!("not safe to enforce: {count} things stand in the way"),
        };
        Self {
            connection,
            mode,
            since,
            rows,
            safe_to_enforce: obstacles.is_empty(),
            obstacles,
            conclusion,
        }
    }
}

impl Obstacle {
    fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
        }
    }
}

impl ReportRow {
    /// How often enforcing would not let it pass.
    const fn stopped(&self) -> u64 {
        self.refused + self.held + self.not_judged
    }

    fn obstacles(&self) -> Vec<Obstacle> {
        let Self {
            client,
            route,
            seen,
            ..
        } = self;
        let because = self.because();
        let mut found = Vec::new();
        let not_understood = seen - self.understood;
        if not_understood > 0 {
            let message = format!(
                "`{client}` at `{route}`: not understood, {not_understood} of {seen} times"
            );
            found.push(Obstacle::new("not_understood", message));
        }
        let refused = self.refused.saturating_sub(not_understood);
        for (code, what, count) in [
            ("refused", "refused", refused),
            ("held", "held for approval", self.held),
            ("not_judged", "not judged", self.not_judged),
        ] {
            if count > 0 {
                let message =
                    format!("`{client}` at `{route}`: {what}, {count} of {seen} times{because}");
                found.push(Obstacle::new(code, message));
            }
        }
        found
    }

    fn because(&self) -> String {
        let told = self.why.iter().take(3);
        let list: Vec<String> = told
            .map(|(why, count)| format!("{why} ({count})"))
            .collect();
        if list.is_empty() {
            String::new()
        } else {
            format!(": {}", list.join(", "))
        }
    }
}

/// Sums up what was seen, per client and route; what would be stopped first.
fn rows(seen: &[Sighting]) -> Vec<ReportRow> {
    let mut found: BTreeMap<(&str, &str, &str), ReportRow> = BTreeMap::new();
    for Sighting {
        key,
        count,
        last_at,
        ..
    } in seen
    {
        let name = (key.client.as_str(), key.route.as_str(), key.class.as_str());
        let row = found.entry(name).or_insert_with(|| ReportRow {
            client: key.client.clone(),
            route: key.route.clone(),
            class: key.class.clone(),
            seen: 0,
            understood: 0,
            refused: 0,
            held: 0,
            not_judged: 0,
            why: Vec::new(),
            last_at: *last_at,
        });
        row.seen += count;
        row.last_at = row.last_at.max(*last_at);
        if key.why != NOT_UNDERSTOOD {
            row.understood += count;
        }
        match key.enforced.as_str() {
            "refuse" => row.refused += count,
            "hold" => row.held += count,
            "cannot_judge" => row.not_judged += count,
            _ => continue,
        }
        match row.why.iter_mut().find(|(why, _)| *why == key.why) {
            Some((_, times)) => *times += count,
            None => row.why.push((key.why.clone(), *count)),
        }
    }
    let mut rows: Vec<ReportRow> = found.into_values().collect();
    for row in &mut rows {
        row.why.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
    }
    rows.sort_by_key(|row| std::cmp::Reverse((row.stopped(), row.seen)));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crmgate_store::SightingKey;

    fn sighting(client: &str, class: &str, enforced: &str, why: &str, count: u64) -> Sighting {
        let at: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        Sighting {
            key: SightingKey {
                client: client.to_owned(),
                route: "create".to_owned(),
                class: class.to_owned(),
                enforced: enforced.to_owned(),
                why: why.to_owned(),
            },
            count,
            first_at: at,
            last_at: at,
        }
    }

    fn report(seen: &[Sighting], broken: bool) -> Report {
        let name = "acme-sf".parse().unwrap();
        Report::of(name, Mode::Observe, None, seen, broken)
    }

    #[test]
    fn nothing_seen_is_not_safe_and_all_passing_is() {
        assert!(!report(&[], false).safe_to_enforce);
        let passing = [sighting("app", "write", "pass", "", 7)];
        let found = report(&passing, false);
        assert!(found.safe_to_enforce, "{:?}", found.obstacles);
        assert_eq!(found.conclusion, "safe to enforce");
        assert!(!report(&passing, true).safe_to_enforce);
    }

    #[test]
    fn each_thing_that_stands_in_the_way_is_told_with_its_reason() {
        let seen = [
            sighting("quiet", "write", "pass", "", 100),
            sighting("app", "write", "pass", "", 5),
            sighting("app", "write", "refuse", "crm.q.phone/bad", 2),
            sighting("app", "write", "refuse", "crm.q.email/bad", 3),
            sighting("app", "write", "hold", "crm.s.discount", 1),
            sighting("odd", "unknown", "refuse", NOT_UNDERSTOOD, 4),
        ];
        let found = report(&seen, false);
        let clients: Vec<&str> = found.rows.iter().map(|row| row.client.as_str()).collect();
        assert_eq!(clients, ["app", "odd", "quiet"]);
        let app = found.rows.first().unwrap();
        assert_eq!(
            (app.seen, app.understood, app.refused, app.held),
            (11, 11, 5, 1)
        );
        let told: Vec<&str> = found.obstacles.iter().map(|o| o.message.as_str()).collect();
        assert_eq!(
            told,
            [
                "`app` at `create`: refused, 5 of 11 times: crm.q.email/bad (3), \
                 crm.q.phone/bad (2), crm.s.discount (1)",
                "`app` at `create`: held for approval, 1 of 11 times: crm.q.email/bad (3), \
                 crm.q.phone/bad (2), crm.s.discount (1)",
                "`odd` at `create`: not understood, 4 of 4 times",
            ]
        );
        assert_eq!(
            found.conclusion,
            "not safe to enforce: 3 things stand in the way"
        );
    }
}
