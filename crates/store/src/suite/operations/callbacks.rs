//! Whose ends are told.

use std::time::Duration;

use crmgate_domain::{OperationId, State};

use super::{QueuedStore, World};
use crate::{CALLBACKS, Callback, NewOperation};

async fn told(store: &impl QueuedStore) -> Vec<OperationId> {
    let lease = Duration::from_secs(60);
    let jobs = store.claim(CALLBACKS, "w", 100, lease).await.unwrap();
    let mut ids: Vec<OperationId> = jobs.iter().map(|job| job.id.parse().unwrap()).collect();
    ids.sort();
    ids
}

pub(in super::super) async fn ends_are_told(store: &impl QueuedStore) {
    let world = World::new(store);
    let told_of = |name: &str| NewOperation {
        callback: Some(Callback {
            url: "https://hooks.example/x".to_owned(),
        }),
        ..world.operation(name)
    };
    let after = NewOperation {
        callback: told_of("x").callback,
        ..world.after("after", &["denied"])
    };
    let all = vec![
        told_of("written"),
        world.operation("quiet"),
        told_of("denied"),
        after,
    ];
    let ids = world.submit(all).await;
    let [written, quiet, denied, after] = ids[..] else {
        panic!("four were submitted");
    };
    assert!(told(store).await.is_empty(), "nothing has ended");
    world.live(written, State::Succeeded).await;
    world.live(quiet, State::Succeeded).await;
    world.live(denied, State::Denied).await;
    assert_eq!(world.state(after).await, State::Cancelled);
    let mut ended = vec![written, denied, after];
    ended.sort();
    assert_eq!(
        told(store).await,
        ended,
        "each in the transaction of its end"
    );

    let doubtful = world.submit(vec![told_of("doubtful")]).await[0];
    world.take(doubtful).await;
    world.permit(doubtful).await;
    world.shift(doubtful, State::Writing).await;
    assert!(told(store).await.is_empty());
    world.shift(doubtful, State::Uncertain).await;
    assert_eq!(told(store).await, [doubtful], "people must look");

    let filter = crate::OperationFilter {
        group: Some(doubtful),
        ..crate::OperationFilter::default()
    };
    let alone = store.operations(&filter, None, 10).await.unwrap();
    assert!(alone.items.is_empty(), "it stands in no group");
    let group = ["g1", "g2"].map(|name| world.in_group(name, "g"));
    let group = world.submit(group.to_vec()).await;
    let filter = crate::OperationFilter {
        group: Some(group[0]),
        ..crate::OperationFilter::default()
    };
    let found = store.operations(&filter, None, 10).await.unwrap();
    let found: Vec<OperationId> = found.items.iter().map(|one| one.id).collect();
    assert_eq!(found, [group[1], group[0]]);
}
