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

#[test]
fn the_input_of_a_case_is_whole() {
    let cases = parse(
        "a.yaml",
        "- name: a\n  operation: update\n  object: contact\n  at: 2026-01-02T03:04:05Z\n  actor: {id: '005'}\n  before: {a: 1, b: 2}\n  record: {b: 3}\n  expect: {effect: deny}\n",
    )
    .unwrap();
    let input = crate::params::json(&input(&cases[0], &systems()[0]).unwrap());
    let schema = include_str!("../../../../policies/schema/input.schema.json");
    let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let faults: Vec<String> = validator
        .iter_errors(&input)
        .map(|fault| fault.to_string())
        .collect();
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(input["record"], serde_json::json!({"a": 1, "b": 3}));
    assert_eq!(
        input["changes"],
        serde_json::json!({"b": {"from": 2, "to": 3}})
    );
    assert_eq!(input["operation"]["at"], "2026-01-02T03:04:05Z");
    assert_eq!(input["actor"]["id"], "005");
}

#[test]
fn a_pack_is_judged_without_other_packs() {
    let files = [
        "one/a.rego",
        "two/b.rego",
        "lib/text.rego",
        "places/data.yaml",
    ];
    let text = |path: &str| match path {
        "lib/text.rego" => "package lib.text".to_owned(),
        "places/data.yaml" => "a: 1".to_owned(),
        path => format!(
            "package crm.{}",
            path.replace('/', ".").replace(".rego", "")
        ),
    };
    let sources = Sources::global(files.map(|path| (path.to_owned(), text(path))));
    let alone = pack(&sources, "two");
    let paths: Vec<&str> = alone.global.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(paths, ["two/b.rego", "lib/text.rego", "places/data.yaml"]);
}

#[test]
fn a_misspelled_key_is_told_with_the_one_that_was_meant() {
    for (text, meant) in [
        (
            "- name: x\n  operation: create\n  objct: contact\n",
            "did you mean `object`?",
        ),
        ("- name: x\n  operation: craete\n", "did you mean `create`?"),
        (
            "- name: x\n  operation: create\n  object: contact\n  expect: {effect: allow, code: [a]}\n",
            "did you mean `codes`?",
        ),
        ("- name: x\n  zzz: 1\n", "see `policies/README.md`"),
    ] {
        let fault = parse("a.yaml", text).unwrap_err();
        assert!(fault.to_string().contains(meant), "{fault}");
        assert!(fault.line.is_some(), "{fault}");
    }
}

#[test]
fn cases_know_their_lines() {
    let text = "# first\n\n- name: a\n  operation: create\n  object: contact\n  record:\n    notes: |\n      - name: not a case\n  expect: {effect: allow}\n\n- operation: create\n  name: b\n  object: contact\n  expect: {effect: allow}\n";
    let lines: Vec<Option<u32>> = parse("a.yaml", text)
        .unwrap()
        .iter()
        .map(|it| it.line)
        .collect();
    assert_eq!(lines, [Some(3), Some(11)]);
}
