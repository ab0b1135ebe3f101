use std::time::Duration;

use crmgate_domain::{Effect, ErrorClass, FieldRef, Kind};
use proptest::prelude::*;

use super::*;
use crate::PolicySet;
use crate::testing::{candidate, load, operation, package, views};

fn judge_with(set: &PolicySet, json: &str, options: &JudgeOptions) -> Judgement {
    set.judge(&operation(Kind::Create), &candidate(views(json)), options)
        .judgement
}

fn judge(set: &PolicySet, json: &str) -> Judgement {
    judge_with(set, json, &JudgeOptions::default())
}

#[test]
fn an_unknown_field_errs_exactly_the_packages_that_read_it() {
    let set = load(&[
        package(
            "crm.a.reads",
            "",
            "deny contains \"x\" if input.record.secret",
        ),
        package(
            "crm.a.other",
            "",
            "deny contains \"x\" if input.record.email == \"no\"",
        ),
        package(
            "crm.a.watch",
            ", enforcement: dryrun",
            "deny contains \"x\" if input.before.secret",
        ),
    ])
    .unwrap();
    let mut known = views(r#"{"email": "a"}"#);
    known.unknown.insert(FieldRef("secret".into()));
    known.unknown_because = Some("no service credential".into());
    let judged = set.judge(
        &operation(Kind::Create),
        &candidate(known.clone()),
        &JudgeOptions::default(),
    );
    let judgement = judged.judgement;
    assert_eq!(judgement.effect, Effect::Error);
    assert_eq!(judgement.errors.len(), 1, "{judgement:?}");
    let error = &judgement.errors[0];
    assert_eq!(
        (error.package.as_str(), error.class),
        ("crm.a.reads", ErrorClass::Transient)
    );
    assert_eq!(
        error.message,
        "the value of `secret` is unknown: no service credential"
    );
    assert_eq!(judgement.dryrun.len(), 1);

    known.unknown = [FieldRef("native.Secret__c".into())].into();
    let judged = set.judge(
        &operation(Kind::Create),
        &candidate(known),
        &JudgeOptions::default(),
    );
    assert_eq!(judged.judgement.effect, Effect::Allow);
}

#[test]
fn an_unknown_related_record_errs_who_needs_it() {
    let set = load(&[
        package(
            "crm.a.needs",
            ", needs: [related.account]",
            "deny contains \"x\" if input.related.account.name == \"y\"",
        ),
        package(
            "crm.a.all",
            "",
            "deny contains \"x\" if count(input.record) > 100",
        ),
    ])
    .unwrap();
    let mut views = views("{}");
    views.unknown.insert(FieldRef("related.account".into()));
    let judged = set.judge(
        &operation(Kind::Create),
        &candidate(views),
        &JudgeOptions::default(),
    );
    let errors: Vec<&str> = judged
        .judgement
        .errors
        .iter()
        .map(|e| e.package.as_str())
        .collect();
    assert_eq!(errors, ["crm.a.needs"]);
}

#[test]
fn a_spent_budget_is_a_transient_error() {
    let set = load(&[
        package(
            "crm.a.slow",
            "",
            "deny contains \"x\" if { count([1 | some i in numbers.range(1, 3000); some j in numbers.range(1, 3000); i * j == -1]) > 0 }",
        ),
        package("crm.a.then", "", "warn contains \"x\""),
    ])
    .unwrap();
    let options = JudgeOptions {
        time_limit: Duration::from_millis(20),
        ..JudgeOptions::default()
    };
    let started = std::time::Instant::now();
    let judgement = judge_with(&set, "{}", &options);
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(judgement.effect, Effect::Error);
    assert!(
        judgement
            .errors
            .iter()
            .all(|e| e.class == ErrorClass::Transient),
        "{judgement:?}"
    );
    assert_eq!(
        judgement.errors[0].message,
        "the judgement did not end within 20 ms"
    );
    assert_eq!(
        judgement.errors.len(),
        2,
        "the budget is of the whole judgement"
    );
}

#[test]
fn an_error_names_rule_file_and_line() {
    let set = load(&[package(
        "crm.a.b",
        "",
        "deny contains \"x\" if helper\n\nhelper if {\n\tregex.match(\"a\", input.record.n)\n}",
    )])
    .unwrap();
    let judgement = judge(&set, r#"{"n": 7}"#);
    assert_eq!(judgement.errors[0].class, ErrorClass::Policy);
    assert!(
        judgement.errors[0]
            .message
            .starts_with("`helper` at crm/a/b.rego:9:"),
        "{judgement:?}"
    );
}

#[test]
fn a_number_out_of_range_is_refused() {
    let set = load(&[package("crm.a.b", "", "warn contains \"x\"")]).unwrap();
    let judgement = judge(&set, r#"{"n": 1e999999999}"#);
    assert_eq!(judgement.effect, Effect::Deny);
    assert_eq!(judgement.reasons[0].code, "number_out_of_range");
}

#[test]
fn what_is_recorded_says_who_spoke() {
    let set = load(&[
        package("crm.a.quiet", "", "deny contains \"x\" if false"),
        package(
            "crm.a.loud",
            ", severity: critical, remediation: mend it",
            "deny contains \"x\"",
        ),
        package("crm.a.dry", ", enforcement: dryrun", "deny contains \"x\""),
    ])
    .unwrap();
    let judgement = judge(&set, "{}");
    let told: Vec<_> = judgement
        .packages
        .iter()
        .map(|p| (p.package.as_str(), p.effect, p.enforcement))
        .collect();
    assert_eq!(
        told,
        [
            ("crm.a.dry", Effect::Deny, Enforcement::Dryrun),
            ("crm.a.loud", Effect::Deny, Enforcement::Enforce),
            ("crm.a.quiet", Effect::Allow, Enforcement::Enforce),
        ]
    );
    let reason = &judgement.reasons[0];
    assert_eq!(reason.severity, crmgate_domain::Severity::Critical);
    assert_eq!(reason.remediation.as_deref(), Some("mend it"));
    assert_eq!(&judgement.revision, set.revision());
    assert!(!judgement.ungoverned);
}

#[test]
fn a_patch_is_in_the_candidate_that_comes_back() {
    let set = load(&[package(
        "crm.a.b",
        "",
        "patch contains {\"op\": \"set\", \"field\": \"phone\", \"value\": \"+1\"}",
    )])
    .unwrap();
    let judged = set.judge(
        &operation(Kind::Create),
        &candidate(views(r#"{"phone": "1"}"#)),
        &JudgeOptions::default(),
    );
    let record = judged.candidate.views().record.clone().unwrap();
    assert_eq!(record.get("phone"), Some(&"+1".into()));
    assert_eq!(judged.judgement.patches[0].package, "crm.a.b");
    assert!(judged.judgement.packages[0].patched);
}

#[test]
fn a_connection_sets_parameters_for_itself_only() {
    let schema = r#"{"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "object", "properties": {"most": {"type": "number", "x-connection": "lower"}}}}}}}"#;
    let mut sources = crate::Sources::global([
        package(
            "crm.a.b",
            "",
            "deny contains {\"code\": \"most\", \"message\": \"x\"} if input.record.n > data.params.a.b.most",
        ),
        ("a/params.yaml".into(), "a: {b: {most: 10}}".into()),
        ("a/params.schema.json".into(), schema.into()),
    ]);
    let own = sources
        .connections
        .entry("acme-sf".parse().unwrap())
        .or_default();
    own.files = vec![crate::Source {
        path: "params.yaml".into(),
        text: "a: {b: {most: 5}}".into(),
    }];
    let set = PolicySet::load(&sources).unwrap();
    let effect = |set: &PolicySet, name: &str| {
        let mut operation = operation(Kind::Create);
        operation.connection.name = name.parse().unwrap();
        let candidate = candidate(views(r#"{"n": 7}"#));
        set.judge(&operation, &candidate, &JudgeOptions::default())
            .judgement
            .effect
    };
    assert_eq!(effect(&set, "acme-sf"), Effect::Deny);
    assert_eq!(effect(&set, "acme-dv"), Effect::Allow);

    // What the configuration says counts over the file.
    let own = sources
        .connections
        .get_mut(&"acme-sf".parse().unwrap())
        .unwrap();
    own.params = crate::testing::object(r#"{"a": {"b": {"most": 9}}}"#);
    let set = PolicySet::load(&sources).unwrap();
    assert_eq!(effect(&set, "acme-sf"), Effect::Allow);

    own_params(&mut sources, r#"{"a": {"b": {"most": 11}}}"#);
    let errors = PolicySet::load(&sources).unwrap_err().to_string();
    assert!(
        errors.contains(
            "connections/acme-sf: parameter `a.b.most`: 11 in place of 10, expected a lower number"
        ),
        "{errors}"
    );
}

fn own_params(sources: &mut crate::Sources, json: &str) {
    let own = sources.connections.get_mut(&"acme-sf".parse().unwrap());
    own.unwrap().params = crate::testing::object(json);
}

#[test]
fn names_of_objects_are_canonical_or_native() {
    let set = load(&[(
        "a.rego".into(),
        "# METADATA\n# title: t\n# custom: {owner: t, objects: [Quote__c, lead], operations: [create]}\npackage crm.a.b\ndeny contains \"x\"\n".into(),
    )])
    .unwrap();
    let governs = |object: &str, native: &str| {
        let mut operation = operation(Kind::Create);
        operation.object = object.into();
        operation.native_object = native.into();
        !set.governing(&Target::from(&operation)).is_empty()
    };
    assert!(governs("quote__c", "Quote__c"));
    assert!(governs("lead", "Lead"));
    assert!(governs("other", "QUOTE__C"));
    assert!(!governs("contact", "Contact"));
}

#[test]
fn reads_are_those_of_governing_packages_only() {
    let set = load(&[
        package("crm.a.b", "", "deny contains \"x\" if input.record.email"),
        package(
            "crm.a.c",
            ", points: [queue]",
            "deny contains \"x\" if input.before.phone",
        ),
        package(
            "crm.a.d",
            ", enforcement: off",
            "deny contains \"x\" if count(input.record) > 1",
        ),
    ])
    .unwrap();
    let mut operation = operation(Kind::Create);
    let governing = set.governing(&Target::from(&operation));
    assert_eq!(governing.packages, ["crm.a.b"]);
    assert!(governing.reads.before.is_empty());
    operation.point = crmgate_domain::Point::Queue;
    let governing = set.governing(&Target::from(&operation));
    assert_eq!(governing.packages, ["crm.a.b", "crm.a.c"]);
    assert!(governing.reads.before.contains(&FieldRef("phone".into())));
}

/// One package out of a few, by what it says.
fn rules(kind: usize) -> &'static str {
    match kind {
        0 => "deny contains {\"code\": \"no\", \"message\": \"x\"}",
        1 => {
            "require_approval contains {\"code\": \"c\", \"reason\": \"x\", \"approvers\": {\"groups\": [\"g\"]}}"
        }
        2 => "warn contains \"x\"",
        3 => "warn contains to_number(\"x\")",
        4 => "deny contains 7",
        5 => "allow if input.record.nothing",
        6 => "allow_scopes contains \"nobody has it\"",
        7 => "patch contains {\"op\": \"set\", \"field\": \"a\", \"value\": 1}",
        8 => {
            "patch contains {\"op\": \"set\", \"field\": \"b\", \"value\": 2}\npatch contains {\"op\": \"default\", \"field\": \"a\", \"value\": 3}"
        }
        9 => "patch contains {\"op\": \"clear\", \"field\": \"c\"}",
        _ => "warn contains {\"code\": \"quiet\", \"message\": \"x\"} if false",
    }
}

const MODES: [&str; 4] = ["enforce", "warn", "dryrun", "off"];

/// What an enforced package of that kind makes of the judgement, at least.
fn least(kind: usize) -> Effect {
    match kind {
        0 | 5 | 6 => Effect::Deny,
        3 | 4 => Effect::Error,
        1 => Effect::RequireApproval,
        _ => Effect::Allow,
    }
}

fn build(kinds: &[(usize, usize)], order: &[usize]) -> PolicySet {
    // Names follow `order`, so that equal packages come in another sequence.
    let files: Vec<(String, String)> = kinds
        .iter()
        .zip(order)
        .map(|((kind, mode), name)| {
            let meta = format!(", enforcement: {}", MODES[*mode]);
            package(&format!("crm.t.p{name}"), &meta, rules(*kind))
        })
        .collect();
    load(&files).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_package_weakens_another(kinds in prop::collection::vec((0_usize..11, 0_usize..4), 1..6)) {
        let order: Vec<usize> = (0..kinds.len()).collect();
        let judgement = judge(&build(&kinds, &order), r#"{"c": 1}"#);
        let least = kinds
            .iter()
            .filter(|(_, mode)| *mode == 0)
            .map(|(kind, _)| least(*kind))
            .max();
        let governed = kinds.iter().any(|(_, mode)| *mode != 3);
        prop_assert_eq!(judgement.ungoverned, !governed);
        if governed {
            prop_assert_eq!(judgement.effect, least.unwrap_or(Effect::Allow));
        } else {
            prop_assert_eq!(judgement.effect, Effect::Deny);
        }
    }

    #[test]
    fn the_order_of_packages_does_not_matter(
        kinds in prop::collection::vec((0_usize..11, 0_usize..3), 1..6),
        seed in any::<prop::sample::Index>(),
    ) {
        let order: Vec<usize> = (0..kinds.len()).collect();
        let mut turned = order.clone();
        turned.rotate_left(seed.index(kinds.len()));
        let (one, other) = (build(&kinds, &order), build(&kinds, &turned));
        let (one, other) = (judge(&one, r#"{"c": 1}"#), judge(&other, r#"{"c": 1}"#));
        let changes = |judgement: &Judgement| -> Vec<(FieldRef, String)> {
            let patches = judgement.patches.iter();
            patches.map(|p| (p.field.clone(), p.value.to_json())).collect()
        };
        prop_assert_eq!(one.effect, other.effect);
        prop_assert_eq!(changes(&one), changes(&other));
        prop_assert_eq!(one.reasons.len(), other.reasons.len());
    }
}
