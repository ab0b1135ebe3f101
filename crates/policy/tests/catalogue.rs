//! The packs in `policies/`: every case passes for every CRM, every line is reached by one, and
//! all of them load together.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crmgate_domain::{FieldRef, FieldSet, Kind};
use crmgate_policy::{PolicySet, Source, Sources, Target, cases, read_folder};

fn policies() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies")
}

fn systems() -> Vec<cases::System> {
    yaml_serde::from_str(include_str!("systems.yaml")).unwrap()
}

/// The folders that hold policies.
fn packs(sources: &Sources) -> Vec<String> {
    let folder = |source: &Source| source.path.split('/').next().unwrap_or_default().to_owned();
    let own = |source: &&Source| {
        source
            .text
            .lines()
            .any(|line| line.starts_with("package crm."))
    };
    let mut packs: Vec<String> = sources.global.iter().filter(own).map(folder).collect();
    packs.sort();
    packs.dedup();
    packs
}

fn cases_of(pack: &str) -> Vec<cases::Case> {
    let folder = policies().join(pack).join("cases");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let parsed = files.iter().flat_map(|file| {
        let text = std::fs::read_to_string(file).unwrap();
        cases::parse(&file.display().to_string(), &text).unwrap_or_else(|fault| panic!("{fault}"))
    });
    parsed.collect()
}

#[test]
fn every_case_of_every_pack_passes_and_reaches_every_line() {
    let sources = read_folder(&policies()).unwrap_or_else(|errors| panic!("{errors}"));
    let packs = packs(&sources);
    assert!(packs.len() >= 9, "{packs:?}");
    let mut shown = Vec::new();
    let mut helpers = crmgate_policy::Coverage::default();
    for pack in &packs {
        let set = PolicySet::load(&cases::pack(&sources, pack))
            .unwrap_or_else(|errors| panic!("{pack}:\n{errors}"));
        let cases = cases_of(pack);
        assert!(!cases.is_empty(), "{pack} has no cases");
        let (reports, coverage) = cases::run_all(&set, &cases, &systems());
        let failed = reports.iter().filter(|report| !report.passed());
        shown.extend(failed.map(|report| format!("{pack}: {report}")));
        for (file, lines) in coverage.missed() {
            if !file.starts_with("lib/") {
                shown.push(format!("{file}: no case reaches lines {lines:?}"));
            }
        }
        helpers.merge(&coverage);
        assert!(
            policies().join(pack).join("README.md").exists(),
            "{pack} has no README.md"
        );
    }
    for (file, lines) in helpers.missed() {
        if file.starts_with("lib/") {
            shown.push(format!("{file}: no case reaches lines {lines:?}"));
        }
    }
    assert!(shown.is_empty(), "\n{}", shown.join("\n"));
}

#[test]
fn all_packs_load_together_under_one_revision() {
    let sources = read_folder(&policies()).unwrap();
    let set = PolicySet::load(&sources).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(set.packages().count(), 25);
    let again = PolicySet::load(&read_folder(&policies()).unwrap()).unwrap();
    assert_eq!(set.revision(), again.revision());
}

#[test]
fn the_packs_name_the_fields_they_read() {
    let set = PolicySet::load(&read_folder(&policies()).unwrap()).unwrap();
    for (_, package) in set.packages() {
        let fields = package.reads.all_fields();
        assert_ne!(fields, FieldSet::All, "{} reads every field", package.name);
        // These look at who asks for what, and when.
        let of_fields = ![
            "crm.protect.pricing",
            "crm.protect.batches",
            "crm.freeze.windows",
        ]
        .contains(&&*package.name)
            && !package.name.starts_with("crm.scopes.");
        assert_eq!(!fields.is_empty(), of_fields, "{}", package.name);
        // In an org of several currencies, what a create that names none will have is not known.
        let creates = package.metadata.operations.contains(&Kind::Create);
        for name in ["currency", "amount_minor", "annual_revenue_minor"] {
            let reads = fields.contains(&FieldRef(name.to_owned()));
            assert!(!(creates && reads), "{} reads `{name}`", package.name);
        }
    }
}

/// The first block of a language in a page.
fn block(page: &str, language: &str) -> String {
    let open = format!("```{language}\n");
    let (_, rest) = page.split_once(&open).unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

#[test]
fn what_the_authors_page_shows_works() {
    let page = std::fs::read_to_string(policies().join("README.md")).unwrap();
    let package = ("team/policy.rego".to_owned(), block(&page, "rego"));
    let set = PolicySet::load(&Sources::global([package])).unwrap_or_else(|e| panic!("{e}"));
    let mut cases = cases::parse("README.md", &block(&page, "yaml")).unwrap();
    // The page names a parameter that its package does not read.
    cases[0].params = crmgate_domain::Object::new();
    for report in cases::run(&set, &cases[0], &systems()) {
        assert!(report.passed(), "{report}");
    }
}

/// A connection's layer and settings beside the catalogue.
#[test]
fn the_examples_tighten_the_catalogue_for_their_connection() {
    let mut sources = read_folder(&policies()).unwrap();
    let example = read_folder(&policies().join("../examples/policies")).unwrap();
    assert!(example.global.is_empty());
    sources.connections = example.connections;
    let set = PolicySet::load(&sources).unwrap_or_else(|errors| panic!("{errors}"));
    let case = |name: &str| {
        let text = format!(
            "- name: {name}\n  operation: create\n  object: opportunity\n  record: {{name: Engines, stage: proposal, discount_percent: 15}}\n  expect: {{effect: allow}}\n"
        );
        cases::parse("cases.yaml", &text).unwrap().remove(0)
    };
    let mut connections = systems();
    connections[1].connection = "acme-sf".parse().unwrap();
    let reports = cases::run(&set, &case("15 %"), &connections);
    assert!(reports[0].passed(), "{}", reports[0]);
    assert!(!reports[1].passed(), "{}", reports[1]);
    let shown = reports[1].to_string();
    assert!(shown.contains("a discount of 15 % is over 10 %"), "{shown}");
    let own = set
        .packages()
        .filter(|(connection, _)| connection.is_some());
    let own: Vec<&str> = own.map(|(_, package)| package.name.as_str()).collect();
    assert_eq!(own, ["crm.acme.quotes"]);
}

/// What may take a step long is judged apart from everything else, which costs.
#[test]
fn no_pack_is_judged_apart() {
    let sources = read_folder(&policies()).unwrap();
    let connection = "acme-sf".parse().unwrap();
    let set = PolicySet::load(&sources).unwrap();
    let mut apart = BTreeSet::new();
    for case in packs(&sources).iter().flat_map(|pack| cases_of(pack)) {
        let target = Target {
            connection: &connection,
            object: &case.object,
            native_object: &case.object,
            kind: case.operation,
            point: case.point,
        };
        if set.is_heavy(&target) {
            apart.insert(format!("{:?} {}", case.operation, case.object));
        }
    }
    assert!(apart.is_empty(), "{apart:?}");
}
