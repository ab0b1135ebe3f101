//! Arrows point down.

use std::collections::BTreeMap;

use crate::workspace::members;

/// What each crate may use of ours, outside tests. A new edge is a decision: make it here first.
const ALLOWED: &[(&str, &[&str])] = &[
    // 0
    ("crmgate-domain", &[]),
    ("crmgate-telemetry", &[]),
    ("crmgate-sim", &["crmgate-listen"]),
    (
        "crmgate-testkit",
        &[
            "crmgate-domain",
            "crmgate-store",
            "crmgate-connector",
            "crmgate-outbound",
        ],
    ),
    // 1
    ("crmgate-policy", &["crmgate-domain"]),
    ("crmgate-store", &["crmgate-domain"]),
    ("crmgate-outbound", &["crmgate-telemetry"]),
    ("crmgate-bundle", &["crmgate-domain", "crmgate-policy"]),
    ("crmgate-listen", &["crmgate-telemetry"]),
    (
        "crmgate-connector",
        &["crmgate-domain", "crmgate-store", "crmgate-outbound"],
    ),
    (
        "crmgate-decision-log",
        &["crmgate-domain", "crmgate-store", "crmgate-outbound"],
    ),
    // 2
    ("crmgate-store-sql", &["crmgate-domain", "crmgate-store"]),
    ("crmgate-store-redis", &["crmgate-domain", "crmgate-store"]),
    (
        "crmgate-queue",
        &["crmgate-domain", "crmgate-store", "crmgate-telemetry"],
    ),
    (
        "crmgate-salesforce",
        &[
            "crmgate-domain",
            "crmgate-store",
            "crmgate-connector",
            "crmgate-outbound",
        ],
    ),
    (
        "crmgate-dynamics",
        &[
            "crmgate-domain",
            "crmgate-store",
            "crmgate-connector",
            "crmgate-outbound",
        ],
    ),
    ("crmgate-lint", &["crmgate-domain", "crmgate-policy"]),
    ("crmgate-authoring", &["crmgate-domain", "crmgate-policy"]),
    (
        "crmgate-enforce",
        &[
            "crmgate-domain",
            "crmgate-policy",
            "crmgate-store",
            "crmgate-connector",
            "crmgate-telemetry",
            "crmgate-decision-log",
        ],
    ),
    // 3
    (
        "crmgate-app",
        &[
            "crmgate-domain",
            "crmgate-policy",
            "crmgate-store",
            "crmgate-connector",
            "crmgate-enforce",
        ],
    ),
    // 4
    (
        "crmgate-gateway",
        &[
            "crmgate-domain",
            "crmgate-store",
            "crmgate-connector",
            "crmgate-enforce",
            "crmgate-app",
            "crmgate-listen",
            "crmgate-telemetry",
        ],
    ),
    (
        "crmgate-api",
        &[
            "crmgate-domain",
            "crmgate-policy",
            "crmgate-store",
            "crmgate-app",
            "crmgate-enforce",
            "crmgate-listen",
            "crmgate-telemetry",
            "crmgate-decision-log",
        ],
    ),
    (
        "crmgate-worker",
        &[
            "crmgate-domain",
            "crmgate-store",
            "crmgate-connector",
            "crmgate-enforce",
            "crmgate-app",
            "crmgate-queue",
            "crmgate-outbound",
            "crmgate-telemetry",
        ],
    ),
];

/// The binary wires everything; the tests look at everything.
const FREE: &[&str] = &["crmgate", "crmgate-tests"];

#[test]
fn crates_use_only_what_the_table_allows() {
    let allowed: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    let mut wrong = Vec::new();
    for (name, member) in members() {
        if FREE.contains(&name.as_str()) {
            continue;
        }
        let Some(allowed) = allowed.get(name.as_str()) else {
            wrong.push(format!("`{name}` is not in the table of allowed edges"));
            continue;
        };
        for used in member
            .ours
            .iter()
            .filter(|used| !allowed.contains(&used.as_str()))
        {
            wrong.push(format!("`{name}` ({}) must not use `{used}`", member.dir));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_that_ships_uses_what_is_for_tests() {
    for (name, member) in members() {
        assert!(
            !member.ours.contains("crmgate-testkit"),
            "`{name}` ships the test kit"
        );
        let may_simulate = matches!(name.as_str(), "crmgate" | "crmgate-tests");
        assert!(
            may_simulate || !member.ours.contains("crmgate-sim"),
            "`{name}` ships the simulators"
        );
    }
}

#[test]
fn connectors_do_not_know_each_other() {
    for (name, member) in members() {
        if member.dir.starts_with("connectors/") {
            let others = member.ours_in_tests.iter().filter(|used| {
                members()
                    .get(*used)
                    .is_some_and(|other| other.dir.starts_with("connectors/"))
            });
            assert_eq!(others.count(), 0, "`{name}` knows another connector");
        }
    }
}
