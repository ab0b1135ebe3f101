//! Measurements.

use std::time::Duration;

use crmgate_authoring::bench::{Bench, Load, Subject, compare, measure};
use crmgate_authoring::given;

use crate::folder::{folder, loaded, suite, systems};

const LOAD: Load = Load {
    read: 1.0,
    parse: 2.0,
    load: 3.0,
    bytes: 4,
};

fn measured() -> Bench {
    let dir = folder();
    let (sources, set) = loaded(dir.path());
    let suite = suite(dir.path()).unwrap();
    let system = &systems()[0];
    let all: Vec<_> = suite
        .cases()
        .map(|(name, case)| given::of_case(&name, case, system))
        .collect();
    let subjects: Vec<Subject<'_>> = all
        .iter()
        .map(|given| Subject { given, set: &set })
        .collect();
    measure(&sources, LOAD, &subjects, Duration::ZERO, &mut |_| {})
}

#[test]
fn inputs_packages_and_rules_are_measured() {
    let bench = measured();
    assert_eq!(bench.load, LOAD);
    let mut inputs: Vec<&str> = bench.inputs.iter().map(|it| it.name.as_str()).collect();
    inputs.sort_unstable();
    assert_eq!(
        inputs,
        [
            "people/cases/names.yaml#a name is needed",
            "people/cases/names.yaml#long",
            "people/cases/names.yaml#with \"quotes\" & <angles>",
        ]
    );
    assert!(
        bench
            .inputs
            .iter()
            .all(|it| it.effect == "deny" && it.times.runs >= 5)
    );
    assert!(
        bench
            .inputs
            .iter()
            .all(|it| it.times.median > 0.0 && it.times.p99 >= it.times.median)
    );
    assert!(
        bench
            .inputs
            .is_sorted_by(|a, b| a.times.median >= b.times.median)
    );
    let mut packages: Vec<(&str, usize)> = bench
        .packages
        .iter()
        .map(|it| (it.package.as_str(), it.governs))
        .collect();
    packages.sort_unstable();
    assert_eq!(packages, [("crm.other.none", 3), ("crm.people.names", 3)]);
    let share: f64 = bench.packages.iter().map(|it| it.share).sum();
    assert!((share - 100.0).abs() < 0.01, "{share}");
    let mut rules: Vec<(&str, u32)> = bench
        .rules
        .iter()
        .map(|it| (it.rule.as_str(), it.line))
        .collect();
    rules.sort_unstable();
    assert_eq!(rules, [("deny", 6), ("deny", 8), ("warn", 12)]);
}

#[test]
fn a_measurement_is_kept_as_json_and_compared() {
    let before = measured();
    let text = serde_json::to_string(&before).unwrap();
    let kept: Bench = serde_json::from_str(&text).unwrap();
    assert_eq!(kept, before);
    let mut now = kept.clone();
    now.packages[0].times.median *= 2.0;
    let gone = now.packages.remove(1);
    // Two lines further down is the same rule.
    for rule in &mut now.rules {
        rule.line += 2;
    }
    let compared = compare(&kept, &now);
    let package = &compared.packages[0];
    assert_eq!(
        (package.name.as_str(), package.ratio),
        (now.packages[0].package.as_str(), Some(2.0))
    );
    let missing = &compared.packages[1];
    assert_eq!(
        (missing.name.as_str(), missing.now, missing.ratio),
        (gone.package.as_str(), None, None)
    );
    assert_eq!(compared.rules.len(), 3);
    assert!(compared.rules.iter().all(|it| it.ratio == Some(1.0)));
}
