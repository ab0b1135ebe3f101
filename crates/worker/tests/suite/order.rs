//! Lanes, dependencies, priorities.

use crmgate_domain::State;

use crate::world::{BOTH, System, World};

#[tokio::test]
async fn changes_of_one_record_happen_in_the_order_in_which_they_came() {
    for system in BOTH {
        let world = World::new(system).await;
        let record = world.made("Hot").await;
        let other = world.made("Cold").await;
        let mut wishes: Vec<_> = (0..15)
            .map(|nth| world.update(&record, &format!("{nth}")))
            .collect();
        wishes.push(world.update(&other, "cold"));
        let ended = world.work_off(wishes).await;
        assert!(ended.iter().all(|one| one.state == State::Succeeded));
        assert_eq!(world.phone("Hot").await.as_deref(), Some("14"));
        assert_eq!(world.phone("Cold").await.as_deref(), Some("cold"));
        // One after the other: each began when the one before had ended.
        for pair in ended[..15].windows(2) {
            assert!(pair[0].updated_at <= pair[1].updated_at);
        }
    }
}

#[tokio::test]
async fn what_depends_on_something_waits_for_it_or_is_cancelled_with_it() {
    let world = World::new(System::Salesforce).await;
    let parent = world.create("Parent");
    let child = world.create("Child").after(parent.id());
    let blocked = world.create("Nono");
    let orphan = world.create("Orphan").after(blocked.id());
    let last = world.create("Last").after(orphan.id());
    let ended = world
        .work_off(vec![child, orphan, last, parent, blocked])
        .await;
    let states: Vec<State> = ended.iter().map(|one| one.state).collect();
    assert_eq!(
        states,
        [
            State::Succeeded,
            State::Cancelled,
            State::Cancelled,
            State::Succeeded,
            State::Denied
        ]
    );
    assert!(ended[0].updated_at >= ended[3].updated_at);
    assert_eq!(world.count("Orphan").await + world.count("Last").await, 0);
}

#[tokio::test]
async fn a_held_operation_leaves_its_lane_to_the_next() {
    let world = World::new(System::Dynamics).await;
    let record = world.made("Ada").await;
    let mut held = world.wish(&serde_json::json!({
        "kind": "update", "object": "contact", "id": record, "record": {"last_name": "Big"},
    }));
    held.0.lane = Some(record.clone());
    let ids = world.submit(vec![held, world.update(&record, "7")]).await;
    let working = world.worker();
    world.end(&ids[1..]).await;
    world.reach(&ids[..1], |state| state == State::Held).await;
    working.stop().await;
    assert_eq!(world.phone("Ada").await.as_deref(), Some("7"));
}
