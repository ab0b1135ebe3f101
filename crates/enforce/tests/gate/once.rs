//! Equal creates of one actor.

use std::sync::Arc;

use crmgate_testkit::Fault;

use crate::world::{World, caller, id, status};

const ADA: &str = r#"{"Name":"Ada"}"#;

#[tokio::test]
async fn equal_creates_at_the_same_time_make_one_record() {
    let world = World::new();
    world.crm.close_doors();
    let mut writing = Vec::new();
    for body in [ADA, r#"{ "Name" : "Ada" }"#, ADA] {
        writing.push(world.start("POST", "/records/Contact", body).await);
        world.looked_up(writing.len()).await;
    }
    world.arrived(1).await;
    world.crm.open_doors(3);
    let mut ids = Vec::new();
    for task in writing {
        let answer = task.await.unwrap();
        assert_eq!(status(&answer), 201);
        ids.push(id(answer));
    }
    assert_eq!(world.crm.all("Contact").len(), 1);
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(world.store.all_decisions().len(), 3, "each was decided");
}

#[tokio::test]
async fn another_actor_or_a_later_time_makes_another_record() {
    let world = World::new();
    world.crm.close_doors();
    let first = world.start("POST", "/records/Contact", ADA).await;
    world.arrived(1).await;
    let mut ask = world.ask("POST", "/records/Contact", ADA).await;
    ask.caller = caller("u2");
    let gate = Arc::clone(&world.gate);
    let second = tokio::spawn(async move { gate.write(ask).await });
    world.arrived(2).await;
    world.crm.open_doors(3);
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    assert_ne!(id(first), id(second));
    let third = world.send("POST", "/records/Contact", ADA).await;
    assert_eq!(status(&third), 201);
    assert_eq!(world.crm.all("Contact").len(), 3);
}

#[tokio::test]
async fn whoever_waited_for_a_refused_one_writes_itself() {
    let world = World::new();
    world.crm.close_doors();
    world.crm.fault([Fault::Refuse("RULE".to_owned())]);
    let first = world.start("POST", "/records/Contact", ADA).await;
    world.arrived(1).await;
    let second = world.start("POST", "/records/Contact", ADA).await;
    world.looked_up(2).await;
    world.crm.open_doors(2);
    assert_eq!(status(&first.await.unwrap()), 400);
    assert_eq!(status(&second.await.unwrap()), 201);
    assert_eq!(world.crm.all("Contact").len(), 1);
}
