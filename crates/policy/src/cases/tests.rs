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

fn systems() -> [System; 2] {
    ["one", "two"].map(|name| System {
        name: name.to_owned(),
        connection: name.parse().unwrap(),
        record_id: "1".to_owned(),
        native_objects: BTreeMap::new(),
    })
}

#[test]
fn a_passing_case_passes_on_every_crm() {
    let cases = parse(
        "a.yaml",
        "- name: upper\n  operation: create\n  object: contact\n  record: {last_name: ada}\n  expect: {effect: allow, patches: {last_name: ADA}}\n",
    )
    .unwrap();
    let (reports, coverage) = run_all(&set(), &cases, &systems());
    let ran: Vec<&str> = reports
        .iter()
        .map(|report| report.system.as_str())
        .collect();
    assert_eq!(ran, ["one", "two"]);
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
    let report = run(&set(), &cases[0], &systems()).remove(0);
    let shown = report.to_string();
    assert!(shown.starts_with("FAILED none (one)"), "{shown}");
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

#[test]
fn an_operation_looks_as_its_crm_has_it() {
    let cases = parse(
        "a.yaml",
        "- name: a\n  operation: update\n  object: case\n  expect: {effect: deny}\n- name: b\n  operation: create\n  object: task\n  expect: {effect: deny}\n",
    )
    .unwrap();
    let mut system = systems()[0].clone();
    system.native_objects = [("case".to_owned(), "incident".to_owned())].into();
    let update = operation(&cases[0], &system);
    assert_eq!(update.connection.system, "one");
    assert_eq!(update.connection.name.as_str(), "one");
    assert_eq!(update.native_object, "incident");
    assert_eq!(update.record_id.as_deref(), Some("1"));
    let create = operation(&cases[1], &system);
    assert_eq!(create.native_object, "task");
    assert_eq!(create.record_id, None);
}
