//! Differential: OPA and crmgate's engine read the same policies and must say the same.

use std::collections::BTreeMap;
use std::process::Command;

use crmgate_domain::{Document, Object};
use crmgate_policy::PolicySet;

use crate::catalogue::{Catalogue, Probe, folder};
use crate::needs;

mod known;
mod mutants;
mod server;

use server::Server;

/// How many spoilt inputs are made of every case.
const MUTANTS: u64 = 4;

/// What a package's reserved rules say, sets in one order; or that it errs.
type Said = Result<BTreeMap<String, String>, String>;

#[test]
fn opa_and_the_gate_say_the_same_about_every_case_and_its_mutants() {
    let Some(opa) = needs::opa() else { return };
    let catalogue = Catalogue::read();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let entry = catalogue.entry();
    let mut policies: Vec<(&str, &str)> = catalogue.modules().collect();
    policies.push(("crmgate_said.rego", &entry));
    let mut server = Server::start(&opa, &runtime, &policies);
    server.put_data(catalogue.set.data());
    let mut run = Run {
        server,
        asked: 0,
        may_err: false,
        differences: Vec::new(),
    };
    let (plain, with_params): (Vec<&Probe>, Vec<&Probe>) =
        (catalogue.probes.iter()).partition(|probe| probe.params.is_empty());
    for (at, probe) in plain.iter().enumerate() {
        run.compare(&catalogue.set, &probe.name, &probe.packages, &probe.input);
        let seed = u64::try_from(at).unwrap() * MUTANTS;
        for seed in seed..seed + MUTANTS {
            let (input, what) = mutants::spoil(&probe.input, seed);
            let name = format!("{}, {what}", probe.name);
            run.compare(&catalogue.set, &name, &probe.packages, &input);
        }
    }
    run.may_err = true;
    for probe in with_params {
        let set = catalogue.set.with_params(&probe.params).unwrap();
        run.server.put_data(set.data());
        run.compare(&set, &probe.name, &probe.packages, &probe.input);
    }
    let shown = run.differences.get(..20).unwrap_or(&run.differences);
    assert!(
        shown.is_empty(),
        "{} of {} answers differ:\n{shown:#?}",
        run.differences.len(),
        run.asked,
    );
    assert!(run.asked > 1_000, "only {} questions", run.asked);
}

struct Run {
    server: Server,
    asked: usize,
    may_err: bool,
    differences: Vec<String>,
}

impl Run {
    fn compare(&mut self, set: &PolicySet, name: &str, packages: &[String], input: &Document) {
        let text = format!("{{\"input\":{}}}", input.to_json());
        for package in packages {
            let theirs = self.server.said(package, &text).map(theirs);
            let ours = set.evaluate_package(None, package, input).map(ours);
            let ours: Said = ours.map_err(|error| error.message);
            self.asked += 1;
            // A policy of the catalogue errs over no record, however odd; over parameters it may.
            let both_err = self.may_err && ours.is_err() && theirs.is_err();
            if both_err || (ours.is_ok() && ours == theirs) {
                continue;
            }
            let short = |said: &Said| -> String {
                format!("{said:?}")
                    .replace('\\', "")
                    .chars()
                    .take(400)
                    .collect()
            };
            let line = format!(
                "{package} of {name}\n  ours {}\n  opa  {}",
                short(&ours),
                short(&theirs)
            );
            self.differences.push(line);
        }
    }
}

fn ours(values: BTreeMap<String, Document>) -> BTreeMap<String, String> {
    let values = values.into_iter();
    values.map(|(rule, value)| (rule, shown(value))).collect()
}

/// OPA's answer has every value in an array, an empty one for what is undefined.
fn theirs(said: Object) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for (rule, value) in said {
        let Document::Array(mut only) = value else {
            continue;
        };
        if let Some(value) = only.pop() {
            values.insert(rule, shown(value));
        }
    }
    values
}

/// JSON with sorted members, and the members of a set sorted by their text.
fn shown(value: Document) -> String {
    match value {
        Document::Array(items) => {
            let mut items: Vec<String> = items.into_iter().map(shown).collect();
            items.sort();
            format!("[{}]", items.join(","))
        }
        Document::Object(members) => {
            let members = members.into_iter();
            let members: BTreeMap<String, String> =
                members.map(|(name, value)| (name, shown(value))).collect();
            format!("{members:?}")
        }
        other => other.to_json(),
    }
}

/// Runs OPA over the catalogue; it must end well and say nothing.
fn silent(arguments: &[&str]) {
    let Some(opa) = needs::opa() else { return };
    let output = Command::new(opa)
        .args(arguments)
        .arg(".")
        .current_dir(folder())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.is_empty(),
        "{said}\n{errors}"
    );
}

#[test]
fn opa_finds_nothing_wrong_with_the_catalogue() {
    silent(&["check", "--strict", "--ignore", "cases"]);
}

#[test]
fn the_catalogue_is_formatted_as_opa_does() {
    silent(&["fmt", "--diff", "--fail"]);
}

#[test]
fn the_helpers_tests_pass_in_opa() {
    let Some(opa) = needs::opa() else { return };
    let catalogue = Catalogue::read();
    let dir = tempfile::tempdir().unwrap();
    catalogue.write(dir.path()).unwrap();
    let lib = folder().join("lib");
    for file in std::fs::read_dir(&lib).unwrap() {
        let file = file.unwrap().path();
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with("_test.rego") {
            std::fs::copy(&file, dir.path().join("bundle/policies/lib").join(name)).unwrap();
        }
    }
    let output = Command::new(opa)
        .args(["test", "--bundle", "bundle"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    assert!(said.contains("PASS"), "no test ran: {said}\n{errors}");
}
