use super::*;
use crate::testing::package;
use crate::{ConnectionSources, Source, Sources};

const LOG: &str = r#"package system.log

mask contains "/input/record/email"

mask contains {"op": "upsert", "path": "/input/record/iban", "value": {"hidden": true}} if {
	input.input.object == "contact"
}

mask contains {"op": "remove", "path": "/result/reasons"} if input.result.effect == "deny"

drop if input.input.actor.id == "robot"
"#;

fn set(log: &str, own: Option<&str>) -> Result<PolicySet, crate::LoadErrors> {
    let mut sources = Sources::global([
        package("crm.t.a", "", "deny contains \"no\" if input.record.a == 1"),
        ("log/log.rego".to_owned(), log.to_owned()),
    ]);
    if let Some(own) = own {
        let files = vec![Source {
            path: "log/log.rego".to_owned(),
            text: own.to_owned(),
        }];
        let of_connection = ConnectionSources {
            files,
            ..ConnectionSources::default()
        };
        sources.connections.insert(acme(), of_connection);
    }
    PolicySet::load(&sources)
}

fn acme() -> ConnectionName {
    "acme".parse().unwrap()
}

fn ask(set: &PolicySet, connection: &str, event: &str) -> Result<LogVerdict, MaskError> {
    set.log_verdict(
        &connection.parse().unwrap(),
        &Document::parse(event.as_bytes()).unwrap(),
        Timestamp::UNIX_EPOCH,
        Duration::from_secs(5),
    )
}

fn paths(verdict: &LogVerdict) -> Vec<&str> {
    verdict
        .masks
        .iter()
        .map(|mask| mask.path.as_str())
        .collect()
}

#[test]
fn every_form_of_a_mask_is_read() {
    let set = set(LOG, None).unwrap();
    assert!(set.has_log_rules(&acme()));
    let event = r#"{"input": {"object": "contact", "actor": {"id": "005"}}}"#;
    let said = ask(&set, "acme", event).unwrap();
    assert_eq!(paths(&said), ["/input/record/email", "/input/record/iban"]);
    assert_eq!(said.masks[0].op, MaskOp::Remove);
    let hidden = Document::parse(br#"{"hidden": true}"#).unwrap();
    assert_eq!(said.masks[1].op, MaskOp::Upsert(hidden));
    assert!(!said.drop);
    let robot = r#"{"input": {"object": "task", "actor": {"id": "robot"}}}"#;
    let said = ask(&set, "acme", robot).unwrap();
    assert!(said.drop);
    assert_eq!(paths(&said), ["/input/record/email"]);
}

#[test]
fn a_connection_adds_to_the_global_rules_and_takes_nothing_away() {
    let own = "package system.log\n\nmask contains \"/input/native\"\n\ndrop := false\n";
    let set = set(LOG, Some(own)).unwrap();
    let robot = r#"{"input": {"actor": {"id": "robot"}}}"#;
    let said = ask(&set, "acme", robot).unwrap();
    assert!(said.drop);
    assert_eq!(paths(&said), ["/input/native", "/input/record/email"]);
    let said = ask(&set, "other", robot).unwrap();
    assert_eq!(paths(&said), ["/input/record/email"]);
}

#[test]
fn what_is_no_mask_is_an_error_and_quotes_no_value() {
    for rule in [
        "mask contains \"input/record\"",
        "mask contains \"/inputs\"",
        "mask contains \"/labels/id\"",
        "mask contains {\"op\": \"replace\", \"path\": \"/input\"}",
        "mask contains {\"path\": \"/input\"}",
        "mask contains {\"op\": \"remove\"}",
        "mask contains 7",
        "mask := \"/input\"",
        "mask contains input.input.secret",
        "drop := \"yes\"",
        "drop if 1 / input.input.zero > 0",
        "mask contains concat(\"\", [\"/in\", sprintf(\"%d\", [input.input.secret])])",
    ] {
        let set = set(&format!("package system.log\n\n{rule}\n"), None);
        let set = set.unwrap_or_else(|errors| panic!("{rule}: {errors}"));
        let event = r#"{"input": {"secret": "hunter22", "zero": 0}}"#;
        let error = ask(&set, "acme", event).unwrap_err().to_string();
        assert!(!error.contains("hunter22"), "{error}");
    }
}

#[test]
fn rules_of_the_wrong_kind_are_load_errors() {
    for (rule, expected) in [
        ("mask(x) := x", "`mask` of `system.log`"),
        ("drop contains 1", "`drop` of `system.log`"),
        ("masks contains 1", "neither `mask` nor `drop`"),
    ] {
        let errors = set(&format!("package system.log\n\n{rule}\n"), None).unwrap_err();
        assert!(errors.to_string().contains(expected), "{errors}");
    }
}

#[test]
fn a_mask_that_never_ends_is_cut_off() {
    let rule = "mask contains \"/input\" if { some i in numbers.range(1, 3000); some j in numbers.range(1, 3000); i * j == -1 }";
    let set = set(&format!("package system.log\n\n{rule}\n"), None).unwrap();
    let event = Document::parse(b"{}").unwrap();
    let limit = Duration::from_millis(20);
    let said = set.log_verdict(&acme(), &event, Timestamp::UNIX_EPOCH, limit);
    assert!(said.is_err());
}

#[test]
fn without_rules_nothing_is_asked() {
    let sources = Sources::global([package("crm.t.a", "", "deny contains \"no\"")]);
    let set = PolicySet::load(&sources).unwrap();
    assert!(!set.has_log_rules(&acme()));
    assert_eq!(ask(&set, "acme", "{}").unwrap(), LogVerdict::default());
}

#[test]
fn the_example_masks_and_drops() {
    let log = include_str!("../../../../examples/decision-log/log.rego");
    let set = set(log, None).unwrap_or_else(|errors| panic!("{errors}"));
    let event = r#"{"input": {"object": "case", "actor": {"client": "night-run"}}, "result": {"effect": "allow"}}"#;
    let said = ask(&set, "acme", event).unwrap();
    assert!(said.drop);
    let expected = [
        "/input/native/Loyalty_Number__c",
        "/input/record/description",
    ];
    assert_eq!(paths(&said), expected);
}
