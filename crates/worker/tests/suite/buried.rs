//! Jobs that were tried too often.

use std::time::Duration;

use crmgate_domain::{Ambient as _, OperationId, State};
use crmgate_store::{Jobs as _, NewJob, queue_of};

use crate::world::{BOTH, System, World};

/// Has those who claim the job break off until it is dead.
async fn kill(world: &World, id: OperationId) {
    let queue = queue_of(world.connector.name());
    for _ in 0..40 {
        let dead = world.store.dead(&queue, 10).await.unwrap();
        if dead.iter().any(|job| job.id == id.to_string()) {
            return;
        }
        let lease = Duration::from_secs(1);
        world
            .store
            .claim(&queue, "doomed", 10, lease)
            .await
            .unwrap();
        world.advance(Duration::from_secs(60));
        world.store.reap(&queue, 10).await.unwrap();
    }
    panic!("the job of {id} does not die");
}

#[tokio::test]
async fn an_operation_over_which_workers_die_is_dead_and_others_go_on() {
    let world = World::new(System::Dynamics).await;
    let ids = world.submit(vec![world.create("Poison")]).await;
    kill(&world, ids[0]).await;
    let others = world.submit(vec![world.create("Fine")]).await;
    let working = world.worker();
    world.end(&ids).await;
    world.end(&others).await;
    working.stop().await;
    let buried = world.see(ids[0]).await;
    assert_eq!(buried.state, State::Dead);
    let why = buried.why.unwrap();
    assert_eq!(why.code, "tried_too_often");
    assert_eq!(world.states(&others).await, [State::Succeeded]);
    assert_eq!(world.count("Poison").await, 0);
    // Nothing is left in the queue that could wake it.
    let queue = queue_of(world.connector.name());
    assert!(world.store.dead(&queue, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_may_have_been_written_is_found_out_before_it_is_buried() {
    for system in BOTH {
        let world = World::new(system).await;
        let ids = world.submit(vec![world.create("Written")]).await;
        world.dies_with(State::Succeeded).await;
        assert_eq!(world.see(ids[0]).await.state, State::Writing);
        world.advance(Duration::from_secs(60));
        let queue = queue_of(world.connector.name());
        world
            .store
            .remove(&queue, &[ids[0].to_string()])
            .await
            .unwrap();
        let job = NewJob {
            queue,
            id: ids[0].to_string(),
            due: world.ambient.now(),
            priority: 0,
            most_attempts: 1,
        };
        world.store.push(vec![job]).await.unwrap();
        kill(&world, ids[0]).await;
        let working = world.worker();
        world.end(&ids).await;
        working.stop().await;
        assert_eq!(world.states(&ids).await, [State::Succeeded], "{system:?}");
        assert_eq!(world.count("Written").await, 1, "{system:?}");
    }
}
