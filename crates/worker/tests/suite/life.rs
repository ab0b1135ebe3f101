//! Every way through the states.

use std::sync::Arc;
use std::time::Duration;

use crmgate_domain::{Ambient as _, Effect, Mode, State};
use crmgate_enforce::Gate;
use crmgate_enforce::Settings as GateSettings;
use crmgate_store::{Basis, DecisionLog as _};
use crmgate_store_sql::SqliteStore;
use crmgate_testkit::{FakeConnector, FakeCrm};
use crmgate_worker::LineParts;
use serde_json::json;

use crate::world::{BOTH, Going, System, World, gate_settings, generous, mended, set};

#[tokio::test]
async fn what_is_allowed_is_written_once_and_knows_its_record() {
    for system in BOTH {
        let world = World::new(system).await;
        let wish = world.create("Ada");
        let id = wish.id();
        let ended = world.work_off(vec![wish]).await;
        assert_eq!(ended[0].state, State::Succeeded, "{:?}", ended[0].why);
        assert!(ended[0].record_id.is_some());
        assert_eq!(world.count("Ada").await, 1);
        assert_eq!(
            world.life(id).await,
            [
                State::Received,
                State::Deciding,
                State::Permitted,
                State::Writing,
                State::Succeeded
            ]
        );
        let decision = world.store.decision(ended[0].decision.unwrap()).await;
        let decision = decision.unwrap().unwrap();
        assert_eq!(decision.record.basis, Some(Basis::Judged));
        assert_eq!(decision.record.decision.operation, id);
        assert_eq!(ended[0].millicalls, 1_000);
        assert!(ended[0].lease.is_none());
    }
}

#[tokio::test]
async fn updates_and_deletes_are_written_as_judged() {
    for system in BOTH {
        let world = World::new(system).await;
        let record = world.made("Ada").await;
        // A patch of the policy: what was judged is what is written.
        let ended = world.work_off(vec![world.update(&record, "0")]).await;
        assert_eq!(ended[0].state, State::Succeeded, "{:?}", ended[0].why);
        assert_eq!(world.phone("Ada").await.as_deref(), Some("+49"));
        let delete = json!({"kind": "delete", "object": "contact", "id": record});
        let ended = world.work_off(vec![world.wish(&delete)]).await;
        assert_eq!(ended[0].state, State::Succeeded, "{:?}", ended[0].why);
        assert_eq!(world.count("Ada").await, 0);
    }
}

#[tokio::test]
async fn what_policies_refuse_or_hold_never_reaches_the_crm() {
    for system in BOTH {
        let world = World::new(system).await;
        let ids = world
            .submit(vec![world.create("Nono"), world.create("Big")])
            .await;
        let working = world.worker();
        world.reach(&ids[..1], |state| state == State::Denied).await;
        world.reach(&ids[1..], |state| state == State::Held).await;
        working.stop().await;
        let denied = world.see(ids[0]).await;
        let why = denied.why.unwrap();
        assert_eq!(why.code, "crm.sales.contacts/blocked");
        assert_eq!(why.message, "this name is blocked");
        let held = world.see(ids[1]).await;
        assert!(held.hold.is_some() && held.decision.is_some());
        assert_eq!(world.calls(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_policy_in_error_waits_for_other_policies() {
    let world = World::new(System::Salesforce).await;
    let ids = world.submit(vec![world.create("Broken")]).await;
    let working = world.worker();
    world.reach(&ids, |state| state == State::Unjudged).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.states(&ids).await, [State::Unjudged], "it waits");
    world.policies.publish(&set(&mended()), world.ambient.now());
    world.end(&ids).await;
    working.stop().await;
    assert_eq!(world.states(&ids).await, [State::Succeeded]);
    assert_eq!(world.count("Broken").await, 1);
}

/// A connection of the same gate that comes before all others and has nothing to do.
fn idle(world: &World) -> LineParts {
    let clock = Arc::clone(&world.ambient);
    let crm = Arc::new(FakeCrm::default());
    let parts = crmgate_enforce::Parts {
        connector: Arc::new(FakeConnector::new("aaa", crm, move || clock.now())),
        policies: Arc::clone(&world.policies),
        store: Arc::<SqliteStore>::clone(&world.store),
        ambient: Arc::<Going>::clone(&world.ambient),
    };
    LineParts {
        gate: Arc::new(Gate::new(parts, gate_settings())),
        rules: generous(),
    }
}

#[tokio::test]
async fn other_policies_judge_again_whichever_connection_waits_for_them() {
    let world = World::new(System::Dynamics).await;
    let ids = world.submit(vec![world.create("Broken")]).await;
    let working = world.worker_of(world.log(), vec![idle(&world)]);
    world.reach(&ids, |state| state == State::Unjudged).await;
    let judged = world.see(ids[0]).await.version;
    // Several sweeps, under the policies that have judged it already.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.see(ids[0]).await.version, judged, "it waits");
    world.policies.publish(&set(&mended()), world.ambient.now());
    world.end(&ids).await;
    working.stop().await;
    assert_eq!(world.states(&ids).await, [State::Succeeded]);
}

#[tokio::test]
async fn what_the_crm_refuses_ends_with_its_own_words() {
    for system in BOTH {
        let world = World::new(system).await;
        let absent = match system {
            System::Salesforce => "003000000000001AAA".to_owned(),
            System::Dynamics => "00000000-0000-0000-0000-00000000dead".to_owned(),
        };
        let long = "x".repeat(300);
        let ended = world
            .work_off(vec![world.update(&absent, "1"), world.create(&long)])
            .await;
        for one in &ended {
            assert_eq!(one.state, State::Refused, "{:?}", one.why);
            let why = one.why.as_ref().unwrap();
            assert!(!why.code.is_empty() && !why.message.is_empty());
            assert_eq!(one.attempts, 0);
        }
        assert!(ended[1].decision.is_some(), "it was judged and sent");
    }
}

#[tokio::test]
async fn what_makes_no_operation_is_refused_by_name() {
    let world = World::new(System::Dynamics).await;
    let bad = json!({"kind": "create", "object": "contact", "record": {"no_such_field": 1}});
    let ended = world.work_off(vec![world.wish(&bad)]).await;
    assert_eq!(ended[0].state, State::Refused);
    let why = ended[0].why.clone().unwrap();
    assert!(why.message.contains("no_such_field"), "{why:?}");
    assert_eq!(world.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn what_nobody_wants_any_more_expires() {
    let world = World::new(System::Salesforce).await;
    let soon = world.ambient.now() + Duration::from_secs(1);
    let ids = world.submit(vec![world.create("Late").expires(soon)]).await;
    world.advance(Duration::from_secs(2));
    let working = world.worker();
    world.end(&ids).await;
    working.stop().await;
    assert_eq!(world.states(&ids).await, [State::Expired]);
    assert_eq!(world.count("Late").await, 0);
}

#[tokio::test]
async fn in_observe_mode_everything_is_written_and_the_record_says_what_would_have_been() {
    let observe = GateSettings {
        mode: Mode::Observe,
        ..gate_settings()
    };
    for system in BOTH {
        let world = World::with(system, observe.clone(), &json!({})).await;
        let names = ["Nono", "Big", "Broken", "Fine"];
        let wishes = names.map(|name| world.create(name));
        let ended = world.work_off(wishes.to_vec()).await;
        let mut effects = Vec::new();
        for one in &ended {
            assert_eq!(one.state, State::Succeeded, "{:?}", one.why);
            let decision = world.store.decision(one.decision.unwrap()).await;
            let record = decision.unwrap().unwrap().record;
            assert_eq!(record.basis, Some(Basis::Observed));
            assert_eq!(record.decision.mode, Mode::Observe);
            effects.push(record.decision.judgement.effect);
        }
        assert_eq!(
            effects,
            [
                Effect::Deny,
                Effect::RequireApproval,
                Effect::Error,
                Effect::Allow
            ]
        );
        for name in names {
            assert_eq!(world.count(name).await, 1, "{name}");
        }
    }
}

#[tokio::test]
async fn a_connection_that_fails_open_writes_what_cannot_be_judged() {
    let open = GateSettings {
        fail_open: true,
        ..gate_settings()
    };
    let world = World::with(System::Salesforce, open, &json!({})).await;
    let ended = world
        .work_off(vec![world.create("Broken"), world.create("Nono")])
        .await;
    assert_eq!(ended[0].state, State::Succeeded);
    let decision = world.store.decision(ended[0].decision.unwrap()).await;
    let record = decision.unwrap().unwrap().record;
    assert_eq!(record.basis, Some(Basis::FailedOpen));
    assert_eq!(ended[1].state, State::Denied, "a verdict is a verdict");
}
