//! Invariants 1 and 4: no permit, no write; closed by default.

use std::sync::Arc;
use std::time::Duration;

use crmgate_connector::{Connector as _, Credential, Failure, Outgoing};
use crmgate_domain::Effect;
use crmgate_enforce::Settings;
use crmgate_store::{Basis, Recorder};
use crmgate_testkit::{FakeConnector, Fault};

use crate::world::{World, inability, settings, status};

const ADA: &str = r#"{"Name":"Ada"}"#;

#[tokio::test]
async fn the_decision_is_stored_before_the_crm_sees_the_write() {
    let world = World::new();
    world.crm.close_doors();
    let writing = world.start("POST", "/records/Contact", ADA).await;
    world.arrived(1).await;
    let sent = world.crm.writes();
    let stored = world.store.all_decisions();
    assert_eq!(sent[0].decision, Some(stored[0].decision.id));
    assert!(world.store.all_outcomes().is_empty());
    world.crm.open_doors(1);
    assert_eq!(status(&writing.await.unwrap()), 201);
}

#[tokio::test]
async fn without_a_store_nothing_reaches_the_crm() {
    let world = World::open();
    world.crm.put("Contact", "c1", &[("Name", "x".into())]);
    world.store.set_broken(true);
    for (method, path, body) in [
        ("POST", "/records/Contact", ADA),
        ("PATCH", "/records/Contact/c1", ADA),
        ("DELETE", "/records/Contact/c1", ""),
        ("PUT", "/records/Contact/by/Name/x", ADA),
        ("POST", "/records/Task", ADA),
        ("POST", "/records/Contact", r#"{"Name":"Blocked"}"#),
    ] {
        let answer = world.send(method, path, body).await;
        inability(&answer);
        assert_eq!(answer.decision, None, "no decision is on record");
    }
    assert!(world.crm.journal().is_empty());
    world.store.set_broken(false);
    let answer = world.send("POST", "/records/Contact", ADA).await;
    assert_eq!(status(&answer), 201);
}

#[tokio::test]
async fn failing_open_passes_what_cannot_be_judged_marked_and_recorded() {
    let settings = Settings {
        fail_open: true,
        ..settings()
    };
    let world = World::with(settings, |connector| connector);
    world.crm.fail_lookups(true);
    let body = r#"{ "Name":"Blocked" }"#;
    let answer = world.send("POST", "/records/Contact", body).await;
    assert_eq!(status(&answer), 201);
    assert_eq!(answer.basis, Some(Basis::FailedOpen), "marked");
    assert_eq!(answer.effect, Some(Effect::Error));
    assert_eq!(world.crm.writes()[0].body, body);
    assert_eq!(world.crm.writes()[0].basis, Some(Basis::FailedOpen));
    assert_eq!(
        world.store.all_decisions()[0].basis,
        Some(Basis::FailedOpen)
    );
    world.crm.fail_lookups(false);
    let denied = world.send("POST", "/records/Contact", body).await;
    assert_eq!(denied.effect, Some(Effect::Deny), "a verdict stands");

    world.crm.fail_lookups(true);
    world.store.set_broken(true);
    let unrecorded = world.send("POST", "/records/Contact", body).await;
    inability(&unrecorded);
    assert_eq!(world.crm.writes().len(), 1, "not without a record");
}

#[tokio::test]
async fn a_permit_is_for_what_was_judged_and_for_nothing_else() {
    let world = World::new();
    let ask = world.ask("POST", "/records/Contact", ADA).await;
    let judged = world.gate.judge(&ask).await.unwrap();
    let mut record = allowed(&world, &judged.change.outgoing()).await;
    let log = Arc::<crmgate_testkit::MemoryStore>::clone(&world.store);
    let ambient = Arc::<crmgate_testkit::TestAmbient>::clone(&world.ambient);
    let recorder = Recorder::new(log, ambient);
    let other = judged.change.patched_native(&[patch()]).unwrap();
    let late = Duration::from_secs(31);
    for (outgoing, wait) in [
        (other.outgoing(), Duration::ZERO),
        (judged.change.outgoing(), late),
    ] {
        record.decision.id = crmgate_domain::DecisionId::fresh(world.ambient.as_ref());
        let permit = recorder
            .record(record.clone())
            .await
            .unwrap()
            .permit
            .unwrap();
        world.ambient.advance(wait);
        let before = world.crm.writes().len();
        let result = world
            .gate
            .connector()
            .write(permit, outgoing, &Credential::Service)
            .await;
        assert!(
            matches!(result, Err(Failure::Repeatable { .. })),
            "{result:?}"
        );
        assert_eq!(world.crm.writes().len(), before, "nothing was sent");
    }
    let elsewhere = FakeConnector::new("other", Arc::clone(&world.crm), || {
        "2026-03-01T12:00:00Z".parse().unwrap()
    });
    record.decision.id = crmgate_domain::DecisionId::fresh(world.ambient.as_ref());
    let permit = recorder.record(record).await.unwrap().permit.unwrap();
    let result = elsewhere
        .write(permit, judged.change.outgoing(), &Credential::Service)
        .await;
    assert!(
        matches!(result, Err(Failure::Repeatable { .. })),
        "{result:?}"
    );
}

/// The record of an allowed write with that payload.
async fn allowed(world: &World, outgoing: &Outgoing) -> crmgate_store::DecisionRecord {
    world.send("POST", "/records/Contact", ADA).await;
    let mut record = world.store.all_decisions().remove(0);
    record.payload_hash = Some(outgoing.hash());
    record
}

fn patch() -> crmgate_domain::Patch {
    crmgate_domain::Patch {
        op: crmgate_domain::PatchOp::Set,
        field: crmgate_domain::FieldRef("name".to_owned()),
        value: "Mallory".into(),
        package: "crm.x.y".to_owned(),
    }
}

#[tokio::test]
async fn a_record_that_changed_is_judged_again_on_what_it_is_now() {
    let world = World::new();
    world.crm.put("Contact", "c1", &[("State", "open".into())]);
    world.crm.close_doors();
    let writing = world.start("PATCH", "/records/Contact/c1", ADA).await;
    world.arrived(1).await;
    world
        .crm
        .put("Contact", "c1", &[("State", "locked".into())]);
    world.crm.open_doors(1);
    let answer = writing.await.unwrap();
    assert_eq!(answer.effect, Some(Effect::Deny), "{answer:?}");
    assert_eq!(world.crm.writes().len(), 1);
    let decisions = world.store.all_decisions();
    let rounds: Vec<u32> = decisions.iter().map(|record| record.round).collect();
    assert_eq!(rounds, [0, 1]);
    let operations: Vec<_> = decisions.iter().map(|r| r.decision.operation).collect();
    assert_eq!(operations[0], operations[1], "one operation");
    let stored = world.crm.get("Contact", "c1").unwrap();
    assert_eq!(stored.get("Name"), None);
}

#[tokio::test]
async fn a_record_that_keeps_changing_is_given_up_after_three_rounds() {
    let world = World::new();
    world.crm.put("Contact", "c1", &[("State", "open".into())]);
    world.crm.fault(std::iter::repeat_n(Fault::Mismatch, 10));
    let answer = world.send("PATCH", "/records/Contact/c1", ADA).await;
    assert!(
        inability(&answer).contains("changed by others"),
        "{answer:?}"
    );
    world.gate.finish().await;
    assert_eq!(world.crm.writes().len(), 3);
    let decisions = world.store.all_decisions();
    let rounds: Vec<u32> = decisions.iter().map(|record| record.round).collect();
    assert_eq!(rounds, [0, 1, 2]);
    assert_eq!(
        answer.decision,
        decisions.last().map(|record| record.decision.id)
    );
    let outcomes = world.store.all_outcomes();
    assert!(
        outcomes
            .iter()
            .all(|o| o.kind == crmgate_store::OutcomeKind::VersionMismatch)
    );
    assert_eq!(outcomes.len(), 3);
}

#[tokio::test]
async fn more_than_may_be_under_way_are_told_to_come_back() {
    let settings = Settings {
        concurrency: 1,
        judge_within: Duration::from_millis(50),
        ..settings()
    };
    let world = World::with(settings, |connector| connector);
    world.crm.close_doors();
    let first = world.start("POST", "/records/Contact", ADA).await;
    world.arrived(1).await;
    let second = world
        .send("POST", "/records/Contact", r#"{"Name":"Bob"}"#)
        .await;
    assert!(inability(&second).contains("too many"), "{second:?}");
    world.crm.open_doors(1);
    assert_eq!(status(&first.await.unwrap()), 201);
}
