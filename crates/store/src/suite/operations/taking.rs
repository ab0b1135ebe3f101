//! Working on operations.

use std::collections::BTreeMap;

use crmgate_domain::{Effect, State};

use super::super::samples::record;
use super::{QueuedStore, World, at, by};
use crate::{Begun, By, Move, Moved, OutcomeKind};

pub(in super::super) async fn a_life_is_recorded(store: &impl QueuedStore) {
    let world = World::new(store);
    let ids = world.submit(vec![world.operation("a")]).await;
    let id = ids[0];
    world.wakes(&[id]).await;
    let taken = world.take(id).await;
    assert_eq!((taken.state, taken.version), (State::Deciding, 2));
    assert_eq!(taken.lease, Some(world.lease(at(60_000))));
    assert!(taken.request.is_some());
    world.write(id, State::Succeeded).await;
    let ended = world.get(id).await;
    assert_eq!((ended.state, ended.version), (State::Succeeded, 5));
    assert_eq!((ended.lease, ended.millicalls), (None, 500));
    assert_eq!(ended.record_id.as_deref(), Some("003"));
    let history = store.history(id).await.unwrap();
    let states: Vec<State> = history.iter().map(|entry| entry.to).collect();
    let expected = [
        State::Received,
        State::Deciding,
        State::Permitted,
        State::Writing,
        State::Succeeded,
    ];
    assert_eq!(states, expected);
    let versions: Vec<u64> = history.iter().map(|entry| entry.version).collect();
    assert_eq!(versions, [1, 2, 3, 4, 5]);
    assert_eq!(history[2].decision, ended.decision);
    let decision = store.decision(ended.decision.unwrap()).await.unwrap();
    let outcome = decision.unwrap().outcome.unwrap();
    assert_eq!(outcome.kind, OutcomeKind::Succeeded);
    assert_eq!(store.standing().await.unwrap(), BTreeMap::new());
    assert_eq!(world.begin(id).await, Begun::Over(State::Succeeded));
    let unknown = world.operation("b").id;
    assert_eq!(world.begin(unknown).await, Begun::Absent);
    assert_eq!(store.operation(unknown).await.unwrap(), None);
    world.wakes(&[]).await;
}

pub(in super::super) async fn lost_races_change_nothing(store: &impl QueuedStore) {
    let world = World::new(store);
    let ids = world.submit(vec![world.operation("a")]).await;
    let taken = world.take(ids[0]).await;
    let end = store.feed_end().await.unwrap();
    let record = record(&world.ambient, "acme-sf", ("contact", "005"), Effect::Allow);
    let lost = Moved::Lost {
        state: State::Deciding,
        version: 2,
    };
    let stale = Move {
        seen: 1,
        ..Move::new(&taken, State::Permitted, at(20), by())
    };
    let answer = store.decide(record.clone(), stale.clone()).await.unwrap();
    assert_eq!(answer, Err(lost.clone()));
    let odd = Move::new(&taken, State::Succeeded, at(20), by());
    let answer = store.decide(record.clone(), odd.clone()).await.unwrap();
    assert_eq!(answer, Err(lost.clone()), "it cannot follow");
    let absent = Move {
        id: world.operation("b").id,
        ..stale.clone()
    };
    let answer = store.decide(record.clone(), absent.clone()).await.unwrap();
    assert_eq!(answer, Err(Moved::Absent));
    assert_eq!(store.decision(record.decision.id).await.unwrap(), None);
    let right = Move::new(&taken, State::Received, at(20), by());
    let answers = store.shift(vec![stale, absent, odd, right]).await.unwrap();
    let expected = [lost.clone(), Moved::Absent, lost, Moved::Done(3)];
    assert_eq!(answers, expected, "each by itself");
    assert_eq!(store.feed_end().await.unwrap(), end, "nothing was appended");
    assert_eq!(store.history(ids[0]).await.unwrap().len(), 3);
    world.counts_fit().await;
}

pub(in super::super) async fn a_broken_worker_loses_what_it_had(store: &impl QueuedStore) {
    let world = World::new(store);
    let names = ["deciding", "permitted", "writing"];
    let ids = world
        .submit(names.map(|name| world.operation(name)).to_vec())
        .await;
    for id in &ids {
        world.take(*id).await;
    }
    world.permit(ids[1]).await;
    world.permit(ids[2]).await;
    world.shift(ids[2], State::Writing).await;
    let kept = store
        .keep(&ids[..2], world.lease(at(70_000)))
        .await
        .unwrap();
    assert_eq!(kept, Vec::new(), "none was lost");
    assert_eq!(world.begin(ids[0]).await, Begun::Busy(at(70_000)));
    let mut before = Vec::new();
    for id in &ids {
        before.push(world.get(*id).await);
    }

    // The machine sleeps, and another worker comes.
    let late = at(80_000);
    let other = World::new(store);
    let (name, lease) = (By("worker o".into()), other.lease(at(90_000)));
    let take = |id| store.begin(id, &name, lease.clone(), late);
    for id in &ids[..2] {
        let Begun::Decide(all) = take(*id).await.unwrap() else {
            panic!("it was to be decided again");
        };
        assert_eq!((all[0].state, all[0].attempts), (State::Deciding, 1));
    }
    let Begun::Settle(all) = take(ids[2]).await.unwrap() else {
        panic!("it was to be settled");
    };
    assert_eq!(
        (all[0].state, all[0].version),
        (State::Writing, before[2].version + 1)
    );
    assert_eq!(take(ids[2]).await.unwrap(), Begun::Busy(at(90_000)));
    // The first one wakes up and knows nothing.
    let moves = [
        (0, State::Denied),
        (1, State::Writing),
        (2, State::Succeeded),
    ];
    let moves = moves.map(|(n, to)| Move::new(&before[n], to, late, by()));
    let answers = store.shift(moves.to_vec()).await.unwrap();
    let lost = answers
        .iter()
        .all(|moved| matches!(moved, Moved::Lost { .. }));
    assert!(lost, "{answers:?}");
    let kept = store.keep(&ids, world.lease(at(99_000))).await.unwrap();
    assert_eq!(kept, ids, "its leases are lost");
    let history = store.history(ids[1]).await.unwrap();
    let states: Vec<State> = history.iter().map(|entry| entry.to).collect();
    assert_eq!(
        states[2..],
        [State::Permitted, State::Received, State::Deciding]
    );
    other.counts_fit().await;
}
