//! Invariant 3: writes whose answer never came.

use std::sync::Arc;
use std::time::Duration;

use crmgate_enforce::{Settings, Swept};
use crmgate_store::OutcomeKind;
use crmgate_testkit::Fault;

use crate::world::{World, id, inability, settings, status};

const ADA: &str = r#"{"Name":"Ada"}"#;
const LOST: Fault = Fault::Lost { committed: false };
const DONE: Fault = Fault::Lost { committed: true };

#[tokio::test]
async fn a_lost_answer_is_read_back_at_once() {
    let world = World::new();
    world.crm.fault([DONE]);
    let answer = world.send("POST", "/records/Contact", ADA).await;
    assert_eq!(status(&answer), 201);
    let decision = answer.decision.unwrap();
    let record = id(answer);
    assert_eq!(world.crm.all("Contact").len(), 1);
    assert!(world.crm.get("Contact", &record).is_some());
    world.gate.finish().await;
    assert_eq!(world.outcome(decision), Some(OutcomeKind::Succeeded));
    assert_eq!(world.crm.writes().len(), 1, "never sent twice");
}

#[tokio::test]
async fn a_write_that_may_still_happen_is_not_repeated_until_it_is_settled() {
    let world = World::new();
    world.crm.fault([LOST]);
    let first = world.send("POST", "/records/Contact", ADA).await;
    assert!(inability(&first).contains("not known yet"), "{first:?}");
    let repeat = world.send("POST", "/records/Contact", ADA).await;
    assert!(inability(&repeat).contains("equal create"), "{repeat:?}");
    assert_ne!(repeat.decision, first.decision);
    let other = world
        .send("POST", "/records/Contact", r#"{"Name":"Bob"}"#)
        .await;
    assert_eq!(status(&other), 201, "another one is on its own");
    assert_eq!(world.crm.writes().len(), 2);

    world.ambient.advance(Duration::from_secs(11));
    let again = world.send("POST", "/records/Contact", ADA).await;
    assert_eq!(status(&again), 201, "it did not happen, so it may now");
    world.gate.finish().await;
    assert_eq!(
        world.outcome(first.decision.unwrap()),
        Some(OutcomeKind::NotWritten)
    );
    assert_eq!(world.crm.all("Contact").len(), 2);
}

#[tokio::test]
async fn a_repeat_finds_the_record_that_the_first_one_made() {
    let world = World::new();
    world.crm.fault([DONE]);
    world.crm.fail_read_backs(true);
    let first = world.send("POST", "/records/Contact", ADA).await;
    inability(&first);
    world.crm.fail_read_backs(false);
    let repeat = world.send("POST", "/records/Contact", ADA).await;
    assert_eq!(status(&repeat), 201);
    let decision = repeat.decision.unwrap();
    let record = id(repeat);
    assert_eq!(world.crm.all("Contact").len(), 1, "one record");
    assert_eq!(world.crm.all("Contact")[0].0, record);
    world.gate.finish().await;
    assert_eq!(
        world.outcome(first.decision.unwrap()),
        Some(OutcomeKind::Succeeded)
    );
    assert_eq!(world.outcome(decision), Some(OutcomeKind::Succeeded));
}

#[tokio::test]
async fn the_sweeper_settles_what_an_earlier_process_left() {
    let world = World::new();
    world.crm.put("Contact", "c1", &[("State", "open".into())]);
    world.crm.fail_read_backs(true);
    world.crm.fault([DONE, LOST, DONE]);
    let created = world.send("POST", "/records/Contact", ADA).await;
    let not = world
        .send("POST", "/records/Contact", r#"{"Name":"Bob"}"#)
        .await;
    let updated = world
        .send("PATCH", "/records/Contact/c1", r#"{"Name":"Cyd"}"#)
        .await;
    world.gate.finish().await;
    for answer in [&created, &not, &updated] {
        inability(answer);
        assert_eq!(
            world.outcome(answer.decision.unwrap()),
            Some(OutcomeKind::Unknown)
        );
    }
    let gate = world.restarted();
    let sweeper = world.sweeper(&gate);
    world.crm.fail_read_backs(false);
    world.ambient.advance(Duration::from_secs(1));
    let soon = sweeper.run_once().await.unwrap();
    assert_eq!(
        soon,
        Swept {
            settled: 0,
            left: 3
        },
        "too early to tell"
    );
    world.ambient.advance(Duration::from_secs(11));
    world.crm.fail_read_backs(true);
    assert_eq!(
        sweeper.run_once().await.unwrap(),
        Swept {
            settled: 0,
            left: 3
        }
    );
    world.crm.fail_read_backs(false);
    assert_eq!(
        sweeper.run_once().await.unwrap(),
        Swept {
            settled: 3,
            left: 0
        }
    );
    assert_eq!(sweeper.run_once().await.unwrap(), Swept::default());
    for (answer, kind) in [
        (created, OutcomeKind::Succeeded),
        (not, OutcomeKind::NotWritten),
        (updated, OutcomeKind::Succeeded),
    ] {
        assert_eq!(world.outcome(answer.decision.unwrap()), Some(kind));
    }
    assert_eq!(world.crm.writes().len(), 3, "the sweeper writes nothing");
}

#[tokio::test]
async fn what_cannot_be_told_is_uncertain_once_nothing_can_join_it() {
    let world = World::new();
    world.crm.put("Contact", "c1", &[("State", "open".into())]);
    world.crm.fault([LOST]);
    world.crm.fail_read_backs(true);
    let answer = world.send("PATCH", "/records/Contact/c1", ADA).await;
    inability(&answer);
    world.gate.finish().await;
    world.crm.fail_read_backs(false);
    world
        .crm
        .put("Contact", "c1", &[("Name", "somebody else's".into())]);
    let gate = world.restarted();
    let sweeper = world.sweeper(&gate);
    world.ambient.advance(Duration::from_secs(60));
    assert_eq!(
        sweeper.run_once().await.unwrap(),
        Swept {
            settled: 0,
            left: 1
        }
    );
    world.ambient.advance(Duration::from_secs(61));
    assert_eq!(
        sweeper.run_once().await.unwrap(),
        Swept {
            settled: 1,
            left: 0
        }
    );
    assert_eq!(
        world.outcome(answer.decision.unwrap()),
        Some(OutcomeKind::Uncertain)
    );
}

#[tokio::test]
async fn without_a_credential_to_look_with_it_is_uncertain_in_the_end() {
    let world = World::with(settings(), crmgate_testkit::FakeConnector::without_service);
    world.crm.fault([DONE]);
    world.crm.fail_read_backs(true);
    let answer = world.send("POST", "/records/Contact", ADA).await;
    inability(&answer);
    world.gate.finish().await;
    let sweeper = world.sweeper(&world.gate);
    world.ambient.advance(Duration::from_secs(60));
    assert_eq!(sweeper.run_once().await.unwrap().left, 1);
    world.ambient.advance(Duration::from_secs(61));
    assert_eq!(sweeper.run_once().await.unwrap().settled, 1);
    let kind = world.outcome(answer.decision.unwrap());
    assert_eq!(kind, Some(OutcomeKind::Uncertain));
}

#[tokio::test]
async fn the_sweeper_leaves_alone_what_is_under_way() {
    let world = World::with(
        Settings {
            settle: Duration::ZERO,
            ..settings()
        },
        |connector| connector,
    );
    world.crm.close_doors();
    let writing = world.start("POST", "/records/Contact", ADA).await;
    world.arrived(1).await;
    world.ambient.advance(Duration::from_secs(300));
    let sweeper = world.sweeper(&world.gate);
    assert_eq!(sweeper.run_once().await.unwrap(), Swept::default());
    world.crm.open_doors(1);
    let answer = writing.await.unwrap();
    assert_eq!(status(&answer), 201);
    world.gate.finish().await;
    assert_eq!(
        world.outcome(answer.decision.unwrap()),
        Some(OutcomeKind::Succeeded)
    );
}

#[tokio::test]
async fn an_outcome_that_cannot_be_stored_hides_no_answer_and_is_stored_later() {
    let world = World::new();
    world.store.set_outcomes_broken(true);
    let answer = world.send("POST", "/records/Contact", ADA).await;
    assert_eq!(status(&answer), 201);
    world.gate.finish().await;
    assert!(world.store.all_outcomes().is_empty());
    let twin = world.send("POST", "/records/Contact", ADA).await;
    assert_eq!(status(&twin), 201);
    assert_eq!(
        world.crm.all("Contact").len(),
        2,
        "the first had ended: this is another one"
    );
    world.store.set_outcomes_broken(false);
    let sweeper = world.sweeper(&world.gate);
    assert_eq!(sweeper.run_once().await.unwrap(), Swept::default());
    assert_eq!(
        world.outcome(answer.decision.unwrap()),
        Some(OutcomeKind::Succeeded)
    );
}

#[tokio::test]
async fn a_caller_that_leaves_stops_nothing() {
    let world = World::new();
    world.crm.close_doors();
    let ask = world.ask("POST", "/records/Contact", ADA).await;
    let gate = Arc::clone(&world.gate);
    let caller = tokio::spawn(async move { gate.write(ask).await });
    world.arrived(1).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());

    let finishing = world.gate.finish();
    tokio::pin!(finishing);
    let early = tokio::time::timeout(Duration::from_millis(30), &mut finishing).await;
    assert!(early.is_err(), "shutting down waits for the write");
    world.crm.open_doors(1);
    finishing.await;
    assert_eq!(world.crm.all("Contact").len(), 1);
    let decision = world.store.all_decisions()[0].decision.id;
    assert_eq!(world.outcome(decision), Some(OutcomeKind::Succeeded));
}
