//! Operations that wait for people.

use crmgate_domain::{Effect, State};

use super::super::holds::hold;
use super::super::samples::record;
use super::{QueuedStore, World, at, by};
use crate::{Begun, Hold, HoldStatus, Move};

async fn hold_it<S: QueuedStore>(world: &World<'_, S>, id: crmgate_domain::OperationId) -> Hold {
    let taken = world.take(id).await;
    let mut hold = hold(&world.ambient, "005", "p");
    (hold.created_at, hold.expires_at) = (at(20), at(5_000));
    hold.operation.point = crmgate_domain::Point::Queue;
    let asked = record(
        &world.ambient,
        "acme-sf",
        ("contact", "005"),
        Effect::RequireApproval,
    );
    let wanted = Move::new(&taken, State::Held, at(20), by());
    let id = asked.decision.id;
    let done = world
        .store
        .decide_to_hold(hold.clone(), asked, wanted)
        .await;
    done.unwrap().unwrap();
    let decided = world.store.decision(id).await.unwrap().unwrap();
    assert_eq!(decided.record.hold, Some(hold.id));
    hold
}

pub(in super::super) async fn held_ones_leave_their_lane(store: &impl QueuedStore) {
    let world = World::new(store);
    let names = ["a", "b", "c"].map(|name| world.in_lane(name, "l"));
    let ids = world.submit(names.to_vec()).await;
    world.wakes(&ids[..1]).await;
    let first = hold_it(&world, ids[0]).await;
    let stored = world.get(ids[0]).await;
    assert_eq!((stored.state, stored.hold), (State::Held, Some(first.id)));
    assert_eq!(
        store.held(first.id).await.unwrap().unwrap().status,
        HoldStatus::Waiting
    );
    world.wakes(&ids[1..2]).await;
    let second = hold_it(&world, ids[1]).await;
    assert_ne!(
        first.id, second.id,
        "equal requests have holds of their own"
    );
    let requests = store.held(second.id).await.unwrap().unwrap().requests;
    assert_eq!(requests, 1);
    world.wakes(&ids[2..]).await;
    world.take(ids[2]).await;

    // Agreed to, it comes behind what is being worked on, and before what came after it.
    let d = world.submit(vec![world.in_lane("d", "l")]).await[0];
    world.shift(ids[0], State::Received).await;
    world.wakes(&[]).await;
    assert_eq!(world.begin(ids[0]).await, Begun::NotYet(None));
    world.write(ids[2], State::Succeeded).await;
    world.wakes(&ids[..1]).await;
    assert_eq!(world.begin(d).await, Begun::NotYet(None));

    // Nobody answers.
    assert_eq!(store.expire(at(4_000), &by(), 9).await.unwrap(), 0);
    assert_eq!(store.expire(at(6_000), &by(), 9).await.unwrap(), 1);
    let expired = world.get(ids[1]).await;
    assert_eq!(expired.state, State::Expired);
    assert_eq!(expired.why.unwrap().code, "hold_expired");
    assert_eq!(
        store.held(second.id).await.unwrap().unwrap().status,
        HoldStatus::Expired
    );
    world.counts_fit().await;
}
