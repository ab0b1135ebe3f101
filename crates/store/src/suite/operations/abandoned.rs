//! Submissions whose process died while it took them in.

use crmgate_domain::{PayloadHash, State};

use super::{QueuedStore, World, at};
use crate::{NewOperation, Opened, Submission};

fn numbered(operations: Vec<NewOperation>) -> Vec<NewOperation> {
    let numbered = operations.into_iter().zip(1..);
    numbered
        .map(|(new, line)| NewOperation { line, ..new })
        .collect()
}

fn closed(submission: Submission) -> Submission {
    Submission {
        accepted_at: Some(at(5)),
        content: Some(PayloadHash::of(&[b"all"])),
        count: 2,
        answer: Some("{}".to_owned()),
        ..submission
    }
}

/// `die` ends the process of the first store, and gives that of another one on the same data.
pub(in super::super) async fn what_the_dead_began_gives_way<S, F>(
    first: S,
    die: impl FnOnce(S) -> F,
) where
    S: QueuedStore,
    F: Future<Output = S>,
{
    let world = World::new(&first);
    let (begun, unnamed) = (world.submission(Some("k")), world.submission(None));
    let done = closed(world.submission(Some("done")));
    for submission in [&begun, &unnamed, &done] {
        let opened = first.open_submission(submission).await.unwrap();
        assert_eq!(opened, Opened::New);
    }
    let lines = numbered(vec![world.operation("a"), world.operation("b")]);
    first.stage(begun.id, lines).await.unwrap();
    let lines = numbered(vec![world.operation("c")]);
    first.stage(unnamed.id, lines).await.unwrap();
    first.accept(&done).await.unwrap();

    let store = die(first).await;
    let world = World::new(&store);
    let again = [world.submission(Some("k")), world.submission(Some("k"))];
    let opened = futures::join!(
        store.open_submission(&again[0]),
        store.open_submission(&again[1])
    );
    let opened = [opened.0.unwrap(), opened.1.unwrap()];
    let taken = opened.iter().position(|opened| *opened == Opened::New);
    let taken = taken.expect("the key of the dead is free");
    let under_way = Opened::UnderWay(again[taken].id);
    assert_eq!(opened[1 - taken], under_way, "one of them has it");

    // Should it only have been paused: it can do nothing any more.
    let late = store.stage(begun.id, numbered(vec![world.operation("d")]));
    assert!(late.await.is_err());
    assert!(store.accept(&closed(begun.clone())).await.is_err());
    assert_eq!(store.drop_staged(begun.id, None).await.unwrap(), 0);
    assert_eq!(store.submission(begun.id).await.unwrap(), None);

    let lines = numbered(vec![world.operation("a"), world.operation("b")]);
    let ids = [lines[0].id, lines[1].id];
    let staged = store.stage(again[taken].id, lines).await.unwrap();
    assert_eq!(staged, [crate::Staged::New; 2]);
    let taken = closed(again[taken].clone());
    store.accept(&taken).await.unwrap();
    world.unfold().await;
    assert_eq!(world.state(ids[0]).await, State::Received);
    for known in [&taken, &done] {
        let asked = world.submission(known.key.as_deref());
        let opened = store.open_submission(&asked).await.unwrap();
        assert_eq!(opened, Opened::Known(Box::new(known.clone())));
    }

    let own = world.submission(None);
    store.open_submission(&own).await.unwrap();
    let dropped = store.drop_abandoned(at(-1)).await.unwrap();
    assert_eq!(dropped, 1, "what the dead began without a key goes, too");
    assert!(store.submission(own.id).await.unwrap().is_some());
    world.counts_fit().await;
}
