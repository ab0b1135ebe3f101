//! Which processes share a store.

use crmgate_domain::{Ambient as _, ProcessId, RevisionId};
use jiff::ToSpan as _;

use super::Ticking;
use crate::{Process, ProcessKind, Processes};

pub(super) async fn the_living_are_known(store: &impl Processes) {
    let ambient = Ticking::default();
    let started_at = ambient.now();
    let process = |kind| Process {
        id: ProcessId::fresh(&ambient),
        kind,
        host: "here".to_owned(),
        version: "1".to_owned(),
        started_at: ambient.now(),
        beat_at: started_at,
        revision: RevisionId::new("abc"),
        draining: false,
    };
    let (serve, mut worker) = (process(ProcessKind::Serve), process(ProcessKind::Worker));
    store.beat_process(&worker).await.unwrap();
    store.beat_process(&serve).await.unwrap();
    let all = store.processes(started_at).await.unwrap();
    assert_eq!(all, [serve.clone(), worker.clone()], "the oldest first");
    worker.beat_at = started_at + 10.seconds();
    worker.draining = true;
    worker.revision = RevisionId::new("def");
    store.beat_process(&worker).await.unwrap();
    let living = store.processes(started_at + 1.second()).await.unwrap();
    assert_eq!(living, [worker.clone()]);
    store.leave(worker.id).await.unwrap();
    store.leave(worker.id).await.unwrap();
    assert_eq!(store.processes(started_at).await.unwrap(), [serve]);
}
