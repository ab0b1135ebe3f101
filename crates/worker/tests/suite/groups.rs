//! All of a group happens, or nothing.

use crmgate_domain::State;
use serde_json::json;

use crate::world::{BOTH, System, World};

fn codes(ended: &[crmgate_store::StoredOperation]) -> Vec<(State, String)> {
    let code = |one: &crmgate_store::StoredOperation| {
        let why = one.why.as_ref();
        (
            one.state,
            why.map(|why| why.code.clone()).unwrap_or_default(),
        )
    };
    ended.iter().map(code).collect()
}

#[tokio::test]
async fn a_group_goes_in_one_call() {
    for system in BOTH {
        let world = World::new(system).await;
        let wishes = ["A", "B", "C"].map(|name| world.create(name).group("g"));
        let ended = world.work_off(wishes.to_vec()).await;
        assert!(
            ended.iter().all(|one| one.state == State::Succeeded),
            "{system:?} {:?}",
            codes(&ended)
        );
        assert_eq!(world.calls().len(), 1, "{:?}", world.calls());
        for name in ["A", "B", "C"] {
            assert_eq!(world.count(name).await, 1);
        }
    }
}

#[tokio::test]
async fn one_denied_member_cancels_the_others_before_anything_is_sent() {
    let world = World::new(System::Salesforce).await;
    let wishes = ["A", "Nono", "C"].map(|name| world.create(name).group("g"));
    let ended = world.work_off(wishes.to_vec()).await;
    let codes = codes(&ended);
    assert_eq!(codes[0], (State::Cancelled, "group_refused".to_owned()));
    assert_eq!(codes[1].0, State::Denied);
    assert_eq!(codes[2], (State::Cancelled, "group_refused".to_owned()));
    let told = &ended[0].why.as_ref().unwrap().message;
    assert!(told.contains(&ended[1].id.to_string()), "{told}");
    assert_eq!(world.calls(), Vec::<String>::new());
    assert!(
        ended.iter().all(|one| one.decision.is_some()),
        "all are recorded"
    );
}

#[tokio::test]
async fn one_that_the_crm_refuses_takes_the_others_with_it() {
    for system in BOTH {
        let world = World::new(system).await;
        world.faults(&json!([{"kind": "status", "status": 400, "row": {"holds": "Odd"}}]));
        let wishes = ["A", "Odd", "C"].map(|name| world.create(name).group("g"));
        let ended = world.work_off(wishes.to_vec()).await;
        let codes = codes(&ended);
        assert_eq!(codes[1].0, State::Refused, "{system:?} {codes:?}");
        for other in [0, 2] {
            assert_eq!(
                codes[other],
                (State::Cancelled, "group_refused".to_owned()),
                "{system:?}"
            );
        }
        assert_eq!(world.count("A").await + world.count("C").await, 0);
    }
}

#[tokio::test]
async fn one_held_member_has_the_others_wait() {
    let world = World::new(System::Dynamics).await;
    let wishes = ["A", "Big", "C"].map(|name| world.create(name).group("g"));
    let ids = world.submit(wishes.to_vec()).await;
    let working = world.worker();
    world.reach(&ids[1..2], |state| state == State::Held).await;
    world
        .reach(&[ids[0], ids[2]], |state| state == State::Received)
        .await;
    working.stop().await;
    let waiting = world.see(ids[0]).await;
    assert_eq!(waiting.why.unwrap().code, "group_waits");
    assert_eq!(world.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn a_locked_row_has_the_whole_group_tried_again() {
    for system in BOTH {
        let world = World::new(system).await;
        world.faults(&json!([{"kind": "lock_row", "row": {"holds": "Locked"}, "times": 1}]));
        let wishes = ["A", "Locked"].map(|name| world.create(name).group("g"));
        let ended = world.work_off(wishes.to_vec()).await;
        assert!(
            ended.iter().all(|one| one.state == State::Succeeded),
            "{system:?} {:?}",
            codes(&ended)
        );
        assert_eq!(world.count("A").await, 1);
        assert_eq!(world.count("Locked").await, 1);
    }
}

#[tokio::test]
async fn a_group_whose_answer_is_lost_is_found_out_as_a_whole() {
    for system in BOTH {
        for kind in ["drop_after_commit", "drop_before_commit"] {
            let world = World::new(system).await;
            world.faults(&json!([{"kind": kind, "times": 1, "method": "POST"}]));
            world.made("Before").await;
            let wishes = ["A", "B"].map(|name| world.create(name).group("g"));
            let ended = world.work_off(wishes.to_vec()).await;
            assert!(
                ended.iter().all(|one| one.state == State::Succeeded),
                "{system:?} {kind} {:?}",
                codes(&ended)
            );
            assert_eq!(world.count("A").await, 1);
            assert_eq!(world.count("B").await, 1);
        }
    }
}

#[tokio::test]
async fn what_the_crm_cannot_promise_is_refused_and_says_why() {
    let world = World::new(System::Salesforce).await;
    let record = world.made("Ada").await;
    let before = world.calls().len();
    let wishes = vec![
        world.create("A").group("g"),
        world.update(&record, "1").group("g"),
    ];
    let ended = world.work_off(wishes).await;
    for one in &ended {
        assert_eq!(one.state, State::Refused);
        let why = one.why.as_ref().unwrap();
        assert!(!why.message.is_empty(), "{why:?}");
    }
    assert_eq!(world.calls().len(), before);
}
