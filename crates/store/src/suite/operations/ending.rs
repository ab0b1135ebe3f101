//! What sweepers do.

use crmgate_domain::{Effect, RevisionId, State};

use super::super::samples::record;
use super::{QueuedStore, World, at, by};
use crate::{Begun, Move, NewOperation};

/// Past the store's clock.
const HOURS: i64 = 20_000 * 3_600_000;

pub(in super::super) async fn overdue_ones_expire(store: &impl QueuedStore) {
    let world = World::new(store);
    let until = |name: &str, millis| NewOperation {
        expires_at: Some(at(millis)),
        lane: Some("l".to_owned()),
        ..world.operation(name)
    };
    let ids = world
        .submit(vec![until("a", 1_000), until("b", 5), until("c", 9_000)])
        .await;
    world.wakes(&ids[..1]).await;
    assert_eq!(store.expire(at(4), &by(), 9).await.unwrap(), 0);
    assert_eq!(store.expire(at(7), &by(), 9).await.unwrap(), 1);
    assert_eq!(world.state(ids[1]).await, State::Expired);
    world.wakes(&ids[..1]).await;
    let lease = world.lease(at(9_000));
    let begun = store.begin(ids[0], &by(), lease, at(2_000)).await.unwrap();
    assert_eq!(
        begun,
        Begun::Over(State::Expired),
        "whoever begins finds it late"
    );
    world.wakes(&ids[2..]).await;
    world.take(ids[2]).await;
    assert_eq!(
        store.expire(at(10_000), &by(), 9).await.unwrap(),
        0,
        "it has begun"
    );

    let later = NewOperation {
        not_before: Some(at(700)),
        ..world.operation("later")
    };
    let later = world.submit(vec![later]).await[0];
    let due = at(700);
    assert_eq!(world.begin(later).await, Begun::NotYet(Some(due)));
    assert_eq!(world.get(later).await.due, due);
    world.counts_fit().await;
}

pub(in super::super) async fn errors_of_policies_wait_for_others(store: &impl QueuedStore) {
    let world = World::new(store);
    let ids = world
        .submit(vec![world.in_lane("a", "l"), world.in_lane("b", "l")])
        .await;
    world.wakes(&ids[..1]).await;
    let taken = world.take(ids[0]).await;
    let broken = record(&world.ambient, "acme-sf", ("contact", "005"), Effect::Error);
    let now = broken.decision.judgement.revision.clone();
    let wanted = Move::new(&taken, State::Unjudged, at(20), by());
    store.decide(broken, wanted).await.unwrap().unwrap();
    world.wakes(&[]).await;
    assert_eq!(
        world.begin(ids[1]).await,
        Begun::NotYet(None),
        "it keeps its place"
    );
    assert_eq!(store.judge_again(&now, at(30), 9).await.unwrap(), 0);
    let next = RevisionId::new("fedcba");
    assert_eq!(store.judge_again(&next, at(30), 9).await.unwrap(), 1);
    assert_eq!(store.judge_again(&next, at(30), 9).await.unwrap(), 0);
    assert_eq!(world.get(ids[0]).await.why.unwrap().code, "new_policies");
    world.wakes(&ids[..1]).await;
    world.take(ids[0]).await;
    world.counts_fit().await;
}

pub(in super::super) async fn what_is_stuck_is_found(store: &impl QueuedStore) {
    let world = World::new(store);
    let mut all: Vec<NewOperation> = (0..250)
        .map(|n| world.in_lane(&format!("l{n}"), "l"))
        .collect();
    all.push(world.operation("lost"));
    all.push(world.operation("broken"));
    let ids = world.submit(all).await;
    let (lost, broken) = (ids[250], ids[251]);
    // Their jobs are gone, as if somebody had forgotten them.
    world.wakes(&[ids[0], lost, broken]).await;
    world.take(broken).await;
    let mut found = store.stuck(at(1), 1_000).await.unwrap();
    assert_eq!(found, Vec::new(), "nothing waits for long");
    found.extend(store.stuck(at(500), 100).await.unwrap());
    found.extend(store.stuck(at(500), 1_000).await.unwrap());
    found.sort_unstable();
    let mut expected = vec![ids[0], lost];
    expected.sort_unstable();
    assert_eq!(
        found, expected,
        "each has its turn; a held lease is left alone"
    );
    world.wakes(&expected).await;
    let late = store.stuck(at(HOURS), 1_000).await.unwrap();
    assert!(late.contains(&broken), "its worker is gone");
    let again = store.stuck(at(HOURS), 1_000).await.unwrap();
    assert_eq!(again, Vec::new(), "they have jobs now");
    let woken = world.woken().await;
    assert!(woken.contains(&broken) && woken.contains(&lost));
    assert_eq!(woken.len(), 3, "nothing that waits for its turn");
}

pub(in super::super) async fn backups_are_found_out_about_first(store: &impl QueuedStore) {
    let world = World::new(store);
    let names = [
        "received",
        "deciding",
        "writing",
        "held",
        "ended",
        "uncertain",
    ];
    let ids = world
        .submit(names.map(|name| world.operation(name)).to_vec())
        .await;
    let [received, deciding, writing, held, ended, uncertain] = ids[..] else {
        panic!("six were submitted");
    };
    world.woken().await;
    for id in &ids[1..] {
        world.take(*id).await;
    }
    for id in [writing, uncertain] {
        world.permit(id).await;
        world.shift(id, State::Writing).await;
    }
    world.shift(uncertain, State::Uncertain).await;
    world.shift(held, State::Held).await;
    world.write(ended, State::Succeeded).await;
    world.woken().await;
    assert_eq!(store.mark_restored(at(40), &by()).await.unwrap(), 5);
    assert_eq!(
        store.mark_restored(at(41), &by()).await.unwrap(),
        0,
        "all are marked"
    );
    assert!(!world.get(ended).await.restored);
    world.counts_fit().await;

    let found = store.stuck(at(500), 100).await.unwrap();
    assert_eq!(found.len(), 4, "all but the uncertain one are looked at");
    let wanted = world.wanted(received, State::Cancelled).await;
    let refused = store.shift(vec![wanted]).await.unwrap();
    assert!(
        matches!(refused[..], [crate::Moved::Lost { .. }]),
        "it may have been written: {refused:?}"
    );
    assert_eq!(store.expire(at(90_000), &by(), 9).await.unwrap(), 0);
    for id in [received, deciding, held] {
        let Begun::Settle(all) = world.begin(id).await else {
            panic!("nobody knows what became of it");
        };
        assert_eq!((all[0].state, all[0].restored), (State::Received, true));
        assert!(matches!(world.begin(id).await, Begun::Busy(_)));
        world.shift(id, State::Uncertain).await;
        // It did not happen.
        world.shift(id, State::Received).await;
        assert!(!world.get(id).await.restored);
        world.take(id).await;
    }
    let Begun::Settle(all) = world.begin(writing).await else {
        panic!("nobody knows what became of it");
    };
    assert_eq!(all[0].state, State::Writing);
    world.shift(writing, State::Succeeded).await;
    assert_eq!(world.begin(uncertain).await, Begun::NotYet(None));
    world.counts_fit().await;
}
