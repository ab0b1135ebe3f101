//! Looking at operations, and forgetting them.

use std::time::Duration;

use crmgate_domain::State;

use super::super::samples::name;
use super::{QueuedStore, World, at, by};
use crate::{Begun, EraseFilter, Erased, Erasure, NewOperation, OperationFilter, StoreError};

pub(in super::super) async fn listings_narrow_and_page(store: &impl QueuedStore) {
    let world = World::new(store);
    let elsewhere = NewOperation {
        connection: name("acme-dv"),
        object: "lead".to_owned(),
        record_id: Some("00Q".to_owned()),
        ..world.operation("elsewhere")
    };
    let ids = world
        .submit(vec![world.operation("a"), world.operation("b"), elsewhere])
        .await;
    world.live(ids[0], State::Denied).await;
    let all = OperationFilter::default();
    let first = store.operations(&all, None, 2).await.unwrap();
    let found: Vec<_> = first.items.iter().map(|found| found.id).collect();
    assert_eq!(found, [ids[2], ids[1]], "newest first");
    let rest = store
        .operations(&all, first.next.as_deref(), 2)
        .await
        .unwrap();
    assert_eq!((rest.items.len(), rest.next), (1, None));
    let wrong = store.operations(&all, Some("d1"), 2).await;
    assert!(matches!(wrong, Err(StoreError::BadCursor)));
    let of = |filter: OperationFilter| async move {
        let page = store.operations(&filter, None, 9).await.unwrap();
        let tally = store.tally(&filter).await.unwrap();
        let counted: u64 = tally.iter().map(|tally| tally.count).sum();
        assert_eq!(page.items.len() as u64, counted);
        page.items.iter().map(|found| found.id).collect::<Vec<_>>()
    };
    let filter = OperationFilter::default;
    let states = |states: &[State]| OperationFilter {
        states: states.to_vec(),
        ..filter()
    };
    assert_eq!(of(states(&[State::Denied, State::Dead])).await, [ids[0]]);
    assert_eq!(of(states(&[State::Received, State::Denied])).await.len(), 3);
    let lead = OperationFilter {
        object: Some("lead".to_owned()),
        record_id: Some("00Q".to_owned()),
        connection: Some(name("acme-dv")),
        ..filter()
    };
    assert_eq!(of(lead).await, [ids[2]]);
    let submission = world.get(ids[0]).await.submission;
    let mine = OperationFilter {
        submission: Some(submission),
        owner: Some(super::OWNER.to_owned()),
        actor: Some("005".to_owned()),
        client_id: Some("b".to_owned()),
        since: Some(at(-60_000)),
        visible: Some(vec![name("acme-sf")]),
        ..filter()
    };
    assert_eq!(of(mine).await, [ids[1]]);
    let hidden = OperationFilter {
        visible: Some(Vec::new()),
        ..filter()
    };
    assert!(of(hidden).await.is_empty());
}

pub(in super::super) async fn moves_are_heard_of(store: &impl QueuedStore) {
    let world = World::new(store);
    let id = world.submit(vec![world.operation("a")]).await[0];
    let version = world.get(id).await.version;
    // Nothing moves: the wait ends by itself.
    store.moved(id, version, Duration::from_millis(20)).await;
    let moves = async {
        world.take(id).await;
    };
    // Far longer than the test may take: only what is heard ends it.
    let most = Duration::from_secs(600);
    let wait = async { store.moved(id, version, most).await };
    tokio_join(wait, moves).await;
    store.moved(id, version, most).await;
    store.moved(world.operation("b").id, 0, most).await;
}

/// Both at once.
async fn tokio_join(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    let mut one = Box::pin(one);
    let mut other = Box::pin(other);
    let (mut first, mut second) = (false, false);
    std::future::poll_fn(|context| {
        first = first || one.as_mut().poll(context).is_ready();
        second = second || other.as_mut().poll(context).is_ready();
        if first && second {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}

pub(in super::super) async fn what_is_old_is_forgotten(store: &impl QueuedStore) {
    let world = World::new(store);
    let ids = world
        .submit(vec![world.operation("a"), world.operation("b")])
        .await;
    world.live(ids[0], State::Succeeded).await;
    while store
        .prune_operations(Some(at(30)), Some(at(30)))
        .await
        .unwrap()
    {}
    assert!(
        world.get(ids[0]).await.request.is_some(),
        "not before its time"
    );
    while store.prune_operations(Some(at(31)), None).await.unwrap() {}
    assert_eq!(world.get(ids[0]).await.request, None);
    assert_eq!(
        store.history(ids[0]).await.unwrap().len(),
        5,
        "its history stays"
    );
    let submission = world.get(ids[0]).await.submission;
    while store.prune_operations(None, Some(at(31))).await.unwrap() {}
    assert_eq!(store.operation(ids[0]).await.unwrap(), None);
    assert_eq!(store.history(ids[0]).await.unwrap(), Vec::new());
    assert!(world.get(ids[1]).await.request.is_some(), "open ones stay");
    assert!(store.submission(submission).await.unwrap().is_some());
    world.shift(ids[1], State::Cancelled).await;
    while store.prune_operations(None, Some(at(100))).await.unwrap() {}
    assert_eq!(store.submission(submission).await.unwrap(), None);
    world.counts_fit().await;
}

pub(in super::super) async fn requests_can_be_erased(store: &impl QueuedStore) {
    let world = World::new(store);
    let about = |name: &str| NewOperation {
        record_id: Some("erased-one".to_owned()),
        purpose: Some("for Ada".to_owned()),
        ..world.operation(name)
    };
    let ids = world
        .submit(vec![about("a"), about("b"), world.operation("c")])
        .await;
    world.take(ids[1]).await;
    world.permit(ids[1]).await;
    world.shift(ids[1], State::Writing).await;
    let wanted = EraseFilter {
        record_id: Some("erased-one".to_owned()),
        ..EraseFilter::default()
    };
    let reach = store.erasable(&wanted).await.unwrap();
    let expected = Erased {
        operations: 2,
        ..Erased::default()
    };
    assert_eq!(reach, expected);
    let erasure = Erasure {
        by: "admin".to_owned(),
        at: at(50),
        reason: "asked".to_owned(),
    };
    assert_eq!(store.erase(&wanted, &erasure).await.unwrap(), expected);
    let cancelled = world.get(ids[0]).await;
    assert_eq!(cancelled.state, State::Cancelled);
    assert_eq!(cancelled.why.unwrap().code, "erased");
    assert_eq!((cancelled.request, cancelled.purpose), (None, None));
    assert_eq!(
        (cancelled.actor.id.as_str(), cancelled.actor.email),
        ("005", None)
    );
    assert_eq!(
        world.state(ids[1]).await,
        State::Uncertain,
        "it may be written"
    );
    assert!(world.get(ids[2]).await.request.is_some());
    assert_eq!(
        store.erase(&wanted, &erasure).await.unwrap(),
        Erased::default()
    );
    assert_eq!(world.begin(ids[0]).await, Begun::Over(State::Cancelled));
    let _ = by();
    world.counts_fit().await;
}
