//! Whatever the CRM does: one effect, and an end.

use std::time::Duration;

use crmgate_domain::State;
use crmgate_enforce::queued::Tries;
use serde_json::{Value, json};

use crate::world::{BOTH, System, World};

/// Where contacts are created one by one.
fn path(system: System) -> &'static str {
    match system {
        System::Salesforce => "*/sobjects/*",
        System::Dynamics => "*/contacts*",
    }
}

async fn one_effect(fault: Value, calls: usize) {
    for system in BOTH {
        let world = World::new(system).await;
        let record = world.made("Old").await;
        let before = world.calls().len();
        for (name, wish) in [
            ("New", world.create("New")),
            ("Old", world.update(&record, "4711")),
        ] {
            let mut fault = fault.clone();
            fault["path"] = json!(path(system));
            fault["method"] = json!(if name == "New" { "POST" } else { "PATCH" });
            world.faults(&json!([fault]));
            let ended = world.work_off(vec![wish]).await;
            assert_eq!(
                ended[0].state,
                State::Succeeded,
                "{system:?} {name} {:?} {:#?}",
                ended[0].why,
                world.calls()
            );
            assert_eq!(world.count(name).await, 1, "{system:?}");
            world.faults(&json!([]));
        }
        assert_eq!(world.phone("Old").await.as_deref(), Some("4711"));
        let made = world.calls().len() - before;
        assert_eq!(made, calls, "{system:?} {:#?}", world.calls());
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_after_the_write_is_read_back() {
    one_effect(json!({"kind": "drop_after_commit", "times": 1}), 2).await;
}

#[tokio::test]
async fn a_write_that_did_not_arrive_is_made_again() {
    one_effect(json!({"kind": "drop_before_commit", "times": 1}), 4).await;
}

#[tokio::test]
async fn throttles_are_waited_for() {
    let fault = json!({"kind": "status", "status": 429, "retry_after": 1, "times": 1});
    one_effect(fault, 4).await;
}

#[tokio::test]
async fn a_crm_that_cannot_now_can_later() {
    one_effect(json!({"kind": "status", "status": 503, "times": 1}), 4).await;
}

#[tokio::test]
async fn a_locked_row_is_tried_again() {
    one_effect(json!({"kind": "lock_row", "times": 2}), 6).await;
}

#[tokio::test]
async fn a_slow_crm_is_waited_for() {
    one_effect(json!({"kind": "delay", "millis": 400, "times": 1}), 2).await;
}

#[tokio::test]
async fn what_never_arrives_is_dead_in_the_end_and_was_never_written() {
    let mut world = World::new(System::Salesforce).await;
    world.settings.tries = Tries {
        most: 3,
        first: Duration::from_millis(10),
        longest: Duration::from_millis(20),
        ..Tries::default()
    };
    world.rules.breaker.failures = 1_000;
    world
        .faults(&json!([{"kind": "drop_before_commit", "path": "*/sobjects/*", "method": "POST"}]));
    let ended = world.work_off(vec![world.create("Never")]).await;
    assert_eq!(ended[0].state, State::Dead);
    let why = ended[0].why.clone().unwrap();
    assert_eq!(why.code, "not_written");
    assert!(why.message.contains("3 tries"), "{why:?}");
    assert_eq!(ended[0].attempts, 3);
    assert_eq!(world.count("Never").await, 0);
    assert_eq!(world.calls().len(), 3);
}

#[tokio::test]
async fn locks_and_throttles_do_not_count_as_failed_tries() {
    let mut world = World::new(System::Salesforce).await;
    world.settings.tries.most = 2;
    world.faults(&json!([{"kind": "lock_row", "times": 5}]));
    let ended = world.work_off(vec![world.create("Patient")]).await;
    assert_eq!(ended[0].state, State::Succeeded);
    assert_eq!(ended[0].attempts, 0);
    assert_eq!(world.count("Patient").await, 1);
}

/// Without a unique external id a create cannot be found by its key.
async fn unkeyed() -> World {
    let more = json!({"external_id_fields": {}});
    World::with(System::Salesforce, crate::world::gate_settings(), &more).await
}

#[tokio::test]
async fn what_cannot_be_found_out_waits_for_an_operator_with_all_that_is_known() {
    let world = unkeyed().await;
    world.faults(&json!([
        {"kind": "drop_after_commit", "path": "*/sobjects/*", "times": 1, "method": "POST"},
    ]));
    let ids = world.submit(vec![world.create("Lost")]).await;
    let working = world.worker();
    world.reach(&ids, |state| state == State::Uncertain).await;
    working.stop().await;
    let why = world.see(ids[0]).await.why.unwrap();
    assert_eq!(why.code, "outcome_unknown");
    let contacts = world.contacts().await;
    let id = contacts["Lost"][0]["Id"].as_str().unwrap();
    assert!(why.message.contains(id), "{why:?}");
    assert_eq!(contacts["Lost"].len(), 1);
    let posts = world.calls();
    assert_eq!(posts.len(), 1, "never sent twice: {posts:?}");
}

#[tokio::test]
async fn an_unkeyed_create_that_did_not_arrive_is_made_again_once_nothing_more_can_come() {
    let world = unkeyed().await;
    world.faults(&json!([
        {"kind": "drop_before_commit", "path": "*/sobjects/*", "times": 1, "method": "POST"},
    ]));
    let ids = world.submit(vec![world.create("Lost")]).await;
    let working = world.worker();
    world.reach(&ids, |state| state == State::Writing).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(
        world.states(&ids).await,
        [State::Writing],
        "it may still come"
    );
    world.advance(Duration::from_secs(12 * 60));
    world.end(&ids).await;
    working.stop().await;
    assert_eq!(world.states(&ids).await, [State::Succeeded]);
    assert_eq!(world.count("Lost").await, 1);
}

#[tokio::test]
async fn a_record_that_somebody_changes_is_judged_again() {
    let world = World::new(System::Dynamics).await;
    let record = world.made("Ada").await;
    // The first write is held up at the CRM while somebody else writes.
    world.faults(&json!([
        {"kind": "delay", "millis": 500, "path": "*/contacts*", "method": "PATCH", "times": 1},
    ]));
    let ids = world.submit(vec![world.update(&record, "1")]).await;
    let working = world.worker();
    world.reach(&ids, |state| state == State::Writing).await;
    let twin = World::wish(
        &world,
        &json!({"kind": "update", "object": "contact", "id": record, "record": {"last_name": "Eva"}}),
    );
    // In no lane: it does not wait for the other.
    let mut twin = twin;
    twin.0.lane = None;
    let others = world.submit(vec![twin]).await;
    world.end(&others).await;
    world.end(&ids).await;
    working.stop().await;
    assert_eq!(world.states(&ids).await, [State::Succeeded]);
    assert_eq!(world.phone("Eva").await.as_deref(), Some("1"));
}
