use crmgate_domain::{BatchInfo, Kind, Point};

use super::*;
use crate::looks::{Looks, Table};
use crate::testing::{object as parsed, operation, views};

const SCHEMA: &str = include_str!("../../../../policies/schema/input.schema.json");

/// As the engine has it for a package that looks at everything.
fn input(operation: &Operation, views: &Views) -> Value {
    let mut everything = Looks::default();
    everything.everything();
    let table = Table::new([&everything]);
    let wanted = table.wanted([0]);
    let frame = Frame::new(operation, &JudgeOptions::default(), &wanted).unwrap();
    frame.input(views, &wanted).unwrap()
}

fn rich() -> Operation {
    let mut operation = operation(Kind::Update);
    operation.requested = Some(Kind::Upsert);
    operation.record_id = Some("003000000000001AAA".into());
    operation.purpose = Some("migration".into());
    operation.connection.org = Some("00D000000000001AAA".into());
    operation.batch = Some(BatchInfo {
        id: "b".into(),
        index: 0,
        size: 2,
        atomic: true,
    });
    operation.request = Some(RequestInfo {
        method: "PATCH".into(),
        resource: "/sobjects/{object}/{id}".into(),
        path_parameters: [("object".into(), "Contact".into())].into(),
        query_parameters: [("_HttpMethod".into(), "PATCH".into())].into(),
    });
    operation.actor.scopes = Some(vec!["api".into()]);
    operation.actor.roles = vec!["Sales".into()];
    operation
}

fn action() -> Operation {
    let mut operation = operation(Kind::Action);
    operation.point = Point::Queue;
    operation.name = Some("WinOpportunity".into());
    operation.arguments = Some(parsed(r#"{"Status": 3}"#));
    operation.relation = Some(
        Document::parse(br#"{"name": "a", "target": {"type": "account", "id": "1"}}"#).unwrap(),
    );
    operation
}

#[test]
fn every_input_fits_the_schema() {
    let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut before = views(r#"{"email": "a@b.c", "amount": 1.5, "native_only": null}"#);
    before.before = Some(parsed(r#"{"email": null}"#));
    before.native_before = Some(Object::new());
    before.related = parsed(r#"{"account": {"name": "x"}}"#);
    let gone = Views {
        record: None,
        native: None,
        ..before.clone()
    };
    let cases = [
        (operation(Kind::Create), views("{}")),
        (rich(), before),
        (operation(Kind::Delete), gone),
        (action(), views("{}")),
    ];
    for (operation, views) in &cases {
        let document = value::to_document(&input(operation, views)).unwrap();
        let json = crate::params::json(&document);
        let faults: Vec<String> = validator
            .iter_errors(&json)
            .map(|e| e.to_string())
            .collect();
        assert!(faults.is_empty(), "{faults:?}\n{json}");
    }
}

#[test]
fn what_the_design_shows_is_what_policies_see() {
    let mut views =
        views(r#"{"email": "ada@example.com", "amount": 12500.5, "amount_minor": 1250050}"#);
    views.native = Some(parsed(r#"{"Email": "ada@example.com", "Score__c": 7}"#));
    let input = input(&operation(Kind::Create), &views);
    assert_eq!(input["operation"]["kind"], Value::from("create"));
    assert_eq!(
        input["operation"]["at"],
        Value::from("2026-03-12T14:30:00Z")
    );
    assert_eq!(input["connection"]["system"], Value::from("testcrm"));
    assert_eq!(input["record"]["amount_minor"], Value::from(1_250_050_i64));
    assert_eq!(input["record"]["amount"], Value::from(12500.5));
    assert_eq!(input["native"]["Score__c"], Value::from(7_i64));
    assert_eq!(input["changes"]["email"]["from"], Value::Null);
    assert_eq!(
        input["changes"]["email"]["to"],
        Value::from("ada@example.com")
    );
    assert_eq!(input["before"], Value::Null);
    assert_eq!(input["id"], Value::Null);
    assert_eq!(input["request"], Value::Null);
    assert_eq!(input["actor"]["scopes"], Value::Null);
}
