use super::*;
use crate::testing::package;
use crate::{ConnectionSources, Source, Sources};

const RULES: &str = r#"deny contains {"code": "big", "message": "big"} if input.record.amount > 5

warn contains field if some field in {"b", "a"}

allow if input.record.amount == 1

at := time.now_ns()

redact contains {"field": sprintf("%d", [at]), "mode": "drop"}

release contains "name"

patch contains {"op": "set", "field": "x", "value": 1 / input.record.zero} if input.record.zero == 0"#;

fn set() -> PolicySet {
    let mut sources = Sources::global([package("crm.t.a", "", RULES)]);
    let own = ConnectionSources {
        files: vec![Source {
            path: "own/b.rego".to_owned(),
            text: package("crm.t.b", "", "deny contains \"own\"").1,
        }],
        ..ConnectionSources::default()
    };
    sources.connections.insert("acme-sf".parse().unwrap(), own);
    PolicySet::load(&sources).unwrap()
}

fn input(record: &str) -> Document {
    let text = format!(r#"{{"operation": {{"at": "2026-01-02T03:04:05Z"}}, "record": {record}}}"#);
    Document::parse(text.as_bytes()).unwrap()
}

fn shown(values: &BTreeMap<String, Document>) -> Vec<String> {
    let one = |(name, value): (&String, &Document)| format!("{name} {}", value.to_json());
    values.iter().map(one).collect()
}

#[test]
fn every_reserved_rule_that_is_defined_has_its_value() {
    let values = set().evaluate_package(None, "crm.t.a", &input(r#"{"amount": 1}"#));
    assert_eq!(
        shown(&values.unwrap()),
        [
            "allow true",
            "deny []",
            "patch []",
            r#"redact [{"field":"1767323045000000000","mode":"drop"}]"#,
            r#"release ["name"]"#,
            r#"warn ["a","b"]"#,
        ]
    );
    let values = set().evaluate_package(None, "crm.t.a", &input(r#"{"amount": 6}"#));
    let shown = shown(&values.unwrap());
    assert_eq!(shown[0], r#"deny [{"code":"big","message":"big"}]"#);
}

#[test]
fn a_connections_package_is_found_by_its_connection_only() {
    let set = set();
    let name = "acme-sf".parse().unwrap();
    let own = set.evaluate_package(Some(&name), "crm.t.b", &input("{}"));
    assert_eq!(shown(&own.unwrap()), [r#"deny ["own"]"#]);
    set.evaluate_package(Some(&name), "crm.t.a", &input("{}"))
        .unwrap();
    let error = set.evaluate_package(None, "crm.t.b", &input("{}"));
    assert_eq!(error.unwrap_err().message, "there is no package `crm.t.b`");
}

#[test]
fn an_error_names_its_place() {
    let error = set()
        .evaluate_package(None, "crm.t.a", &input(r#"{"zero": 0}"#))
        .unwrap_err();
    assert_eq!(error.package, "crm.t.a");
    assert!(error.message.contains(".rego:"), "{error:?}");
    let error = set().evaluate_package(None, "crm.t.a", &input(r#"{"amount": 1e400}"#));
    assert!(error.unwrap_err().message.contains("out of range"));
}
