//! Many operations in few calls.

use crmgate_domain::State;
use serde_json::json;

use crate::world::{BOTH, System, World};

#[tokio::test]
async fn a_thousand_creates_take_few_calls_and_each_is_there_once() {
    for (system, most) in [(System::Salesforce, 12), (System::Dynamics, 20)] {
        let world = World::new(system).await;
        let wishes = (0..1_000).map(|nth| world.create(&format!("Many {nth:04}")));
        let ended = world.work_off(wishes.collect()).await;
        assert!(
            ended.iter().all(|one| one.state == State::Succeeded),
            "{:?}",
            ended.iter().find(|one| one.state != State::Succeeded)
        );
        let calls = world.calls().len();
        assert!(calls <= most, "{system:?}: {calls} calls");
        let contacts = world.contacts().await;
        let many = contacts
            .iter()
            .filter(|(name, _)| name.starts_with("Many "));
        assert!(many.clone().all(|(_, rows)| rows.len() == 1));
        assert_eq!(many.count(), 1_000);
        // What a call took is told in parts.
        let millicalls: u64 = ended.iter().map(|one| one.millicalls).sum();
        let told = u64::try_from(calls).unwrap() * 1_000;
        assert!(
            millicalls >= told && millicalls < told + 1_000,
            "{millicalls}"
        );
    }
}

#[tokio::test]
async fn rows_of_a_call_end_each_by_itself() {
    for system in BOTH {
        let world = World::new(system).await;
        world.faults(&json!([
            {"kind": "lock_row", "row": {"holds": "Locked"}, "times": 2},
            {"kind": "status", "status": 400, "row": {"holds": "Odd"}},
        ]));
        let names = ["One", "Locked", "Two", "Odd", "Three", "Nono"];
        let ended = world
            .work_off(names.map(|name| world.create(name)).to_vec())
            .await;
        let states: Vec<State> = ended.iter().map(|one| one.state).collect();
        assert_eq!(states[0], State::Succeeded, "{system:?}");
        assert_eq!(states[1], State::Succeeded, "{system:?} {:?}", ended[1].why);
        assert_eq!(states[2], State::Succeeded);
        assert_eq!(states[3], State::Refused, "{system:?} {:?}", ended[3].why);
        assert_eq!(states[4], State::Succeeded);
        assert_eq!(states[5], State::Denied);
        for name in ["One", "Locked", "Two", "Three"] {
            assert_eq!(world.count(name).await, 1, "{system:?} {name}");
        }
        assert_eq!(world.count("Odd").await + world.count("Nono").await, 0);
    }
}

#[tokio::test]
async fn a_call_whose_answer_is_lost_is_read_back_row_by_row() {
    for system in BOTH {
        for kind in ["drop_after_commit", "drop_before_commit"] {
            let world = World::new(system).await;
            let wishes: Vec<_> = (0..20)
                .map(|nth| world.create(&format!("Row {nth}")))
                .collect();
            world.made("Before").await;
            world.faults(&json!([{"kind": kind, "times": 1, "method": "POST"}]));
            let ended = world.work_off(wishes).await;
            for (nth, one) in ended.iter().enumerate() {
                assert_eq!(
                    one.state,
                    State::Succeeded,
                    "{system:?} {kind} {:?}",
                    one.why
                );
                assert_eq!(world.count(&format!("Row {nth}")).await, 1, "{kind}");
            }
        }
    }
}
