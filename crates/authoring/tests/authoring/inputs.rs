//! Inputs of every form, and what they are judged as.

use crmgate_authoring::given::{self, GivenError, Missing};
use crmgate_authoring::{Given, explained};
use crmgate_domain::{Document, Effect, Kind, Point};
use crmgate_policy::Ungoverned;

use crate::folder::{folder, loaded, systems};

const AT: &str = "2026-03-12T14:30:00Z";

fn read(text: &str) -> Result<Given, GivenError> {
    let systems = systems();
    let missing = Missing {
        at: AT.parse().unwrap(),
        systems: &systems,
    };
    given::read("x.json", text, &missing)
}

const WHOLE: &str = r#"{
  "operation": {"kind": "update", "point": "queue", "at": "2026-01-02T03:04:05Z"},
  "connection": {"name": "acme", "system": "two"},
  "object": "contact", "native_object": "people",
  "actor": {"id": "7", "roles": ["Sales"], "scopes": null},
  "record": {"last_name": "Byron", "first_name": "Ada"},
  "before": {"last_name": "Lovelace", "first_name": "Ada"}
}"#;

#[test]
fn the_policy_input_is_read_back() {
    for text in [WHOLE.to_owned(), format!("{{\"input\": {WHOLE}}}")] {
        let given = read(&text).unwrap();
        let operation = &given.operation;
        assert_eq!(operation.kind, Kind::Update);
        assert_eq!(operation.point, Point::Queue);
        assert_eq!(operation.at.to_string(), "2026-01-02T03:04:05Z");
        assert_eq!(operation.connection.name.as_str(), "acme");
        assert_eq!(operation.connection.system, "two");
        assert_eq!(operation.actor.roles, ["Sales"]);
        let changes: Vec<&String> = given.candidate.views().changes.keys().collect();
        assert_eq!(changes, ["last_name"]);
    }
}

#[test]
fn an_operation_as_validate_takes_it_is_read() {
    let given = read(
        r#"{"connection": "two-acme", "operation": {"kind": "update", "object": "PEOPLE", "id": "9",
            "record": {"last_name": "Byron", "native.Score__c": 7}, "before": {"last_name": "X", "first_name": "Ada"}}}"#,
    )
    .unwrap();
    let operation = &given.operation;
    assert_eq!(operation.object, "contact");
    assert_eq!(operation.native_object, "people");
    assert_eq!(operation.connection.system, "two");
    assert_eq!(operation.point, Point::Validate);
    assert_eq!(operation.at.to_string(), AT);
    let views = given.candidate.views();
    let json = |object: &Option<crmgate_domain::Object>| {
        Document::Object(object.clone().unwrap()).to_json()
    };
    assert_eq!(
        json(&views.record),
        r#"{"last_name":"Byron","first_name":"Ada"}"#
    );
    assert_eq!(json(&views.native), r#"{"Score__c":7}"#);
    let changes: Vec<&String> = views.changes.keys().collect();
    assert_eq!(changes, ["last_name", "native.Score__c"]);
    assert!(given.notes.is_empty());
    let without =
        r#"{"connection": "acme", "operation": {"kind": "delete", "object": "x", "id": "9"}}"#;
    let given = read(without).unwrap();
    assert!(
        given.notes[0].contains("no stored record is read"),
        "{:?}",
        given.notes
    );
    assert!(given.candidate.views().record.is_none());
}

#[test]
fn faults_name_the_member_and_what_was_expected() {
    for (text, part) in [
        ("[1]", "neither a policy input"),
        ("{\"a\": 1}", "neither a policy input"),
        ("{\"a\": ", "`x.json`: "),
        (
            r#"{"operation": {"kind": "craete"}, "object": "contact"}"#,
            "unknown variant `craete`",
        ),
        (
            r#"{"operation": {"kind": "create"}, "object": "contact", "recrod": {}}"#,
            "unknown field `recrod`",
        ),
        (
            r#"{"operation": {"kind": "create", "at": "yesterday"}, "object": "contact"}"#,
            "operation.at",
        ),
        (
            r#"{"connection": "a", "operation": {"kind": "upsert", "object": "contact"}}"#,
            "give create or update",
        ),
        (
            r#"{"connection": "A B", "operation": {"kind": "create", "object": "contact"}}"#,
            "`A B` is not a connection name",
        ),
    ] {
        let told = read(text).unwrap_err().to_string();
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn a_case_is_found_by_its_name() {
    let text = "- name: first\n  operation: create\n  object: contact\n  params: {people: {names: {most: 1}}}\n  expect: {effect: allow}\n";
    let system = &systems()[1];
    let given = given::case("a.yaml", text, "first", system).unwrap();
    assert_eq!(given.operation.native_object, "people");
    assert_eq!(given.params.len(), 1);
    let told = given::case("a.yaml", text, "frist", system).unwrap_err();
    assert_eq!(
        told.to_string(),
        "`a.yaml` has no case `frist`; did you mean `first`?"
    );
    let told = given::case("a.yaml", text, "zzz", system).unwrap_err();
    assert!(told.to_string().ends_with("there are `first`"), "{told}");
}

#[test]
fn a_decision_is_judged_by_what_it_kept() {
    let systems = systems();
    let missing = Missing {
        at: AT.parse().unwrap(),
        systems: &systems,
    };
    let answer = |payload: &str| {
        let text = format!(
            "{{\"decision\": {{\"id\": \"d1\", \"effect\": \"allow\", \"ungoverned\": true, \"revision\": \"0123456789abcdef\"}}, \"payload\": {payload}}}"
        );
        Document::parse(text.as_bytes()).unwrap()
    };
    let text = Document::from(WHOLE).to_json();
    let masked =
        "[\"/input/record/email\", \"/a\", \"/b\", \"/c\", \"/d\", \"/e\", \"/f\", \"/g\", \"/h\"]";
    for input in [WHOLE, &text] {
        let kept = answer(&format!("{{\"input\": {input}, \"masked\": {masked}}}"));
        let given = given::decision("d1", &kept, &missing).unwrap();
        assert_eq!(given.name, "decision d1");
        assert_eq!(given.operation.connection.name.as_str(), "acme");
        assert_eq!(given.options.ungoverned, Ungoverned::Allow);
        assert_eq!(given.notes[0], "recorded as allow by revision 0123456789ab");
        let note = &given.notes[1];
        assert!(note.starts_with("masked before it was recorded"), "{note}");
        assert!(note.ends_with("/g, and 1 more"), "{note}");
    }
    for (gone, state) in [
        ("null", "not shown"),
        ("{\"state\": \"erased\", \"input\": null}", "erased"),
    ] {
        let told = given::decision("d1", &answer(gone), &missing).unwrap_err();
        let expected = format!("decision `d1` keeps no input: its payload is {state}");
        assert_eq!(told.to_string(), expected);
    }
}

#[test]
fn an_explanation_tells_package_by_package() {
    let dir = folder();
    let (sources, set) = loaded(dir.path());
    let given = read(
        &WHOLE
            .replace("\"Byron\"", "\" \"")
            .replace("update", "create"),
    )
    .unwrap();
    let (judged, explanation) =
        set.explain(&sources, &given.operation, &given.candidate, &given.options);
    assert_eq!(judged.judgement.effect, Effect::Deny);
    let text = explained::text(&given, &explanation, None);
    let revision = set.revision().short();
    insta::assert_snapshot!(text.replace(revision, "REVISION"));
    let only = explained::text(&given, &explanation, Some("crm.other.none"));
    assert!(
        only.contains("none at all") && !only.contains("crm.people.names (global"),
        "{only}"
    );
}
