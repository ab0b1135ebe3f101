//! Each way out of the program has one door.

use crate::workspace::{code_lines, members, root, sources};

/// Foreign crate, and the crates of ours that may use it.
const DOORS: &[(&str, &[&str])] = &[
    ("reqwest", &["crmgate-outbound"]),
    ("sqlx", &["crmgate-store-sql"]),
    ("redis", &["crmgate-store-redis"]),
    ("apalis", &["crmgate-queue"]),
    ("apalis-core", &["crmgate-queue"]),
    ("regorus", &["crmgate-policy"]),
    (
        "oauth2",
        &[
            "crmgate-connector",
            "crmgate-salesforce",
            "crmgate-dynamics",
        ],
    ),
    ("tokio-rustls", &["crmgate-listen"]),
    ("rustls", &["crmgate-listen", "crmgate-outbound", "crmgate"]),
    // The simulated sign-in host signs its tokens.
    ("rcgen", &["crmgate", "crmgate-sim"]),
    ("tar", &["crmgate-bundle"]),
    ("notify", &["crmgate"]),
    ("config", &["crmgate"]),
    ("clap", &["crmgate"]),
    ("metrics-exporter-prometheus", &["crmgate"]),
    ("metrics-process", &["crmgate"]),
    ("opentelemetry", &["crmgate", "crmgate-telemetry"]),
    ("opentelemetry_sdk", &["crmgate"]),
    ("opentelemetry-otlp", &["crmgate"]),
    ("tracing-opentelemetry", &["crmgate", "crmgate-telemetry"]),
    ("tracing-subscriber", &["crmgate"]),
    ("anyhow", &["crmgate", "crmgate-policy"]),
];

/// The ground: no I/O, no async, no clock.
const PURE: &[&str] = &[
    "crmgate-domain",
    "crmgate-policy",
    "crmgate-lint",
    "crmgate-bundle",
];
const IMPURE: &[&str] = &[
    "tokio",
    "axum",
    "hyper",
    "http",
    "futures",
    "async-trait",
    "sqlx",
    "reqwest",
];

/// Crates that must not name a vendor in code.
const VENDOR_FREE: &[&str] = &[
    "domain",
    "policy",
    "lint",
    "store",
    "store-sql",
    "store-redis",
    "queue",
    "connector",
    "enforce",
    "app",
    "gateway",
    "api",
    "outbound",
    "listen",
];
const VENDORS: &[&str] = &[
    "salesforce",
    "dynamics",
    "dataverse",
    "soql",
    "odata",
    "sobject",
    "mscrm",
];

#[test]
fn each_door_has_one_keeper() {
    let mut wrong = Vec::new();
    for (name, member) in members() {
        for (door, keepers) in DOORS {
            if member.foreign.contains(*door) && !keepers.contains(&name.as_str()) {
                wrong.push(format!(
                    "`{name}` uses `{door}`, whose door is {}",
                    keepers.join(", ")
                ));
            }
        }
        if PURE.contains(&name.as_str()) {
            for impure in IMPURE
                .iter()
                .filter(|impure| member.foreign.contains(**impure))
            {
                wrong.push(format!("`{name}` is pure and must not use `{impure}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_connectors_name_a_vendor() {
    let mut wrong = Vec::new();
    for dir in VENDOR_FREE {
        let src = root().join("crates").join(dir).join("src");
        for (path, text) in sources(&src) {
            if path.ends_with("tests.rs") || path.iter().any(|part| part == "tests") {
                continue;
            }
            for (number, line) in code_lines(&text) {
                let line = line.to_ascii_lowercase();
                if VENDORS.iter().any(|vendor| line.contains(vendor)) {
                    wrong.push(format!("{}:{number}: {}", path.display(), line.trim()));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "vendors are named outside their connectors:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn permits_are_made_in_one_place() {
    let mut makers = Vec::new();
    for (path, text) in sources(&root().join("crates"))
        .into_iter()
        .chain(sources(&root().join("connectors")))
    {
        if code_lines(&text)
            .iter()
            .any(|(_, line)| line.contains("Some(Permit {") || line.contains("= Permit {"))
        {
            makers.push(path.strip_prefix(root()).unwrap().display().to_string());
        }
    }
    assert_eq!(makers, ["crates/store/src/recorder.rs"]);
}
