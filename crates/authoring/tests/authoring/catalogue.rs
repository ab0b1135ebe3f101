//! Explanations of the shipped policies: what they say is what the judgement says.

use std::collections::BTreeSet;
use std::path::Path;

use crmgate_authoring::{Suite, given};
use crmgate_domain::{Document, Enforcement};
use crmgate_policy::explain::{Came, PackageTold, RuleTold};
use crmgate_policy::read_folder;

use crate::folder::systems;

/// Every so many cases: explaining takes many questions.
const EVERY: usize = 9;

fn policies() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies")
}

/// The values of a package's rule, by all of its definitions.
fn values(package: &PackageTold, rule: &str) -> BTreeSet<String> {
    let fired = package.rules.iter().filter(|it| it.rule == rule);
    fired
        .flat_map(|it| match &it.came {
            Came::Fired { values } => values.iter().map(Document::to_json).collect(),
            _ => Vec::new(),
        })
        .collect()
}

fn failures(rules: &[RuleTold], found: &mut Vec<String>) {
    for rule in rules {
        match &rule.came {
            Came::Failed { message, .. } => {
                found.push(format!("{}:{}: {message}", rule.file, rule.line));
            }
            Came::Stopped { because, .. } | Came::Undefined { because, .. } => {
                failures(because, found);
            }
            Came::Fired { .. } | Came::Unfit | Came::Default { .. } => {}
        }
    }
}

#[test]
fn every_refusal_of_the_catalogue_is_explained_by_a_rule_that_holds() {
    let dir = policies();
    let sources = read_folder(&dir).unwrap();
    let set = crmgate_policy::PolicySet::load(&sources).unwrap_or_else(|it| panic!("{it}"));
    let suite = Suite::load(&dir, sources.clone(), &set).unwrap_or_else(|it| panic!("{it}"));
    let mut refusals = 0;
    for (name, case) in suite.cases().step_by(EVERY) {
        let given = given::of_case(&name, case, &systems()[0]);
        let own = set.with_params(&given.params).unwrap();
        let (judged, told) =
            own.explain(&sources, &given.operation, &given.candidate, &given.options);
        let enforced = |it: &&PackageTold| it.enforcement == Enforcement::Enforce;
        for package in told.packages.iter().filter(enforced) {
            let reasons = judged.judgement.reasons.iter();
            let reasons = reasons.filter(|it| it.package == package.package);
            let denied = reasons.filter(|it| it.code != "not_allowed").count();
            let fired = values(package, "deny").len();
            assert_eq!(fired, denied, "{name}: {package:?}");
            refusals += denied;
            let mut failed = Vec::new();
            failures(&package.rules, &mut failed);
            let errs = judged
                .judgement
                .errors
                .iter()
                .any(|it| it.package == package.package);
            assert_eq!(!failed.is_empty(), errs, "{name}: {failed:?}");
        }
        let governing: Vec<&str> = told.packages.iter().map(|it| it.package.as_str()).collect();
        let all = set.packages().count();
        assert_eq!(governing.len() + told.silent.len(), all, "{name}");
        assert!(
            told.silent.iter().all(|it| !it.because.is_empty()),
            "{name}"
        );
    }
    assert!(refusals > 5, "{refusals} refusals prove little");
}
