//! Policies are not shown what they do not look at, and must not notice.

use crmgate_domain::{Change, Document, Object, Views};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use regorus::{Engine, Value};

use super::*;
use crate::JudgeOptions;
use crate::input::Frame;
use crate::looks::{Table, Wanted};

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
    "deny contains \"x\" if ok with data.x.y as \"a\"\nok if input.record[data.x.y]",
    "deny contains \"x\" if ok with data.x.y as input.record.a\nok if data.x.y == 1",
    "deny contains \"x\" if ok with h.filled as g\nok if h.filled(input.record.a)\ng(_) if input.record.b",
    "deny contains x if { some p in [input.record.a, input.before.b]; x := p; every y in [p, 1] { y == 1 } }",
    "deny contains x if { x := to_number(input.record.a); count([y | some y in [1, 2]; y > x]) == 1 }",
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

/// A package that the engine can prepare.
struct Prepared {
    text: &'static str,
    /// Paths of its reserved rules.
    rules: Vec<String>,
    /// Never evaluated.
    fresh: Engine,
    /// What it looks at, and everything.
    table: Table,
}

fn prepared(text: &'static str) -> Option<Prepared> {
    let helpers =
        "filled(x) if trim_space(x) != \"\"\nrec := input.record\nold(k) := input.before[k]";
    let data =
        r#"{"x": {"y": "email", "patches": []}, "params": {"a": {"b": {"fields": ["email"]}}}}"#;
    let mut fresh = Engine::new();
    fresh.add_data(Value::from_json_str(data).unwrap()).unwrap();
    let files = [
        ("h.rego", format!("package lib.h\n{helpers}\n")),
        (
            "b.rego",
            format!("package crm.a.b\nimport data.lib.h\nimport input.record as r\n{text}\n"),
        ),
    ];
    for (path, text) in files {
        fresh.add_policy(path.into(), text).unwrap();
    }
    let rules: Vec<String> = Reserved::ALL
        .iter()
        .filter(|rule| text.contains(rule.name()))
        .map(|rule| format!("data.crm.a.b.{}", rule.name()))
        .collect();
    fresh.set_input(Value::new_object());
    if let Err(error) = fresh.compile_with_entrypoint(&rules[0].as_str().into()) {
        // Nobody can load it, though its reads are found.
        assert!(!ODD.contains(&text), "{text}: {error}");
        return None;
    }
    let mut everything = Looks::default();
    everything.everything();
    Some(Prepared {
        table: Table::new([&read_with(helpers, text).looks, &everything]),
        text,
        rules,
        fresh,
    })
}

fn packages() -> Vec<Prepared> {
    let texts = READ.iter().map(|(rules, _, _)| *rules);
    texts
        .chain(ODD.iter().copied())
        .filter_map(prepared)
        .collect()
}

fn input(views: &Views, wanted: &Wanted<'_>) -> Value {
    let mut operation = crate::testing::operation(crmgate_domain::Kind::Update);
    operation.purpose = Some("test".into());
    let document = |json: &str| Document::parse(json.as_bytes()).unwrap();
    let options = JudgeOptions {
        approvals: vec![document(r#"{"code": "c"}"#)],
        exceptions: vec![document(r#"{"code": "c"}"#)],
        ..JudgeOptions::default()
    };
    let frame = Frame::new(&operation, &options, wanted).unwrap();
    frame.input(views, wanted).unwrap()
}

/// What a rule comes to: a value, or that there is none.
fn answer(engine: &mut Engine, rule: &str, input: &Value) -> Option<Value> {
    engine.set_input(input.clone());
    engine.eval_rule(rule.to_owned()).ok()
}

/// INVARIANT: leaving out what is not looked at changes no answer, errors included.
#[test]
fn what_is_left_out_of_the_input_changes_nothing() {
    let packages = packages();
    let mut runner = TestRunner::deterministic();
    for _ in 0..60 {
        let views = inputs().new_tree(&mut runner).unwrap().current();
        for package in &packages {
            let [left_out, whole] = [0, 1].map(|at| input(&views, &package.table.wanted([at])));
            for rule in &package.rules {
                assert_eq!(
                    answer(&mut package.fresh.clone(), rule, &left_out),
                    answer(&mut package.fresh.clone(), rule, &whole),
                    "{}\n{views:?}",
                    package.text
                );
            }
        }
    }
}

/// INVARIANT: an engine that was used, and in which nothing went wrong, answers as a new one.
#[test]
fn nothing_stays_behind_in_an_engine() {
    let mut runner = TestRunner::deterministic();
    for package in packages() {
        let mut used = package.fresh.clone();
        for _ in 0..60 {
            let views = inputs().new_tree(&mut runner).unwrap().current();
            let input = input(&views, &package.table.wanted([1]));
            for rule in &package.rules {
                let expected = answer(&mut package.fresh.clone(), rule, &input);
                let found = answer(&mut used, rule, &input);
                assert_eq!(found, expected, "{}\n{views:?}", package.text);
                if found.is_none() {
                    used = package.fresh.clone();
                }
                used.set_input(Value::Undefined);
            }
        }
    }
}
