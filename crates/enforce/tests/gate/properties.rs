//! Whatever goes wrong, in whatever order.

use std::collections::BTreeMap;
use std::time::Duration;

use crmgate_domain::{DecisionId, Mode};
use crmgate_enforce::{Reply, Settings};
use crmgate_store::{Basis, OutcomeKind};
use crmgate_testkit::Fault;
use proptest::prelude::*;

use crate::world::{World, settings};

#[derive(Debug, Clone)]
enum Step {
    Create(u8),
    Update(u8),
    Delete,
    Fault(Fault),
    Store(bool),
    Lookups(bool),
    Outcomes(bool),
    ReadBacks(bool),
    Wait(u64),
    Sweep,
    SomebodyElse,
}

fn step() -> impl Strategy<Value = Step> {
    let fault = prop_oneof![
        Just(Fault::Mismatch),
        any::<bool>().prop_map(|committed| Fault::Lost { committed }),
        Just(Fault::Busy { retry_after: None }),
        Just(Fault::Refuse("RULE".to_owned())),
    ];
    prop_oneof![
        4 => (0..6_u8).prop_map(Step::Create),
        4 => (0..6_u8).prop_map(Step::Update),
        1 => Just(Step::Delete),
        3 => fault.prop_map(Step::Fault),
        1 => any::<bool>().prop_map(Step::Store),
        1 => any::<bool>().prop_map(Step::Lookups),
        1 => any::<bool>().prop_map(Step::Outcomes),
        1 => any::<bool>().prop_map(Step::ReadBacks),
        1 => (1..200_u64).prop_map(Step::Wait),
        1 => Just(Step::Sweep),
        1 => Just(Step::SomebodyElse),
    ]
}

const BODIES: [&str; 6] = [
    r#"{"Name":"Ada"}"#,
    r#"{"Name":"Blocked"}"#,
    r#"{"Name":"Bob","Phone":"0"}"#,
    r#"{"Name":"Big","Size":500}"#,
    r#"{"Name":"Broken","Zero":0}"#,
    r#"{"Name":"Odd"}"#,
];

async fn play(world: &World, steps: Vec<Step>) {
    world.crm.put("Contact", "c1", &[("State", "open".into())]);
    let sweeper = world.sweeper(&world.gate);
    let body = |index: u8| *BODIES.get(usize::from(index)).unwrap();
    for step in steps {
        let (method, path, body) = match step {
            Step::Create(index) => ("POST", "/records/Contact", body(index)),
            Step::Update(index) => ("PATCH", "/records/Contact/c1", body(index)),
            Step::Delete => ("DELETE", "/records/Contact/c1", ""),
            other => {
                disturb(world, &sweeper, other).await;
                continue;
            }
        };
        let before = created(world);
        let answer = world.send(method, path, body).await;
        if answer.basis.is_none() && matches!(answer.reply, Reply::Refused(_)) && method == "POST" {
            let told_unknown = answer.effect == Some(crmgate_domain::Effect::Allow);
            assert!(
                created(world) == before || told_unknown,
                "refused and written: {answer:?}"
            );
        }
    }
}

fn created(world: &World) -> usize {
    world.crm.all("Contact").len()
}

async fn disturb(world: &World, sweeper: &crmgate_enforce::Sweeper, step: Step) {
    match step {
        Step::Fault(fault) => world.crm.fault([fault]),
        Step::Store(broken) => world.store.set_broken(broken),
        Step::Lookups(fail) => world.crm.fail_lookups(fail),
        Step::Outcomes(broken) => world.store.set_outcomes_broken(broken),
        Step::ReadBacks(fail) => world.crm.fail_read_backs(fail),
        Step::Wait(seconds) => world.ambient.advance(Duration::from_secs(seconds)),
        Step::Sweep => {
            // With a broken store it fails; the next one goes on.
            let _ = sweeper.run_once().await;
        }
        Step::SomebodyElse => world.crm.put("Contact", "c1", &[("Other", "x".into())]),
        Step::Create(_) | Step::Update(_) | Step::Delete => {}
    }
}

/// What must hold at any time.
fn check(world: &World, mode: Mode) {
    let decisions: BTreeMap<DecisionId, _> = world
        .store
        .all_decisions()
        .into_iter()
        .map(|record| (record.decision.id, record))
        .collect();
    let mut sent: BTreeMap<DecisionId, usize> = BTreeMap::new();
    for write in world.crm.writes() {
        let id = write.decision.unwrap();
        let Some(record) = decisions.get(&id) else {
            assert_eq!(mode, Mode::Observe, "a write without a recorded decision");
            continue;
        };
        assert_eq!(record.basis, write.basis);
        if mode == Mode::Enforce {
            assert_eq!(write.basis, Some(Basis::Judged));
            assert_eq!(
                record.decision.judgement.effect,
                crmgate_domain::Effect::Allow
            );
            assert!(!write.body.contains("Blocked") && !write.body.contains("\"0\""));
        }
        *sent.entry(id).or_default() += 1;
    }
    assert!(
        sent.values().all(|times| *times == 1),
        "a permit was used twice"
    );
    for outcome in world.store.all_outcomes() {
        let record = decisions.get(&outcome.decision).unwrap();
        if outcome.kind == OutcomeKind::Refused || outcome.kind == OutcomeKind::VersionMismatch {
            assert!(
                sent.contains_key(&record.decision.id),
                "an outcome of nothing"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_write_without_its_recorded_decision(
        steps in prop::collection::vec(step(), 1..40),
        observe in any::<bool>(),
    ) {
        let mode = if observe { Mode::Observe } else { Mode::Enforce };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::with(Settings { mode, ..settings() }, |connector| connector);
            play(&world, steps).await;
            check(&world, mode);
            // Once everything works again, every write comes to a final end.
            disturb(&world, &world.sweeper(&world.gate), Step::Store(false)).await;
            world.store.set_outcomes_broken(false);
            world.crm.fail_read_backs(false);
            world.gate.finish().await;
            world.ambient.advance(Duration::from_secs(200));
            let swept = world.sweeper(&world.gate).run_once().await.unwrap();
            assert_eq!(swept.left, 0);
            check(&world, mode);
        });
    }
}
