//! Policies put together at random: loading ends without a panic, judging ends within bounds, and
//! nothing that goes wrong makes an effect weaker.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails, fails"
)]

use std::sync::Arc;
use std::time::Duration;

use crmgate_domain::candidate::PlainCandidate;
use crmgate_domain::{
    Actor, Ambient, Candidate, ConnectionRef, Document, Effect, Judgement, Kind, Object, Operation,
    OperationId, Point, Timestamp, Views,
};
use crmgate_policy::{JudgeOptions, LoadErrors, PolicySet, Source, Sources};
use proptest::prelude::*;

/// Functions of the language, with how many arguments they take.
const FUNCTIONS: &[(&str, usize)] = &[
    ("count", 1),
    ("sum", 1),
    ("product", 1),
    ("max", 1),
    ("sort", 1),
    ("lower", 1),
    ("to_number", 1),
    ("json.marshal", 1),
    ("json.unmarshal", 1),
    ("object.keys", 1),
    ("array.reverse", 1),
    ("walk", 1),
    ("base64.encode", 1),
    ("abs", 1),
    ("type_name", 1),
    ("time.parse_rfc3339_ns", 1),
    ("time.date", 1),
    ("net.cidr_expand", 1),
    ("units.parse", 1),
    ("semver.is_valid", 1),
    ("concat", 2),
    ("split", 2),
    ("sprintf", 2),
    ("array.concat", 2),
    ("object.union", 2),
    ("numbers.range", 2),
    ("regex.match", 2),
    ("indexof", 2),
    ("trim", 2),
    ("bits.lsh", 2),
    ("format_int", 2),
    ("json.patch", 2),
    ("json.filter", 2),
    ("graph.reachable_paths", 2),
    ("object.get", 3),
    ("replace", 3),
    ("substring", 3),
    ("array.slice", 3),
    ("regex.replace", 3),
    ("glob.match", 3),
    ("time.diff", 2),
    ("time.add_date", 4),
    ("regex.template_match", 4),
];

fn leaf() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("input.record.last_name".to_owned()),
        Just("input.record.amount".to_owned()),
        Just("input.record".to_owned()),
        Just("input".to_owned()),
        Just("input.nothing".to_owned()),
        Just("helper".to_owned()),
        Just("v".to_owned()),
        Just("null".to_owned()),
        Just("true".to_owned()),
        (-1000_i64..100_000).prop_map(|number| number.to_string()),
        Just("99999999999999999999999999".to_owned()),
        Just("1.5e300".to_owned()),
        "[ -!#-\\[\\]-~é]{0,6}".prop_map(|text| format!("\"{text}\"")),
        Just("\"%9999d%s\"".to_owned()),
        Just("\"10.0.0.0/20\"".to_owned()),
        Just("\"2026-01-02T03:04:05Z\"".to_owned()),
    ]
}

fn expression() -> impl Strategy<Value = String> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        let call = (0..FUNCTIONS.len(), prop::collection::vec(inner.clone(), 4)).prop_map(
            |(at, args)| {
                let (name, arity) = FUNCTIONS[at];
                format!("{name}({})", args[..arity].join(", "))
            },
        );
        let two = (inner.clone(), "[-+*/%]", inner.clone());
        let compared = (inner.clone(), prop_oneof!["==", "!=", "<", ">="], inner.clone());
        prop_oneof![
            3 => call,
            1 => two.prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            1 => compared.prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(|all| format!("[{}]", all.join(", "))),
            1 => (inner.clone(), inner.clone()).prop_map(|(k, v)| format!("{{{k}: {v}}}")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{{{a}, {b}}}")),
            1 => (inner.clone(), inner.clone()).prop_map(|(c, t)| format!("[[e, {t}] | some e in [{c}]]")),
            1 => (inner.clone(), inner.clone()).prop_map(|(c, t)| format!("{{e: {t} | some e in [{c}]}}")),
            1 => inner.prop_map(|of| format!("made({of})")),
        ]
    })
}

fn rule() -> impl Strategy<Value = String> {
    let body = prop::collection::vec(
        prop_oneof![
            expression(),
            expression().prop_map(|of| format!("not {of}")),
            expression().prop_map(|of| format!("some w in {of}; w != v")),
            expression().prop_map(|of| format!("every w in {of} {{ w != 1 }}")),
        ],
        1..3,
    );
    let head = prop_oneof![
        4 => expression().prop_map(|of| format!("deny contains {of}")),
        1 => expression().prop_map(|of| format!("warn contains {of}")),
        1 => expression().prop_map(|of| {
            format!("patch contains {{\"op\": \"set\", \"field\": \"last_name\", \"value\": {of}}}")
        }),
        1 => expression().prop_map(|of| format!("require_approval contains {{\"reason\": {of}}}")),
        1 => expression().prop_map(|of| format!("allow_scopes contains {of}")),
        1 => Just("allow".to_owned()),
    ];
    (head, body).prop_map(|(head, body)| {
        let numbered = body.iter().enumerate();
        let body: Vec<String> = numbered
            .map(|(at, statement)| match statement.strip_prefix("w ") {
                Some(rest) => format!("w{at} {rest}"),
                None => statement
                    .replacen("some w in", &format!("some w{at} in"), 1)
                    .replace("w != v", &format!("w{at} != v")),
            })
            .collect();
        let text = body.join("; ");
        format!("{head} if {{ v := 1; {text} }}")
    })
}

fn policy() -> impl Strategy<Value = String> {
    let rules = prop::collection::vec(rule(), 1..4);
    (rules, expression(), expression()).prop_map(|(rules, helper, function)| {
        format!(
            "# METADATA\n# title: t\n# custom: {{owner: t, objects: [contact], operations: [create]}}\npackage crm.own.fuzzed\n\n{}\n\nhelper := w if {{ v := 2; w := {} }}\n\nmade(v) := {}\n",
            rules.join("\n\n"),
            helper.replace("helper", "v").replace("made(", "count("),
            function.replace("made(", "count("),
        )
    })
}

const STRICT: &str = "# METADATA
# title: t
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.tests.strict

deny contains \"no\" if input.record.last_name == \"No\"
";

struct Still;

impl Ambient for Still {
    fn now(&self) -> Timestamp {
        Timestamp::constant(1_773_325_800, 0)
    }

    fn random(&self) -> [u8; 16] {
        [7; 16]
    }
}

fn judge(set: &PolicySet, last_name: &str) -> Judgement {
    let operation = Operation {
        id: OperationId::fresh(&Still),
        kind: Kind::Create,
        requested: None,
        point: Point::Gateway,
        at: Still.now(),
        connection: ConnectionRef {
            name: "acme".parse().unwrap(),
            system: "test".into(),
            org: None,
        },
        object: "contact".into(),
        native_object: "Contact".into(),
        record_id: None,
        actor: Actor::default(),
        request: None,
        purpose: None,
        batch: None,
        name: None,
        arguments: None,
        relation: None,
    };
    let mut record = Object::new();
    record.set("last_name", Document::from(last_name));
    record.set("amount", Document::from(12));
    let views = Views {
        record: Some(record),
        native: Some(Object::new()),
        ..Views::default()
    };
    let candidate: Arc<dyn Candidate> = Arc::new(PlainCandidate::new(views));
    let options = JudgeOptions {
        time_limit: Duration::from_millis(200),
        ..JudgeOptions::default()
    };
    set.judge(&operation, &candidate, &options).judgement
}

fn load(own: &str) -> Result<PolicySet, LoadErrors> {
    let mut sources = Sources::global([("strict.rego".to_owned(), STRICT.to_owned())]);
    let layer = sources
        .connections
        .entry("acme".parse().unwrap())
        .or_default();
    layer.files.push(Source {
        path: "own/fuzzed.rego".to_owned(),
        text: own.to_owned(),
    });
    PolicySet::load(&sources)
}

/// On a stack as those of the threads that judge.
fn on_a_large_stack(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(64 << 20);
    thread.spawn(work).unwrap().join().unwrap();
}

#[test]
fn nothing_that_goes_wrong_makes_an_effect_weaker() {
    on_a_large_stack(|| {
        let config = ProptestConfig {
            max_shrink_iters: 200,
            failure_persistence: None,
            ..ProptestConfig::with_cases(300)
        };
        let mut runner = proptest::test_runner::TestRunner::new(config);
        let ran = runner.run(&policy(), |text| sound(&text));
        ran.unwrap_or_else(|error| panic!("{error}"));
    });
}

fn sound(text: &str) -> Result<(), TestCaseError> {
    let Ok(set) = load(text) else { return Ok(()) };
    let refused = judge(&set, "No");
    prop_assert_eq!(refused.effect, Effect::Deny, "{}\n{:?}", text, refused);
    let judged = judge(&set, "Yes");
    if !judged.errors.is_empty() {
        prop_assert!(judged.effect >= Effect::Error, "{text}\n{judged:?}");
    }
    prop_assert!(judged.reasons.len() <= 110, "{text}");
    let told = judged.reasons.iter().map(|reason| reason.message.len());
    let failed = judged.errors.iter().map(|error| error.message.len());
    let bounded = told.chain(failed).all(|length| length < 6_000);
    prop_assert!(bounded, "{text}");
    Ok(())
}

/// The generator is worth something: a good part of what it makes loads.
#[test]
fn many_random_policies_load() {
    on_a_large_stack(count_loaded);
}

fn count_loaded() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut refused = Vec::new();
    for _ in 0..100 {
        let text = policy().new_tree(&mut runner).unwrap().current();
        refused.extend(load(&text).err().map(|errors| errors.to_string()));
    }
    assert!(
        refused.len() <= 80,
        "{} of 100:\n{}",
        refused.len(),
        refused.join("\n")
    );
}
