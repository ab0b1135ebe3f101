//! The table of numbers in `deploy/README.md` and the numbers themselves.

use std::collections::{BTreeMap, BTreeSet};

use super::scrape::Scrape;
use super::{traffic, watched};

/// What the table tells of a metric.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    kind: String,
    labels: BTreeSet<String>,
}

/// The rows that begin with a metric's name.
fn table() -> BTreeMap<String, Told> {
    let readme = include_str!("../../../deploy/README.md");
    let rows = readme.lines().filter_map(|line| {
        let mut cells = line.trim_matches('|').split(" | ").map(str::trim);
        let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
        let begins = ["crmgate_", "process_"]
            .iter()
            .any(|start| name.starts_with(start));
        let (kind, labels) = (cells.next()?, cells.next()?);
        let labels = labels
            .split(", ")
            .map(|label| label.trim_matches('`').to_owned());
        let told = Told {
            kind: kind.to_owned(),
            labels: labels.filter(|label| !label.is_empty()).collect(),
        };
        begins.then(|| (name.to_owned(), told))
    });
    rows.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_tells_every_metric_and_no_other() {
    let site = watched().await;
    let _gate = site.start(&[]);
    traffic(&site).await;
    // Once more, so that the scrape itself is counted.
    site.metrics().await;
    let scrape = site.metrics().await;
    let found: BTreeMap<String, Told> = scrape
        .types
        .iter()
        .map(|(name, kind)| {
            let labels = scrape.labels(name).into_iter().map(ToOwned::to_owned);
            let told = Told {
                kind: kind.clone(),
                labels: labels.collect(),
            };
            (name.clone(), told)
        })
        .collect();
    let table = table();
    let mut wrong = Vec::new();
    for name in found.keys().chain(table.keys()).collect::<BTreeSet<_>>() {
        if found.get(name) != table.get(name) {
            let (found, told) = (found.get(name), table.get(name));
            wrong.push(format!(
                "{name}: the gate has {found:?}, the table {told:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "deploy/README.md:\n{}", wrong.join("\n"));
    is_named_well(&scrape);
    counts_what_happened(&scrape);
}

/// Prometheus' own rules for names.
fn is_named_well(scrape: &Scrape) {
    for (name, kind) in &scrape.types {
        let help = scrape.help.get(name).map_or("", String::as_str);
        assert!(help.len() > 10, "{name} has no description");
        let total = name.ends_with("_total");
        assert_eq!(total, kind == "counter", "{name} is a {kind}");
        for unit in ["_ms", "_milliseconds", "_minutes", "_kb", "_percent"] {
            assert!(!name.contains(unit), "{name} has no base unit");
        }
        assert_ne!(kind, "summary", "{name} cannot be added up over processes");
    }
}

fn counts_what_happened(scrape: &Scrape) {
    let here = |labels: &[(&'static str, &'static str)]| {
        let mut all = vec![("connection", "acme-dv")];
        all.extend(labels);
        all
    };
    for (effect, count) in [
        ("allow", 2.0),
        ("deny", 1.0),
        ("require_approval", 1.0),
        ("error", 1.0),
    ] {
        let labels = here(&[("effect", effect), ("mode", "enforce")]);
        assert_eq!(
            scrape.sum("crmgate_decisions_total", &labels),
            count,
            "{effect}"
        );
        let labels = here(&[("effect", effect), ("package", "crm.tests.watched")]);
        assert_eq!(
            scrape.sum("crmgate_package_verdicts_total", &labels),
            count,
            "{effect}"
        );
    }
    for (stage, count) in [
        ("parse", 5.0),
        ("enrich", 5.0),
        ("evaluate", 5.0),
        ("record", 5.0),
        ("write", 2.0),
    ] {
        let labels = here(&[("stage", stage)]);
        assert_eq!(
            scrape.sum("crmgate_stage_seconds_count", &labels),
            count,
            "{stage}"
        );
    }
    let refused = here(&[("code", "not_this_one")]);
    assert_eq!(scrape.sum("crmgate_refusals_total", &refused), 1.0);
    let outcomes = here(&[("outcome", "succeeded")]);
    assert_eq!(scrape.sum("crmgate_outcomes_total", &outcomes), 2.0);
    let package = here(&[("package", "crm.tests.watched")]);
    assert_eq!(scrape.sum("crmgate_package_seconds_count", &package), 5.0);
    assert_eq!(
        scrape.sum("crmgate_layer_seconds_count", &here(&[("layer", "global")])),
        5.0
    );
    let policy = here(&[("class", "policy")]);
    assert_eq!(scrape.sum("crmgate_evaluation_errors_total", &policy), 1.0);
    assert_eq!(scrape.sum("crmgate_policy_info", &here(&[])), 1.0);
    assert!(scrape.sum("crmgate_record_flush_seconds_count", &[]) > 0.0);
    let called = [("upstream", "acme-dv"), ("status", "2xx")];
    assert!(scrape.sum("crmgate_upstream_requests_total", &called) > 0.0);
    let listened = [("listener", "acme-dv")];
    assert!(scrape.sum("crmgate_listener_connections_total", &listened) > 0.0);
    let ends = scrape.sum("crmgate_certificate_expiry_timestamp_seconds", &listened);
    assert!(ends > 1.7e9, "{ends}");
}
