//! A decision from parsed values, a record of 30 fields, beside the raw interpreter on the same
//! packages; then with packages that do not govern.

#![expect(clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use crmgate_domain::candidate::PlainCandidate;
use crmgate_domain::{
    Actor, Ambient, Candidate, Change, ConnectionRef, Document, Kind, Object, Operation,
    OperationId, Point, Timestamp, Views,
};
use crmgate_policy::{JudgeOptions, PolicySet, Sources, Target};
use regorus::{Engine, Value};

struct Still;

impl Ambient for Still {
    fn now(&self) -> Timestamp {
        Timestamp::constant(1_773_325_800, 0)
    }

    fn random(&self) -> [u8; 16] {
        [7; 16]
    }
}

fn operation() -> Operation {
    Operation {
        id: OperationId::fresh(&Still),
        kind: Kind::Create,
        requested: None,
        point: Point::Gateway,
        at: Still.now(),
        connection: ConnectionRef {
            name: "acme-sf".parse().unwrap(),
            system: "testcrm".into(),
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
    }
}

fn views() -> Views {
    let record: Object = (0..30)
        .map(|at| (format!("field_{at}"), Document::from(format!("value {at}"))))
        .collect();
    let changes = record.iter().map(|(name, to)| {
        let change = Change {
            from: None,
            to: to.clone(),
        };
        (name.to_owned(), change)
    });
    Views {
        changes: changes.collect(),
        native: Some(record.clone()),
        record: Some(record),
        ..Views::default()
    }
}

fn rules(count: usize) -> String {
    (0..count)
        .map(|at| {
            format!(
                "deny contains {{\"code\": \"c{at}\", \"message\": \"no\"}} if {{\n\tinput.record.field_{at} == \"other\"\n\tstartswith(input.record.field_0, \"x\")\n}}\n"
            )
        })
        .collect()
}

fn package(name: &str, object: &str, rules: &str) -> (String, String) {
    let text = format!(
        "# METADATA\n# title: t\n# custom: {{owner: t, objects: [{object}], operations: [create]}}\npackage {name}\n{rules}"
    );
    (format!("{name}.rego"), text)
}

/// So many packages of so many rules that govern, and so many that do not.
fn packages(governing: usize, each: usize, others: usize) -> Vec<(String, String)> {
    let govern = (0..governing).map(|at| package(&format!("crm.g.p{at}"), "contact", &rules(each)));
    let other = (0..others).map(|at| package(&format!("crm.o.p{at}"), "lead", &rules(5)));
    govern.chain(other).collect()
}

/// The interpreter alone, as fast as it is used well: one prepared engine for each package, its
/// input converted beforehand.
fn raw(packages: &[(String, String)]) -> Vec<(Engine, String)> {
    let record: Vec<String> = (0..30)
        .map(|at| format!("\"field_{at}\": \"value {at}\""))
        .collect();
    let input = format!("{{\"record\": {{{}}}}}", record.join(", "));
    let input = Value::from_json_str(&input).unwrap();
    let engine = |(file, text): &(String, String)| {
        let mut engine = Engine::new();
        let name = engine.add_policy(file.clone(), text.clone()).unwrap();
        engine.set_input(input.clone());
        let rule = format!("{name}.deny");
        engine.eval_rule(rule.clone()).unwrap();
        (engine, rule)
    };
    packages.iter().map(engine).collect()
}

fn judge(c: &mut Criterion) {
    let operation = operation();
    let candidate: Arc<dyn Candidate> = Arc::new(PlainCandidate::new(views()));
    let options = JudgeOptions::default();
    for (governing, each, others) in [
        (1, 20, 0),
        (4, 5, 0),
        (1, 5, 0),
        (10, 5, 0),
        (10, 5, 90),
        (10, 5, 990),
    ] {
        let name = format!("{governing} packages of {each} rules govern");
        let packages = packages(governing, each, others);
        if others == 0 {
            let engines = raw(&packages);
            c.bench_function(&format!("{name}: the interpreter alone"), |b| {
                b.iter(|| {
                    for (engine, rule) in &engines {
                        black_box(engine.clone().eval_rule(rule.clone())).unwrap();
                    }
                });
            });
        }
        let set = PolicySet::load(&Sources::global(packages)).unwrap();
        c.bench_function(&format!("{name}, {others} do not: judge"), |b| {
            b.iter(|| black_box(set.judge(&operation, &candidate, &options)));
        });
    }
    let set = PolicySet::load(&Sources::global(packages(10, 5, 990))).unwrap();
    c.bench_function("governing, 10 packages of 1000", |b| {
        b.iter(|| black_box(set.governing(&Target::from(&operation))));
    });
}

criterion_group!(benches, judge);
criterion_main!(benches);
