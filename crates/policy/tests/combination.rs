//! The rules of combination, as data: small packages, an operation, what must come out.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::collections::BTreeMap;
use std::path::Path;

use crmgate_domain::Enforcement;
use crmgate_policy::cases::{self, Case, System};
use crmgate_policy::{ConnectionSources, PolicySet, Source, Sources};
use serde::Deserialize;

/// Some packages with cases about them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    /// The global layer.
    #[serde(default)]
    packages: Vec<Text>,
    /// The layer of both connections.
    #[serde(default)]
    own: Vec<Text>,
    /// How both connections set global packages.
    #[serde(default)]
    enforcement: BTreeMap<String, Enforcement>,
    cases: Vec<Case>,
}

/// A package in short.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    name: String,
    /// Metadata beyond `title`, `owner`, `objects` and `operations`, as one YAML flow mapping's
    /// inside.
    #[serde(default)]
    meta: String,
    rules: String,
}

impl Text {
    fn source(&self) -> Source {
        let meta = if self.meta.is_empty() {
            String::new()
        } else {
            format!(", {}", self.meta)
        };
        let (name, rules) = (&self.name, &self.rules);
        Source {
            path: format!("{}.rego", name.replace('.', "/")),
            text: format!(
                "# METADATA\n# title: Title of {name}\n# custom: {{owner: team, objects: [contact], operations: [create, update, delete]{meta}}}\npackage {name}\n\n{rules}\n"
            ),
        }
    }
}

fn load(table: &Table, systems: &[System]) -> PolicySet {
    let mut sources = Sources {
        global: table.packages.iter().map(Text::source).collect(),
        ..Sources::default()
    };
    for system in systems {
        let connection = ConnectionSources {
            files: table.own.iter().map(Text::source).collect(),
            enforcement: table.enforcement.clone(),
            ..ConnectionSources::default()
        };
        sources
            .connections
            .insert(system.connection.clone(), connection);
    }
    PolicySet::load(&sources).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn every_rule_of_combination_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/combination");
    let systems: Vec<System> = yaml_serde::from_str(include_str!("systems.yaml")).unwrap();
    let mut failures = Vec::new();
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let tables: Vec<Table> = yaml_serde::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for table in &tables {
            let set = load(table, &systems);
            for case in &table.cases {
                let reports = cases::run(&set, case, &systems);
                count += reports.len();
                failures.extend(reports.into_iter().filter(|report| !report.passed()));
            }
        }
    }
    let shown: Vec<String> = failures.iter().map(ToString::to_string).collect();
    assert!(shown.is_empty(), "\n{}", shown.join("\n"));
    assert!(count > 100, "only {count} cases were found");
}
