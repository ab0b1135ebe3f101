use super::*;
use crate::Sources;

const PACKAGE: &str = r#"# METADATA
# title: Names
# custom: {owner: a, objects: [contact], operations: [create, update]}
package crm.a.names

deny contains {"code": "name", "message": "a name is needed", "fields": ["last_name"]} if not input.record.last_name

patch contains {"op": "set", "field": "last_name", "value": upper(input.record.last_name)}
"#;

fn set() -> PolicySet {
    PolicySet::load(&Sources::global([(
        "a/names.rego".to_owned(),
        PACKAGE.to_owned(),
    )]))
    .unwrap()
}

#[test]
fn a_passing_case_passes_on_both_crms() {
    let cases = parse(
        "a.yaml",
        "- name: upper\n  operation: create\n  object: contact\n  record: {last_name: ada}\n  expect: {effect: allow, patches: {last_name: ADA}}\n",
    )
    .unwrap();
    let (reports, coverage) = run_all(&set(), &cases);
    let systems: Vec<&str> = reports.iter().map(|report| report.system).collect();
    assert_eq!(systems, ["salesforce", "dynamics"]);
    assert!(reports.iter().all(CaseReport::passed), "{reports:?}");
    assert!(coverage.missed().is_empty(), "{coverage:?}");
}

#[test]
fn a_failing_case_shows_what_came_out() {
    let cases = parse(
        "a.yaml",
        "- name: none\n  operation: create\n  object: contact\n  expect: {effect: allow}\n",
    )
    .unwrap();
    let report = run(&set(), &cases[0]).remove(0);
    let shown = report.to_string();
    assert!(shown.starts_with("FAILED none (salesforce)"), "{shown}");
    assert!(
        shown.contains("effect: expected allow, found deny"),
        "{shown}"
    );
    assert!(shown.contains("a name is needed"), "{shown}");
}

#[test]
fn unknown_keys_are_refused_with_their_line() {
    let fault = parse(
        "a.yaml",
        "- name: x\n  operation: create\n  objct: contact\n",
    )
    .unwrap_err();
    assert!(fault.to_string().contains("objct"), "{fault}");
    assert!(fault.line.is_some(), "{fault}");
}
