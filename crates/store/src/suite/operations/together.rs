//! Groups.

use crmgate_domain::State;

use super::{QueuedStore, World, at, by};
use crate::{Begun, Dependency, Move, Moved, NewOperation, StoredOperation};

fn states(all: &[StoredOperation]) -> Vec<State> {
    all.iter().map(|operation| operation.state).collect()
}

pub(in super::super) async fn groups_happen_together_or_not_at_all(store: &impl QueuedStore) {
    let world = World::new(store);
    let all = vec![
        world.in_group("a", "g"),
        NewOperation {
            depends_on: vec![Dependency::ClientId("x".to_owned())],
            ..world.in_group("b", "g")
        },
        world.in_lane("x", "l"),
        NewOperation {
            lane: Some("l".to_owned()),
            ..world.in_group("c", "g")
        },
        NewOperation {
            lane: Some("l".to_owned()),
            ..world.in_group("d", "g")
        },
    ];
    let ids = world.submit(all).await;
    let (group, x) = (ids[0], ids[2]);
    assert_eq!(world.get(ids[4]).await.group, Some(group));
    world.wakes(&[x]).await;
    assert_eq!(world.begin(group).await, Begun::NotYet(None));
    world.live(x, State::Succeeded).await;
    world.wakes(&[group]).await;
    let Begun::Decide(taken) = world.begin(ids[1]).await else {
        panic!("all can go");
    };
    assert_eq!(states(&taken), [State::Deciding; 4]);
    assert!(matches!(world.begin(group).await, Begun::Busy(_)));

    // One is held: all wait.
    let back = |all: &[StoredOperation]| {
        let moves = all
            .iter()
            .map(|one| Move::new(one, State::Received, at(20), by()));
        moves.collect::<Vec<_>>()
    };
    world.shift(ids[0], State::Held).await;
    store.shift(back(&taken[1..])).await.unwrap();
    world.wakes(&[]).await;
    assert_eq!(world.begin(group).await, Begun::NotYet(None));
    world.shift(ids[0], State::Received).await;
    world.wakes(&[group]).await;

    // One is refused, and the worker breaks off before it could say so of the others.
    assert!(matches!(world.begin(group).await, Begun::Decide(_)));
    world.shift(ids[1], State::Denied).await;
    let lease = world.lease(at(99_000));
    let begun = store.begin(group, &by(), lease, at(90_000)).await.unwrap();
    assert_eq!(begun, Begun::Over(State::Cancelled));
    for id in [ids[0], ids[3], ids[4]] {
        assert_eq!(world.state(id).await, State::Cancelled);
    }
    world.counts_fit().await;

    // What has not begun ends with the first that comes to nothing.
    let ids = world
        .submit(vec![world.in_group("e", "g"), world.in_group("f", "g")])
        .await;
    world.shift(ids[1], State::Cancelled).await;
    assert_eq!(world.state(ids[0]).await, State::Cancelled);
    assert_eq!(world.get(ids[0]).await.why.unwrap().code, "group_cancelled");

    // What may have been sent is settled, not begun with again.
    let ids = world
        .submit(vec![world.in_group("h", "g"), world.in_group("i", "g")])
        .await;
    assert!(matches!(world.begin(ids[0]).await, Begun::Decide(_)));
    for id in &ids {
        world.permit(*id).await;
    }
    world.shift(ids[0], State::Writing).await;
    world.shift(ids[1], State::Writing).await;
    let lease = world.lease(at(99_000));
    let Begun::Settle(all) = store.begin(ids[0], &by(), lease, at(90_000)).await.unwrap() else {
        panic!("it may have been written");
    };
    assert_eq!(states(&all), [State::Writing; 2]);
    world.counts_fit().await;
}

pub(in super::super) async fn what_moves_twice_at_once_is_met_at_its_end(store: &impl QueuedStore) {
    let world = World::new(store);
    let waits = NewOperation {
        depends_on: vec![Dependency::ClientId("a".to_owned())],
        ..world.operation("b")
    };
    let all = vec![
        world.operation("a"),
        waits,
        world.in_group("c", "g"),
        world.in_group("d", "g"),
    ];
    let ids = world.submit(all).await;
    world.wakes(&[ids[0], ids[2]]).await;
    // Two of them end, and are tried once more in the same breath; another one just ends.
    let other = world.submit(vec![world.operation("e")]).await[0];
    world.wakes(&[other]).await;
    let mut moves = Vec::new();
    for id in [ids[0], ids[2]] {
        let one = world.get(id).await;
        moves.push(Move::new(&one, State::Dead, at(20), by()));
        let mut again = Move::new(&one, State::Received, at(20), by());
        again.seen += 1;
        moves.push(again);
    }
    let ends = Move::new(&world.get(other).await, State::Cancelled, at(20), by());
    moves.push(ends);
    let moved = store.shift(moves).await.unwrap();
    assert!(
        moved.iter().all(|one| matches!(one, Moved::Done(_))),
        "{moved:?}"
    );
    assert_eq!(moved.len(), 5);
    for id in &ids {
        assert_eq!(
            world.state(*id).await,
            State::Received,
            "nobody saw it dead"
        );
    }
    assert_eq!(world.state(other).await, State::Cancelled);
    world.wakes(&[ids[0], ids[2]]).await;
    world.live(ids[0], State::Succeeded).await;
    world.wakes(&[ids[1]]).await;
    world.counts_fit().await;
}
