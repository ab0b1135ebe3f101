//! What waits for what.

use crmgate_domain::State;

use super::{QueuedStore, World};
use crate::{Begun, Dependency, NewOperation};

pub(in super::super) async fn lanes_keep_their_order(store: &impl QueuedStore) {
    let world = World::new(store);
    let names = ["a", "b", "c"].map(|name| world.in_lane(name, "contact/1"));
    let mut all = names.to_vec();
    all.push(world.in_lane("d", "contact/2"));
    let ids = world.submit(all).await;
    let [a, b, c, d] = ids[..] else {
        panic!("four were submitted");
    };
    world.wakes(&[a, d]).await;
    assert_eq!(world.begin(b).await, Begun::NotYet(None));
    world.live(a, State::Succeeded).await;
    world.wakes(&[b]).await;
    world.take(b).await;
    assert_eq!(world.begin(c).await, Begun::NotYet(None));
    // Handed back, it is the first still.
    world.shift(b, State::Received).await;
    world.wakes(&[b]).await;
    assert_eq!(world.begin(c).await, Begun::NotYet(None));
    world.take(b).await;
    world.permit(b).await;
    world.shift(b, State::Writing).await;
    world.shift(b, State::Uncertain).await;
    world.wakes(&[]).await;
    assert_eq!(
        world.begin(c).await,
        Begun::NotYet(None),
        "uncertain blocks"
    );
    world.shift(b, State::Cancelled).await;
    world.wakes(&[c]).await;
    world.live(c, State::Denied).await;
    world.wakes(&[]).await;
    let e = world.submit(vec![world.in_lane("e", "contact/1")]).await[0];
    world.wakes(&[e]).await;
    world.shift(e, State::Cancelled).await;
    // Tried once more, it comes behind nobody.
    world.shift(c, State::Received).await;
    world.wakes(&[c]).await;
    world.counts_fit().await;
}

pub(in super::super) async fn dependants_wait_for_success(store: &impl QueuedStore) {
    let world = World::new(store);
    let before = world.submit(vec![world.operation("before")]).await[0];
    let twice = NewOperation {
        depends_on: vec![
            Dependency::Id(before),
            Dependency::ClientId("before".to_owned()),
            Dependency::ClientId("later".to_owned()),
        ],
        ..world.operation("first")
    };
    let ids = world.submit(vec![twice, world.operation("later")]).await;
    let [first, later] = ids[..] else {
        panic!("two were submitted");
    };
    world.wakes(&[before, later]).await;
    assert_eq!(world.get(first).await.open_dependencies, 2);
    assert_eq!(world.begin(first).await, Begun::NotYet(None));
    world.live(before, State::Succeeded).await;
    world.wakes(&[]).await;
    world.live(later, State::Succeeded).await;
    world.wakes(&[first]).await;
    assert_eq!(world.get(first).await.open_dependencies, 0);
    let (before_it, after_it) = store.related(first).await.unwrap();
    assert_eq!((before_it, after_it), (vec![before, later], Vec::new()));
    assert_eq!(
        store.related(later).await.unwrap(),
        (Vec::new(), vec![first])
    );
    // What has succeeded already is not waited for.
    let late = world.submit(vec![world.after("late", &["before"])]).await[0];
    world.wakes(&[late]).await;
}

pub(in super::super) async fn a_dead_dependency_cancels_all_that_depends_on_it(
    store: &impl QueuedStore,
) {
    let world = World::new(store);
    let all = vec![
        world.operation("a"),
        world.after("b", &["a"]),
        NewOperation {
            lane: Some("l".to_owned()),
            ..world.after("c", &["b"])
        },
        world.in_lane("d", "l"),
    ];
    let ids = world.submit(all).await;
    world.wakes(&ids[..1]).await;
    world.live(ids[0], State::Denied).await;
    for id in &ids[1..3] {
        assert_eq!(world.state(*id).await, State::Cancelled);
    }
    let why = world.get(ids[1]).await.why.unwrap();
    assert_eq!(why.code, "dependency_denied");
    assert!(why.message.contains(&ids[0].to_string()), "{why:?}");
    assert_eq!(
        world.get(ids[2]).await.why.unwrap().code,
        "dependency_cancelled"
    );
    world.wakes(&ids[3..]).await;
    let late = world.submit(vec![world.after("late", &["a"])]).await[0];
    assert_eq!(world.state(late).await, State::Cancelled);
    let history = store.history(late).await.unwrap();
    assert_eq!(history.len(), 2);
    world.counts_fit().await;
}

pub(in super::super) async fn many_dependants_are_told_in_steps(store: &impl QueuedStore) {
    let world = World::new(store);
    let mut all = vec![world.operation("good"), world.operation("bad")];
    for n in 0..450 {
        all.push(world.after(&format!("g{n}"), &["good"]));
        all.push(world.after(&format!("b{n}"), &["bad"]));
    }
    let ids = world.submit(all).await;
    world.wakes(&ids[..2]).await;
    world.live(ids[0], State::Succeeded).await;
    world.live(ids[1], State::Refused).await;
    let mut woken = world.woken().await;
    assert!(!woken.is_empty() && woken.len() < 450, "{}", woken.len());
    for _ in 0..9 {
        store.stuck(super::at(-1), 1).await.unwrap();
    }
    woken.append(&mut world.woken().await);
    let tally = store
        .tally(&crate::OperationFilter::default())
        .await
        .unwrap();
    let count = |state| {
        let of = tally.iter().filter(|tally| tally.state == state);
        of.map(|tally| tally.count).sum::<u64>()
    };
    assert_eq!(count(State::Cancelled), 450);
    assert_eq!(
        woken.len(),
        450,
        "each was woken, and none that is cancelled"
    );
    world.counts_fit().await;
}

pub(in super::super) async fn circles_and_strangers_are_misfits(store: &impl QueuedStore) {
    let world = World::new(store);
    let foreign = {
        let mut other = world.submission(None);
        other.owner = "another".to_owned();
        store.open_submission(&other).await.unwrap();
        let new = world.operation("foreign");
        store.stage(other.id, vec![new.clone()]).await.unwrap();
        other.accepted_at = Some(super::at(1));
        store.accept(&other).await.unwrap();
        new.id
    };
    let submission = world.submission(None);
    store.open_submission(&submission).await.unwrap();
    let strange = NewOperation {
        depends_on: vec![Dependency::Id(foreign)],
        ..world.operation("c")
    };
    let elsewhere = NewOperation {
        connection: super::name("acme-dv"),
        ..world.in_group("e", "wide")
    };
    let lines = [
        world.operation("a"),
        world.after("b", &["nobody", "a"]),
        strange,
        world.in_group("d", "wide"),
        elsewhere,
        world.in_group("f", "big"),
        world.in_group("g", "big"),
        world.in_group("h", "big"),
    ];
    stage(&world, submission.id, lines).await;
    let misfits = store.misfits(submission.id, 2).await.unwrap();
    let told: Vec<_> = misfits
        .iter()
        .map(|misfit| (misfit.line, misfit.code))
        .collect();
    let expected = [
        (2, "unknown_dependency"),
        (3, "unknown_dependency"),
        (4, "group_of_several_connections"),
        (6, "group_too_large"),
    ];
    assert_eq!(told, expected, "{misfits:?}");
    assert!(misfits[0].message.contains("`nobody`"));

    let circle = world.submission(None);
    store.open_submission(&circle).await.unwrap();
    let lines = circular(&world);
    stage(&world, circle.id, lines).await;
    let misfits = store.misfits(circle.id, 100).await.unwrap();
    let lines: Vec<u64> = misfits.iter().map(|misfit| misfit.line).collect();
    assert_eq!(lines, [1, 2, 3, 6, 8, 9, 10, 12, 13], "{misfits:?}");
    assert!(
        misfits
            .iter()
            .all(|misfit| misfit.code == "circular_dependency")
    );
}

/// Lines of which some wait for themselves.
fn circular<S: QueuedStore>(world: &World<'_, S>) -> Vec<NewOperation> {
    vec![
        // By itself.
        world.after("s", &["s"]),
        // By dependencies.
        world.after("t", &["u"]),
        world.after("u", &["t"]),
        // Well.
        world.in_lane("v", "1"),
        NewOperation {
            lane: Some("1".to_owned()),
            ..world.after("w", &["v"])
        },
        // By the order of a lane.
        NewOperation {
            lane: Some("2".to_owned()),
            ..world.after("x", &["z"])
        },
        world.in_lane("y", "2"),
        world.in_lane("z", "2"),
        // By a group, around another in the same lane.
        NewOperation {
            lane: Some("3".to_owned()),
            ..world.in_group("g1", "g")
        },
        NewOperation {
            lane: Some("3".to_owned()),
            ..world.in_group("h1", "h")
        },
        NewOperation {
            lane: Some("3".to_owned()),
            ..world.in_group("g2", "g")
        },
        // The same around one that is in no group, and well around nothing.
        NewOperation {
            lane: Some("4".to_owned()),
            ..world.in_group("i1", "i")
        },
        world.in_lane("j", "4"),
        NewOperation {
            lane: Some("4".to_owned()),
            ..world.in_group("i2", "i")
        },
        NewOperation {
            lane: Some("5".to_owned()),
            ..world.in_group("k1", "k")
        },
        NewOperation {
            lane: Some("5".to_owned()),
            ..world.in_group("k2", "k")
        },
        world.in_lane("l", "5"),
    ]
}

async fn stage<S: QueuedStore>(
    world: &World<'_, S>,
    id: crmgate_domain::SubmissionId,
    lines: impl IntoIterator<Item = NewOperation>,
) {
    let lines = lines.into_iter().zip(1..);
    let lines = lines.map(|(new, line)| NewOperation { line, ..new });
    world.store.stage(id, lines.collect()).await.unwrap();
}
