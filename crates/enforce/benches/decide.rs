//! A whole decision, from a request's body to a record that is ready to be stored: parsed, looked
//! up, judged by 20 rules, masked, named and handed over. Beside it the raw interpreter on the same
//! packages, its input made from the same parsed JSON.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark"
)]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group};
use crmgate_connector::{Connector as _, Credential};
use crmgate_domain::{Actor, Ambient as _, Effect, Point};
use crmgate_enforce::{Ask, Caller, Gate, Parts, Settings};
use crmgate_policy::{Active, PolicySet, Sources};
use crmgate_testkit::{FakeConnector, MemoryStore, TestAmbient, request};
use regorus::{Engine, Value};

/// How many decisions a store in memory takes before it is replaced: it keeps all.
const CHUNK: u64 = 500;

fn packages() -> Vec<(String, String)> {
    let rule = |at: usize| {
        format!(
            "deny contains {{\"code\": \"c{at}\", \"message\": \"no\"}} if {{\n\tinput.record.field_{at} == \
             \"other\"\n\tstartswith(input.record.field_0, \"x\")\n}}\n"
        )
    };
    let package = |at: usize| {
        let rules: String = (at * 5..at * 5 + 5).map(rule).collect();
        let text = format!(
            "# METADATA\n# title: t\n# custom: {{owner: t, objects: [contact], operations: \
             [create]}}\npackage crm.g.p{at}\n{rules}"
        );
        (format!("p{at}.rego"), text)
    };
    (0..4).map(package).collect()
}

/// A contact of 30 fields.
fn body() -> String {
    let fields: Vec<String> = (0..30)
        .map(|at| format!("\"Field_{at}\": \"value {at}\""))
        .collect();
    format!("{{{}}}", fields.join(", "))
}

struct World {
    gate: Arc<Gate>,
    connector: Arc<FakeConnector>,
    ambient: Arc<TestAmbient>,
}

impl World {
    fn new(policies: &Arc<Active>) -> Self {
        let ambient = Arc::new(TestAmbient::default());
        let clock = Arc::clone(&ambient);
        let connector = FakeConnector::new("acme", Arc::default(), move || clock.now());
        let connector = Arc::new(connector);
        let parts = Parts {
            connector: Arc::<FakeConnector>::clone(&connector),
            policies: Arc::clone(policies),
            store: Arc::new(MemoryStore::default()),
            ambient: Arc::<TestAmbient>::clone(&ambient),
        };
        Self {
            gate: Arc::new(Gate::new(parts, Settings::default())),
            connector,
            ambient,
        }
    }

    async fn decide(&self, body: &str) {
        let native = request("POST", "/records/Contact", body);
        let ask = Ask {
            draft: self.connector.parse(native).await.unwrap(),
            caller: Caller {
                actor: Actor {
                    id: "u1".to_owned(),
                    ..Actor::default()
                },
                org: None,
                credential: Credential::Caller("t1".into()),
            },
            point: Point::Gateway,
            at: self.ambient.now(),
            purpose: None,
            parsing: Duration::ZERO,
            later: None,
        };
        let decided = self.gate.decide(&ask).await;
        let decided = decided.unwrap_or_else(|_| unreachable!("the request is sound"));
        assert_eq!(decided.decision.judgement.effect, Effect::Allow);
    }
}

fn raw() -> Vec<(Engine, String)> {
    let engine = |(file, text): &(String, String)| {
        let mut engine = Engine::new();
        let name = engine.add_policy(file.clone(), text.clone()).unwrap();
        engine.set_input(Value::new_object());
        let rule = format!("{name}.deny");
        engine.eval_rule(rule.clone()).unwrap();
        (engine, rule)
    };
    packages().iter().map(engine).collect()
}

fn decide(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let body = body();
    let engines = raw();
    let parsed: serde_json::Value =
        serde_json::from_str(&format!("{{\"record\": {}}}", body.to_lowercase())).unwrap();
    c.bench_function("the interpreter alone, from parsed JSON", |b| {
        b.iter(|| {
            let input = Value::from(black_box(&parsed).clone());
            for (engine, rule) in &engines {
                let mut engine = engine.clone();
                engine.set_input(input.clone());
                black_box(engine.eval_rule(rule.clone())).unwrap();
            }
        });
    });
    let set = PolicySet::load(&Sources::global(packages())).unwrap();
    let now = TestAmbient::default().now();
    let policies = Arc::new(Active::new(Arc::new(set), now));
    c.bench_function("a decision, ready to be recorded", |b| {
        b.iter_custom(|times| {
            let mut taken = Duration::ZERO;
            let mut left = times;
            while left > 0 {
                let world = World::new(&policies);
                let now = left.min(CHUNK);
                let start = Instant::now();
                runtime.block_on(async {
                    for _ in 0..now {
                        world.decide(&body).await;
                    }
                });
                taken += start.elapsed();
                left -= now;
            }
            taken
        });
    });
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

criterion_group!(benches, decide);

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
    // `cargo test --benches` and the like run this without meaning to measure.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let whole = median("a decision, ready to be recorded");
    if let Some((whole, raw)) = whole.zip(median("the interpreter alone, from parsed JSON")) {
        println!(
            "\n{:6.2}  a decision ({:.0} us) to the interpreter alone ({:.0} us)",
            whole / raw,
            whole / 1e3,
            raw / 1e3
        );
    }
}
