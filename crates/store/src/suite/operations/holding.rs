//! Operations that wait for people.

use crmgate_domain::approval::{Choice, End, Ended, Vote};
use crmgate_domain::{Effect, State};

use super::super::holds::hold;
use super::super::samples::{record, start};
use super::{QueuedStore, World, at, by};
use crate::{Ballot, Begun, Cast, HeldOperation, Hold, HoldStatus, Move, Why};

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

/// What a gateway takes, asked by `actor`.
fn asked<S: QueuedStore>(world: &World<'_, S>, actor: &str) -> HeldOperation {
    let hold = hold(&world.ambient, actor, "p");
    let record = record(
        &world.ambient,
        "acme-sf",
        ("contact", actor),
        Effect::RequireApproval,
    );
    let mut operation = world.in_lane("own", "l");
    operation.client_id = None;
    HeldOperation {
        owner: actor.to_owned(),
        submission: crmgate_domain::SubmissionId::fresh(&world.ambient),
        why: Some(Why {
            code: "c".to_owned(),
            message: "m".to_owned(),
        }),
        hold: Hold {
            created_at: start(),
            expires_at: at(5_000),
            ..hold
        },
        operation,
        record,
    }
}

pub(in super::super) async fn what_cannot_wait_elsewhere_is_taken_held(store: &impl QueuedStore) {
    let world = World::new(store);
    let first = asked(&world, "005");
    let (id, decision) = (first.operation.id, first.record.decision.id);
    let taken = store.take_held(first.clone()).await.unwrap();
    assert_eq!(
        (taken.id, taken.queued, taken.requests),
        (first.hold.id, Some(id), 1)
    );
    let stored = world.get(id).await;
    assert_eq!(
        (stored.state, stored.hold, stored.decision),
        (State::Held, Some(taken.id), Some(decision))
    );
    assert_eq!((stored.owner.as_str(), stored.why), ("005", first.why));
    let history = store.history(id).await.unwrap();
    let way: Vec<State> = history.iter().map(|entry| entry.to).collect();
    assert_eq!(way, [State::Received, State::Deciding, State::Held]);
    let decided = store.decision(decision).await.unwrap().unwrap();
    assert_eq!(decided.record.hold, Some(taken.id));
    let submission = store.submission(first.submission).await.unwrap().unwrap();
    assert!(submission.accepted_at.is_some() && submission.count == 1);
    world.unfold().await;
    world.wakes(&[]).await;
    world.counts_fit().await;

    // An equal request joins: the decision alone is stored.
    let again = asked(&world, "005");
    let joined = store.take_held(again.clone()).await.unwrap();
    assert_eq!((joined.id, joined.requests), (taken.id, 2));
    assert!(store.operation(again.operation.id).await.unwrap().is_none());
    let decided = store.decision(again.record.decision.id).await.unwrap();
    assert_eq!(decided.unwrap().record.hold, Some(taken.id));
    // Another's does not.
    let other = store.take_held(asked(&world, "006")).await.unwrap();
    assert_ne!(other.id, taken.id);

    // Agreed to, it is joined until it has ended, and never a second time after that.
    agree(store, joined).await;
    world.shift(id, State::Received).await;
    world.wakes(&[id]).await;
    let joined = store.take_held(asked(&world, "005")).await.unwrap();
    assert_eq!((joined.id, joined.status), (taken.id, HoldStatus::Approved));
    world.take(id).await;
    world.write(id, State::Succeeded).await;
    let anew = store.take_held(asked(&world, "005")).await.unwrap();
    assert_ne!(anew.id, taken.id, "it is asked for once more");

    // Nobody answers: it ends with its hold.
    assert_eq!(store.expire(at(6_000), &by(), 9).await.unwrap(), 2);
    assert_eq!(world.state(anew.queued.unwrap()).await, State::Expired);
    world.counts_fit().await;
}

async fn agree(store: &impl QueuedStore, hold: Hold) {
    let ended = Ended {
        how: End::Approved,
        by: None,
        at: at(10),
    };
    let vote = Vote {
        person: "boss".to_owned(),
        account: "t".to_owned(),
        choice: Choice::Approve,
        reason: None,
        at: at(10),
        channel: "api".to_owned(),
        agreements: Vec::new(),
    };
    let cast = store.cast(Ballot {
        usable_until: Some(hold.expires_at),
        hold,
        vote,
        ends: Some(ended),
        then: None,
    });
    assert_eq!(cast.await.unwrap(), Cast::Done);
}
