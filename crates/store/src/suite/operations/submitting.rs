//! Submissions.

use crmgate_domain::{PayloadHash, State};

use super::super::samples::name;
use super::{QueuedStore, World, at};
use crate::{NewOperation, Opened, OperationFilter, Staged, StoreError};

pub(in super::super) async fn keys_and_names_are_used_once(store: &impl QueuedStore) {
    let world = World::new(store);
    let mut first = world.submission(Some("k"));
    assert_eq!(store.open_submission(&first).await.unwrap(), Opened::New);
    let second = world.submission(Some("k"));
    assert_eq!(
        store.open_submission(&second).await.unwrap(),
        Opened::UnderWay(first.id)
    );
    let mut a = world.operation("a");
    a.line = 1;
    let again = NewOperation {
        id: world.operation("a").id,
        line: 2,
        ..a.clone()
    };
    let differs = NewOperation {
        id: world.operation("a").id,
        line: 3,
        content: PayloadHash::of(&[b"other"]),
        ..a.clone()
    };
    let staged = store.stage(first.id, vec![a.clone(), again, differs.clone()]);
    assert_eq!(
        staged.await.unwrap(),
        [Staged::New, Staged::Same(a.id), Staged::Differs(a.id)]
    );
    first.accepted_at = Some(at(5));
    first.content = Some(PayloadHash::of(&[b"all"]));
    (first.count, first.repeated, first.refused) = (1, 1, 1);
    first.answer = Some("{\"id\":1}".to_owned());
    store.accept(&first).await.unwrap();
    store.accept(&first).await.unwrap();
    assert_eq!(
        store.open_submission(&second).await.unwrap(),
        Opened::Known(Box::new(first.clone()))
    );
    assert_eq!(
        store.submission(first.id).await.unwrap(),
        Some(first.clone())
    );
    assert_eq!(store.submission(second.id).await.unwrap(), None);
    let late = store.stage(first.id, vec![world.operation("b")]).await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");

    let mut other = world.submission(Some("k"));
    other.owner = "another".to_owned();
    assert_eq!(store.open_submission(&other).await.unwrap(), Opened::New);
    let staged = store.stage(other.id, vec![differs.clone()]).await.unwrap();
    assert_eq!(staged, [Staged::New], "the owner's names are its own");
    let third = world.submission(None);
    assert_eq!(store.open_submission(&third).await.unwrap(), Opened::New);
    let staged = store.stage(third.id, vec![differs]).await.unwrap();
    assert_eq!(staged, [Staged::Differs(a.id)]);
}

/// Whoever submits again what broke off before is not told that it is there.
pub(in super::super) async fn an_open_submission_gives_way(store: &impl QueuedStore) {
    let world = World::new(store);
    let broken_off = world.submission(Some("k"));
    store.open_submission(&broken_off).await.unwrap();
    let lines = ["a", "b"].map(|id| world.operation(id));
    let lines = lines.into_iter().zip(1..);
    let lines: Vec<NewOperation> = lines
        .map(|(new, line)| NewOperation { line, ..new })
        .collect();
    store.stage(broken_off.id, lines).await.unwrap();
    world.counts_fit().await;

    let ids = world
        .submit(vec![world.operation("b"), world.operation("c")])
        .await;
    let staged = store.stage(broken_off.id, vec![world.operation("d")]).await;
    assert!(staged.is_err(), "it can never be accepted");
    assert!(store.accept(&broken_off).await.is_err());
    assert_eq!(world.state(ids[0]).await, State::Received);
    assert_eq!(
        store
            .open_submission(&world.submission(Some("k")))
            .await
            .unwrap(),
        Opened::New,
        "its key is free"
    );
    assert_eq!(store.submission(broken_off.id).await.unwrap(), None);
    let dropped = store.drop_abandoned(at(-1)).await.unwrap();
    assert_eq!(dropped, 0, "what is under way stays");
    assert_eq!(store.drop_abandoned(at(1)).await.unwrap(), 1);
    world.counts_fit().await;
}

pub(in super::super) async fn accepted_ones_come_in_order(store: &impl QueuedStore) {
    let world = World::new(store);
    let names: Vec<String> = (0..450).map(|n| format!("n{n}")).collect();
    let operations = names.iter().map(|name| world.operation(name)).collect();
    let ids = world.accept(operations).await;
    assert_eq!(world.state(ids[0]).await, State::Staged);
    world.wakes(&[]).await;
    let standing = store.standing().await.unwrap();
    let staged = standing[&(name("acme-sf"), State::Staged)];
    assert_eq!((staged.count, staged.oldest), (450, at(0)));

    let step = store.unfold(at(2), 100).await.unwrap();
    assert_eq!((step.operations, step.more), (100, true));
    world.counts_fit().await;
    world.unfold().await;
    let step = store.unfold(at(3), 100).await.unwrap();
    assert_eq!((step.operations, step.more), (0, false));
    world.counts_fit().await;
    let mut seqs = Vec::new();
    for id in &ids {
        let found = world.get(*id).await;
        assert_eq!((found.state, found.version), (State::Received, 1));
        seqs.push(found.seq);
    }
    assert!(seqs.is_sorted_by(|a, b| a < b), "in the order of the lines");
    world.wakes(&ids).await;
    let history = store.history(ids[7]).await.unwrap();
    assert_eq!(history.len(), 1);
    assert_eq!((history[0].version, history[0].from), (1, None));
    assert_eq!(&*history[0].by.0, "token importer");

    let found = world.get(ids[7]).await;
    let asked = world.operation("n7");
    assert_eq!(found.request, Some(asked.request));
    assert_eq!(
        (found.actor, found.client_id),
        (asked.actor, asked.client_id)
    );
    assert_eq!(found.owner, super::OWNER);
}

pub(in super::super) async fn what_is_dropped_is_gone(store: &impl QueuedStore) {
    let world = World::new(store);
    let mut submission = world.submission(None);
    store.open_submission(&submission).await.unwrap();
    let lines = [
        world.operation("a"),
        world.in_group("b", "g"),
        world.in_group("c", "g"),
        world.operation("d"),
    ];
    let lines = lines.into_iter().zip(1..);
    let lines: Vec<NewOperation> = lines
        .map(|(new, line)| NewOperation { line, ..new })
        .collect();
    store.stage(submission.id, lines.clone()).await.unwrap();
    let dropped = store.drop_staged(submission.id, Some(&[1, 3])).await;
    assert_eq!(dropped.unwrap(), 3, "and the group with its member");
    submission.accepted_at = Some(at(1));
    store.accept(&submission).await.unwrap();
    world.unfold().await;
    let found = store.operations(&OperationFilter::default(), None, 9).await;
    let found: Vec<_> = found.unwrap().items.iter().map(|found| found.id).collect();
    assert_eq!(found, [lines[3].id]);
    let late = store.drop_staged(submission.id, Some(&[4])).await.unwrap();
    assert_eq!(late, 0, "what is accepted stays");
    assert_eq!(store.drop_staged(submission.id, None).await.unwrap(), 0);
    assert_eq!(world.state(lines[3].id).await, State::Received);
    world.counts_fit().await;
}
