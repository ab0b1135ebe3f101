//! Policies are not shown what they do not look at, and must not notice.

use crmgate_domain::{Change, Document, Object, Views};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use super::*;
use crate::JudgeOptions;
use crate::input::Frame;
use crate::looks::Table;

/// Shapes of rules whose answer could depend on what else the record has.
const ODD: &[&str] = &[
    "deny contains \"x\" if input.record == input.before",
    "deny contains \"x\" if input.record == {}",
    "deny contains \"x\" if input.changes == {}",
    "deny contains \"x\" if { r := input.record; r == {\"a\": 1} }",
    "deny contains \"x\" if { r = input.record; r = input.before }",
    "deny contains \"x\" if input.record in [input.before, null]",
    "deny contains \"x\" if count(object.keys(input.record)) == 2",
    "deny contains \"x\" if object.union(input.record, {\"a\": 1}).b == 1",
    "deny contains \"x\" if count({k | input.record[k]}) == 2",
    "deny contains \"x\" if count([x | some p in [\"record\", \"before\"]; x := input[p].a]) == 2",
    "deny contains \"x\" if { some p in [\"record\", \"before\"]; input[p].a == 1 }",
    "deny contains \"x\" if { input[p].a == 1 }",
    "deny contains \"x\" if { p := \"record\"; input[p].a == 1 }",
    "deny contains k if some k, _ in input.changes",
    "deny contains \"x\" if { some k, c in input.changes; c.from != c.to; k == \"a\" }",
    "deny contains \"x\" if object.get(input, [\"changes\", \"a\", \"to\"], 9) == 9",
    "deny contains \"x\" if object.get(input, \"record\", {}) == {}",
    "deny contains sprintf(\"%v\", [input.record]) if true",
    "deny contains \"x\" if whole.a == 1\nwhole := input.record if input.record\nwhole := input.before if input.before",
    "deny contains \"x\" if whole\nwhole := input.record\nwhole := {} if input.record",
    "deny contains \"x\" if either.a\neither := input[p] if some p in [\"record\", \"before\"]",
    "deny contains \"x\" if f(input.record, input.before)\nf(x, y) if x == y",
    "deny contains \"x\" if f(input.record).a\nf(x) := x if x\nf(x) := input.before if x",
    "deny contains \"x\" if not f(input.record)\nf({\"a\": _}) if true",
    "deny contains \"x\" if x.y == 1\nx := {\"y\": input.record.a, \"z\": input.record}",
    "deny contains \"x\" if [input.record, 1] == [input.before, 1]",
    "deny contains \"x\" if { [r, _] := [input.record, 1]; r.a == 1 }",
    "deny contains \"x\" if m.record.a == 1\nm[p] := input[p] if some p in [\"record\", \"before\"]",
    "deny contains \"x\" if every k, v in input.record { v == 1 }",
    "deny contains \"x\" if input.actor == {}",
    "deny contains \"x\" if input.actor.scopes == null",
    "deny contains \"x\" if not input.actor.email",
    "deny contains \"x\" if input.operation.batch == null",
    "deny contains \"x\" if { x := input.operation; x.kind == \"update\"; x.point }",
    "deny contains \"x\" if { input.connection; input.operation; input.approvals; input.purpose; input.id }",
    "deny contains \"x\" if count(input.approvals) > 0",
    "deny contains \"x\" if { some a in input.exceptions; a.code == \"c\" }",
    "deny contains \"x\" if is_object(input.native)",
    "deny contains \"x\" if input.native_before == null",
    "deny contains \"x\" if { x := input.purpose; x == \"test\" }",
    "deny contains \"x\" if count(input) == 16",
    "deny contains \"x\" if count(data.lib.h) > 0",
    "allow if { input.record.a == 1 } else := true if { count(input.record) == 1 }",
    "default allow := false\nallow if { walk(input.record, [path, 1]) }",
    "patch contains {\"op\": \"set\", \"field\": k, \"value\": v} if some k, v in input.record",
];

const FIELDS: [&str; 7] = ["a", "b", "c", "email", "phone", "id", "tags"];

fn records() -> impl Strategy<Value = Option<Object>> {
    let value = prop::sample::select(vec![
        "null",
        "1",
        "true",
        "false",
        "\"a\"",
        "\"email\"",
        "[\"a\"]",
    ]);
    let member = (prop::sample::select(FIELDS.to_vec()), value);
    let members = prop::collection::btree_map(member.clone().prop_map(|m| m.0), member, 0..4);
    prop::option::weighted(
        0.8,
        members.prop_map(|members| {
            let members = members.into_iter().map(|(name, (_, json))| {
                (name.to_owned(), Document::parse(json.as_bytes()).unwrap())
            });
            members.collect()
        }),
    )
}

fn inputs() -> impl Strategy<Value = Views> {
    (records(), records(), records(), records()).prop_map(|(record, native, before, old)| {
        let changes = record
            .iter()
            .flat_map(Object::iter)
            .filter_map(|(name, to)| {
                let from = before.as_ref().and_then(|before| before.get(name));
                let change = Change {
                    from: from.cloned(),
                    to: to.clone(),
                };
                (from != Some(to)).then(|| (name.to_owned(), change))
            });
        Views {
            changes: changes.collect(),
            related: native.clone().unwrap_or_default(),
            record,
            native,
            before,
            native_before: old,
            ..Views::default()
        }
    })
}

/// What the reserved rules of a package come to for an input: a value, or that there is none.
fn answers(
    engine: &regorus::Engine,
    rules: &[Reserved],
    input: &regorus::Value,
) -> Vec<Option<regorus::Value>> {
    let answer = |rule: &Reserved| {
        let mut engine = engine.clone();
        engine.set_input(input.clone());
        engine
            .eval_rule(format!("data.crm.a.b.{}", rule.name()))
            .ok()
    };
    rules.iter().map(answer).collect()
}

/// INVARIANT: leaving out what is not looked at changes no answer, errors included.
#[test]
fn what_is_left_out_of_the_input_changes_nothing() {
    let helpers =
        "filled(x) if trim_space(x) != \"\"\nrec := input.record\nold(k) := input.before[k]";
    let data =
        r#"{"x": {"y": "email", "patches": []}, "params": {"a": {"b": {"fields": ["email"]}}}}"#;
    let all: Vec<&str> = READ
        .iter()
        .map(|(rules, _, _)| *rules)
        .chain(ODD.iter().copied())
        .collect();
    let mut everything = Looks::default();
    everything.everything();
    let mut packages = Vec::new();
    for rules in all {
        let looks = read_with(helpers, rules).looks;
        let mut engine = regorus::Engine::new();
        engine
            .add_data(regorus::Value::from_json_str(data).unwrap())
            .unwrap();
        engine
            .add_policy("h.rego".into(), format!("package lib.h\n{helpers}\n"))
            .unwrap();
        let text =
            format!("package crm.a.b\nimport data.lib.h\nimport input.record as r\n{rules}\n");
        engine.add_policy("b.rego".into(), text).unwrap();
        let found: Vec<Reserved> = Reserved::ALL
            .into_iter()
            .filter(|rule| rules.contains(rule.name()))
            .collect();
        engine.set_input(regorus::Value::new_object());
        let first = found
            .first()
            .map(|rule| format!("data.crm.a.b.{}", rule.name()))
            .unwrap();
        if let Err(error) = engine.compile_with_entrypoint(&first.as_str().into()) {
            // Nobody can load it, though its reads are found.
            assert!(!ODD.contains(&rules), "{rules}: {error}");
            continue;
        }
        packages.push((rules, found, engine, Table::new([&looks, &everything])));
    }
    let mut operation = crate::testing::operation(crmgate_domain::Kind::Update);
    operation.purpose = Some("test".into());
    let document = |json: &str| Document::parse(json.as_bytes()).unwrap();
    let options = JudgeOptions {
        approvals: vec![document(r#"{"code": "c"}"#)],
        exceptions: vec![document(r#"{"code": "c"}"#)],
        ..JudgeOptions::default()
    };
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..60 {
        let views = inputs().new_tree(&mut runner).unwrap().current();
        for (rules, found, engine, table) in &packages {
            let input = |package: usize| {
                let wanted = table.wanted([package]);
                let frame = Frame::new(&operation, &options, &wanted).unwrap();
                frame.input(&views, &wanted).unwrap()
            };
            assert_eq!(
                answers(engine, found, &input(0)),
                answers(engine, found, &input(1)),
                "{rules}\n{views:?}"
            );
        }
    }
}
