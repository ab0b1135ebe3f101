//! Many at once.

use std::collections::{BTreeMap, BTreeSet};

use crmgate_domain::{Effect, OperationId, State};
use futures::future::join_all;

use super::{QueuedStore, World, at, by};
use crate::suite::samples::{outcome, record};
use crate::{Begun, DecisionRecord, Move, Moved, OutcomeKind, StoredOperation};

const LANES: usize = 8;

impl<S: QueuedStore> World<'_, S> {
    fn judged(&self) -> DecisionRecord {
        let mut judged = record(&self.ambient, "acme-sf", ("contact", "005"), Effect::Deny);
        judged.hold = None;
        judged
    }

    /// Everybody wants everything: what is taken.
    async fn everybody_begins(&self, ids: &[OperationId]) -> Vec<StoredOperation> {
        let wishes = ids.iter().cycle().take(4 * ids.len());
        let begun = join_all(wishes.map(|id| self.begin(*id))).await;
        let mut taken = Vec::new();
        for begun in begun {
            match begun {
                Begun::Decide(all) => taken.extend(all),
                Begun::Busy(_) | Begun::NotYet(_) | Begun::Over(_) => {}
                other => panic!("not {other:?}"),
            }
        }
        let names: BTreeSet<_> = taken.iter().map(|one| one.id).collect();
        assert_eq!(names.len(), taken.len(), "each is one worker's");
        taken
    }
}

/// Lanes, what depends on them, and some that stand alone.
async fn crowd<S: QueuedStore>(world: &World<'_, S>) -> Vec<OperationId> {
    let mut all = Vec::new();
    for lane in 0..LANES {
        for place in 0..3 {
            all.push(world.in_lane(&format!("l{lane}-{place}"), &format!("l{lane}")));
        }
        all.push(world.operation(&format!("a{lane}")));
        let first = format!("l{lane}-0");
        all.push(world.after(&format!("d{lane}"), &[first.as_str()]));
    }
    world.submit(all).await
}

pub(in super::super) async fn many_at_once_are_as_one_after_another(store: &impl QueuedStore) {
    let world = World::new(store);
    let ids = crowd(&world).await;
    let taken = world.everybody_begins(&ids).await;
    assert_eq!(
        taken.len(),
        2 * LANES,
        "the first of each lane, and the lone"
    );

    // Two judge each; one of them is heard, and has at once what came of the write.
    let judging = taken.iter().flat_map(|one| [one, one]).enumerate();
    let judging = judging.map(|(n, one)| {
        let judged = world.judged();
        let id = judged.decision.id;
        let to = [State::Refused, State::Denied][n / 2 % 2];
        let mut then = Move::new(one, to, at(20), by());
        if to == State::Refused {
            then.outcome = Some(outcome(id, OutcomeKind::Refused));
        }
        async move { (one.id, id, to, store.decide(judged, then).await.unwrap()) }
    });
    let mut heard = BTreeMap::new();
    for (operation, decision, to, place) in join_all(judging).await {
        let stored = store.decision(decision).await.unwrap();
        match place {
            Ok(place) => {
                let stored = stored.unwrap();
                assert_eq!(stored.sequence, place);
                let kind = stored.outcome.map(|outcome| outcome.kind);
                assert_eq!(kind.is_some(), to == State::Refused);
                let before = heard.insert(operation, (decision, to));
                assert_eq!(before, None, "one is heard");
            }
            Err(lost) => {
                assert!(matches!(lost, Moved::Lost { version: 3, .. }), "{lost:?}");
                assert!(
                    stored.is_none(),
                    "what nothing follows from is not recorded"
                );
            }
        }
    }
    assert_eq!(heard.len(), taken.len());
    for (id, (decision, to)) in &heard {
        let stands = world.get(*id).await;
        assert_eq!((stands.state, stands.decision), (*to, Some(*decision)));
    }
    // What depends on the first of a lane is cancelled; the second is free.
    let filter = crate::OperationFilter {
        states: vec![State::Cancelled],
        ..crate::OperationFilter::default()
    };
    let cancelled = store.operations(&filter, None, 100).await;
    assert_eq!(cancelled.unwrap().items.len(), LANES);
    world.counts_fit().await;

    let taken = world.everybody_begins(&ids).await;
    assert_eq!(taken.len(), LANES, "the second of each lane");
    // One goes on with it, and one takes it back.
    let pulled = join_all(taken.iter().flat_map(|one| {
        [State::Permitted, State::Received].map(|to| {
            let mut then = Move::new(one, to, at(30), by());
            then.lease = to.is_worked_on().then(|| world.lease(at(60_000)));
            store.shift(vec![then])
        })
    }));
    let pulled = pulled.await.into_iter();
    let done = pulled.filter(|moved| matches!(moved.as_deref(), Ok([Moved::Done(3)])));
    assert_eq!(done.count(), LANES, "one of two, each");
    for one in &taken {
        let history = store.history(one.id).await.unwrap();
        let versions: Vec<u64> = history.iter().map(|entry| entry.version).collect();
        assert_eq!(versions, [1, 2, 3]);
    }
    world.counts_fit().await;
}
