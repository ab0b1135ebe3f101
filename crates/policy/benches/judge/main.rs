//! A judgement of a record of 30 fields, beside the raw interpreter on the same packages; with
//! packages that do not govern; and by two threads at once. At the end the ratios are printed.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark"
)]

mod opa;

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group};
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

/// What the packages look at, as JSON.
fn input() -> String {
    let record: Vec<String> = (0..30)
        .map(|at| format!("\"field_{at}\": \"value {at}\""))
        .collect();
    format!("{{\"record\": {{{}}}}}", record.join(", "))
}

/// The interpreter alone, as fast as it is used well: one prepared engine for each package, its
/// input converted beforehand.
fn raw(packages: &[(String, String)]) -> Vec<(Engine, String)> {
    let input = Value::from_json_str(&input()).unwrap();
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
        (10, 2, 0),
        (10, 2, 90),
        (10, 2, 990),
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
        let set = PolicySet::load_for(&Sources::global(packages), 2).unwrap();
        c.bench_function(&format!("{name}, {others} do not: judge"), |b| {
            b.iter(|| black_box(set.judge(&operation, &candidate, &options)));
        });
    }
    let set = PolicySet::load(&Sources::global(packages(10, 2, 990))).unwrap();
    c.bench_function("governing, 10 packages of 1000", |b| {
        b.iter(|| black_box(set.governing(&Target::from(&operation))));
    });
}

/// As many judgements as asked, by so many threads at once, each with a record of its own.
fn by_threads(set: &PolicySet, threads: usize, each: u64) -> Duration {
    let ready = Barrier::new(threads + 1);
    std::thread::scope(|scope| {
        let working: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let operation = operation();
                    let candidate: Arc<dyn Candidate> = Arc::new(PlainCandidate::new(views()));
                    let options = JudgeOptions::default();
                    ready.wait();
                    for _ in 0..each {
                        black_box(set.judge(&operation, &candidate, &options));
                    }
                })
            })
            .collect();
        ready.wait();
        let start = Instant::now();
        working
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        start.elapsed()
    })
}

fn threads(c: &mut Criterion) {
    let set = PolicySet::load_for(&Sources::global(packages(4, 5, 0)), 2).unwrap();
    for threads in [1, 2] {
        c.bench_function(
            &format!("4 packages of 5 rules, {threads} threads: judge"),
            |b| {
                b.iter_custom(|times| by_threads(&set, threads, times));
            },
        );
    }
}

/// The median of a benchmark that ran, in nanoseconds.
fn median(name: &str) -> Option<f64> {
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    );
    let file = folder
        .join("criterion")
        .join(name)
        .join("new/estimates.json");
    let estimates: serde_json::Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    estimates["median"]["point_estimate"].as_f64()
}

fn ratios() {
    println!();
    for (what, over, under, aim) in [
        (
            "judging by 1 package of 20 rules, to the interpreter alone",
            "1 packages of 20 rules govern, 0 do not_ judge",
            "1 packages of 20 rules govern_ the interpreter alone",
            "<= 1.25",
        ),
        (
            "judging by 4 packages of 5 rules, to the interpreter alone",
            "4 packages of 5 rules govern, 0 do not_ judge",
            "4 packages of 5 rules govern_ the interpreter alone",
            "<= 1.25",
        ),
        (
            "judging by 10 packages of 2 rules, to the interpreter alone",
            "10 packages of 2 rules govern, 0 do not_ judge",
            "10 packages of 2 rules govern_ the interpreter alone",
            "<= 1.25",
        ),
        (
            "10 of 100 packages govern, to 10 of 10",
            "10 packages of 2 rules govern, 90 do not_ judge",
            "10 packages of 2 rules govern, 0 do not_ judge",
            "<= 1.20",
        ),
        (
            "10 of 1000 packages govern, to 10 of 10",
            "10 packages of 2 rules govern, 990 do not_ judge",
            "10 packages of 2 rules govern, 0 do not_ judge",
            "<= 1.20",
        ),
    ] {
        if let Some((over, under)) = median(over).zip(median(under)) {
            println!("{:6.2}  {what} (aim {aim})", over / under);
        }
    }
    let threads = |n: u8| median(&format!("4 packages of 5 rules, {n} threads_ judge"));
    if let Some((one, two)) = threads(1).zip(threads(2)) {
        println!(
            "{:6.2}  judgements by two threads, to one (aim >= 1.80)",
            2.0 * one / two
        );
    }
}

/// OPA on the same packages and input, beside what was just measured.
fn beside_opa() {
    let Some(opa) = opa::find() else {
        println!("OPA is not on this machine: not measured beside it");
        return;
    };
    for (governing, each, others) in [(1, 20, 0), (4, 5, 0), (10, 2, 0), (10, 2, 990)] {
        let name = format!("{governing} packages of {each} rules govern, {others} do not_ judge");
        let Some(ours) = median(&name) else { continue };
        let taken = opa::measure(&opa, &packages(governing, each, others), &input());
        println!(
            "{:6.2}  OPA in its process ({:.0} us) to judging ({:.0} us), {governing} packages of {each} \
             rules, {others} others",
            taken.inside / ours,
            taken.inside / 1e3,
            ours / 1e3,
        );
        println!(
            "{:6.2}  OPA over its HTTP API ({:.0} us) to judging",
            taken.over_http / ours,
            taken.over_http / 1e3
        );
    }
}

criterion_group!(benches, judge, threads);

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
    // `cargo test --benches` and the like run this without meaning to measure.
    if std::env::args().any(|argument| argument == "--bench") {
        ratios();
        beside_opa();
    }
}
