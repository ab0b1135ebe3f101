//! Workers that die, hang or lose the store, and backups.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use crmgate_domain::{
    Ambient as _, OperationId, Point, ProcessId, RevisionId, State, SubmissionId, Timestamp,
};
use crmgate_enforce::queued::{Desk, Ended};
use crmgate_store::{
    Begun, By, DecisionRecord, HistoryEntry, Hold, Misfit, Move, Moved, NewOperation, Opened,
    OperationFilter, OperationLog, Page, RowLease, Staged, Standing, StoreError, StoredOperation,
    Submission, Tally, Unfolded,
};
use crmgate_worker::Drafts as _;
use serde_json::json;

use crate::asks::TestDrafts;
use crate::world::{BOTH, System, World};

/// A store in which a step never ends: what a paused process looks like to all others.
struct Hanging {
    inner: Arc<dyn OperationLog>,
    /// Before rows are marked as being sent, or after they were sent.
    at: State,
    hung: AtomicBool,
}

impl Hanging {
    fn over(world: &World, at: State) -> Arc<Self> {
        Arc::new(Self {
            inner: world.log(),
            at,
            hung: AtomicBool::new(false),
        })
    }

    fn hangs(&self) -> bool {
        self.hung.load(Ordering::SeqCst)
    }
}

/// Passes everything on but what is given.
macro_rules! passing_on {
    ($store:ty, { $($own:tt)* }) => {
        #[async_trait]
        impl OperationLog for $store {
            $($own)*
            async fn open_submission(&self, submission: &Submission) -> Result<Opened, StoreError> {
                self.inner.open_submission(submission).await
            }
            async fn stage(&self, submission: SubmissionId, operations: Vec<NewOperation>) -> Result<Vec<Staged>, StoreError> {
                self.inner.stage(submission, operations).await
            }
            async fn misfits(&self, submission: SubmissionId, most: usize) -> Result<Vec<Misfit>, StoreError> {
                self.inner.misfits(submission, most).await
            }
            async fn accept(&self, submission: &Submission) -> Result<(), StoreError> {
                self.inner.accept(submission).await
            }
            async fn drop_staged(&self, submission: SubmissionId, lines: Option<&[u64]>) -> Result<u64, StoreError> {
                self.inner.drop_staged(submission, lines).await
            }
            async fn drop_abandoned(&self, before: Timestamp) -> Result<u64, StoreError> {
                self.inner.drop_abandoned(before).await
            }
            async fn unfold(&self, at: Timestamp, most: usize) -> Result<Unfolded, StoreError> {
                self.inner.unfold(at, most).await
            }
            async fn submission(&self, id: SubmissionId) -> Result<Option<Submission>, StoreError> {
                self.inner.submission(id).await
            }
            async fn begin(&self, id: OperationId, by: &By, lease: RowLease, at: Timestamp) -> Result<Begun, StoreError> {
                self.inner.begin(id, by, lease, at).await
            }
            async fn decide_to_hold(&self, hold: Hold, record: DecisionRecord, then: Move) -> Result<Result<u64, Moved>, StoreError> {
                self.inner.decide_to_hold(hold, record, then).await
            }
            async fn take_held(&self, asked: crmgate_store::HeldOperation) -> Result<Hold, StoreError> {
                self.inner.take_held(asked).await
            }
            async fn stuck(&self, before: Timestamp, most: usize) -> Result<Vec<OperationId>, StoreError> {
                self.inner.stuck(before, most).await
            }
            async fn expire(&self, at: Timestamp, by: &By, most: usize) -> Result<u64, StoreError> {
                self.inner.expire(at, by, most).await
            }
            async fn judge_again(&self, revision: &RevisionId, at: Timestamp, most: usize) -> Result<u64, StoreError> {
                self.inner.judge_again(revision, at, most).await
            }
            async fn mark_restored(&self, at: Timestamp, by: &By) -> Result<u64, StoreError> {
                self.inner.mark_restored(at, by).await
            }
            async fn operation(&self, id: OperationId) -> Result<Option<StoredOperation>, StoreError> {
                self.inner.operation(id).await
            }
            async fn operations(&self, filter: &OperationFilter, cursor: Option<&str>, limit: usize) -> Result<Page<StoredOperation>, StoreError> {
                self.inner.operations(filter, cursor, limit).await
            }
            async fn history(&self, id: OperationId) -> Result<Vec<HistoryEntry>, StoreError> {
                self.inner.history(id).await
            }
            async fn related(&self, id: OperationId) -> Result<(Vec<OperationId>, Vec<OperationId>), StoreError> {
                self.inner.related(id).await
            }
            async fn tally(&self, filter: &OperationFilter) -> Result<Vec<Tally>, StoreError> {
                self.inner.tally(filter).await
            }
            async fn standing(&self, ) -> Result<std::collections::BTreeMap<(crmgate_domain::ConnectionName, State), Standing>, StoreError> {
                self.inner.standing().await
            }
            async fn moved(&self, id: OperationId, seen: u64, most: Duration) {
                self.inner.moved(id, seen, most).await;
            }
            async fn prune_operations(&self, payloads: Option<Timestamp>, rows: Option<Timestamp>) -> Result<bool, StoreError> {
                self.inner.prune_operations(payloads, rows).await
            }
        }
    };
}

passing_on!(Hanging, {
    async fn shift(&self, moves: Vec<Move>) -> Result<Vec<Moved>, StoreError> {
        if moves.iter().any(|then| then.to == self.at) {
            self.hung.store(true, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }
        self.inner.shift(moves).await
    }

    async fn decide(
        &self,
        record: DecisionRecord,
        then: Move,
    ) -> Result<Result<u64, Moved>, StoreError> {
        if then.to == self.at {
            self.hung.store(true, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }
        self.inner.decide(record, then).await
    }

    async fn keep(
        &self,
        ids: &[OperationId],
        lease: RowLease,
    ) -> Result<Vec<OperationId>, StoreError> {
        if self.hangs() {
            std::future::pending::<()>().await;
        }
        self.inner.keep(ids, lease).await
    }
});

/// A store in which leases are not renewed.
struct Deaf {
    inner: Arc<dyn OperationLog>,
}

passing_on!(Deaf, {
    async fn shift(&self, moves: Vec<Move>) -> Result<Vec<Moved>, StoreError> {
        self.inner.shift(moves).await
    }

    async fn decide(
        &self,
        record: DecisionRecord,
        then: Move,
    ) -> Result<Result<u64, Moved>, StoreError> {
        self.inner.decide(record, then).await
    }

    async fn keep(&self, _: &[OperationId], _: RowLease) -> Result<Vec<OperationId>, StoreError> {
        Ok(Vec::new())
    }
});

impl World {
    /// Has a worker die at a step.
    pub(crate) async fn dies_with(&self, at: State) {
        let hanging = Hanging::over(self, at);
        let doomed = self.worker_over(hanging.clone());
        for _ in 0..500 {
            if hanging.hangs() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(hanging.hangs(), "{:?} never came to {at}", self.system);
        tokio::time::sleep(Duration::from_millis(300)).await;
        doomed.die().await;
    }
}

/// Has a worker die at a step, and another one end what it left.
async fn dies_at(system: System, at: State, wanted_calls: usize) {
    let world = World::new(system).await;
    let record = world.made("Ada").await;
    let before = world.calls().len();
    let names: Vec<String> = (0..3).map(|nth| format!("Crash {nth}")).collect();
    let mut wishes: Vec<_> = names.iter().map(|name| world.create(name)).collect();
    wishes.push(world.update(&record, "9"));
    let ids = world.submit(wishes).await;
    world.dies_with(at).await;
    // Its leases end, and what it may have sent has arrived or never will.
    world.advance(Duration::from_secs(60));
    let working = world.worker();
    world.end(&ids).await;
    working.stop().await;
    let states = world.states(&ids).await;
    assert!(
        states.iter().all(|state| *state == State::Succeeded),
        "{system:?} {at}: {states:?}"
    );
    for name in names {
        assert_eq!(world.count(&name).await, 1, "{system:?} {at} {name}");
    }
    assert_eq!(world.phone("Ada").await.as_deref(), Some("9"));
    let calls = world.calls().len() - before;
    assert!(
        calls <= wanted_calls,
        "{system:?} {at}: {:#?}",
        world.calls()
    );
}

#[tokio::test]
async fn a_worker_that_dies_before_it_sent_leaves_nothing_undone() {
    for system in BOTH {
        dies_at(system, State::Permitted, 4).await;
        dies_at(system, State::Writing, 4).await;
    }
}

#[tokio::test]
async fn a_worker_that_dies_after_it_sent_leaves_nothing_done_twice() {
    for system in BOTH {
        dies_at(system, State::Succeeded, 4).await;
    }
}

#[tokio::test]
async fn a_worker_that_wakes_up_late_does_not_write_beside_another() {
    let world = World::new(System::Salesforce).await;
    // The call is under way for longer than its worker's lease lasts.
    world.faults(&json!([
        {"kind": "delay", "millis": 1_500, "path": "*/sobjects/*", "method": "POST", "times": 1},
    ]));
    let ids = world.submit(vec![world.create("Paused")]).await;
    let paused = world.worker_over(Arc::new(Deaf { inner: world.log() }));
    world.reach(&ids, |state| state == State::Writing).await;
    world.advance(Duration::from_secs(4));
    let desk = Desk {
        operations: world.log(),
        by: By("worker other".into()),
        process: ProcessId::fresh(world.ambient.as_ref()),
        lease: Duration::from_secs(3),
        tries: world.settings.tries,
    };
    let now = world.ambient.now();
    let begun = world
        .store
        .begin(ids[0], &desk.by, desk.lease_from(now), now);
    let Begun::Settle(rows) = begun.await.unwrap() else {
        panic!("what is being written is to be settled");
    };
    // It is not there, but it may still come: that is no leave to write.
    let ended = world.gate.settle(&desk, &rows).await.unwrap();
    assert!(matches!(ended[..], [(_, Ended::Unknown(_))]), "{ended:?}");
    while world.count("Paused").await == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.advance(Duration::from_secs(60));
    world.end(&ids).await;
    paused.stop().await;
    assert_eq!(world.states(&ids).await, [State::Succeeded]);
    assert_eq!(world.count("Paused").await, 1);
    assert_eq!(world.calls().len(), 1, "{:?}", world.calls());
}

#[tokio::test]
async fn what_a_backup_forgot_is_looked_for_before_it_is_written() {
    for system in BOTH {
        let world = World::new(system).await;
        // As if the backup were older than the write: the row says `received`, the record is there.
        let written = world.create("Written");
        let ids = world.submit(vec![written, world.create("Open")]).await;
        // What the lost time had done is done by the gate of the same seed.
        let drafts = TestDrafts(Arc::clone(&world.connector), Point::Queue);
        let stored = world.see(ids[0]).await;
        let draft = drafts.draft(&stored, world.ambient.now()).await;
        let ask = crmgate_enforce::Ask {
            draft: draft.unwrap().draft,
            caller: crmgate_enforce::Caller::unknown(crmgate_connector::Credential::Service),
            point: Point::Gateway,
            at: world.ambient.now(),
            purpose: None,
            parsing: Duration::ZERO,
            later: None,
        };
        world.gate.write(ask).await;
        assert_eq!(world.count("Written").await, 1);
        let by = By("test".into());
        let marked = world.store.mark_restored(world.ambient.now(), &by).await;
        assert_eq!(marked.unwrap(), 2);
        let working = world.worker();
        world.end(&ids).await;
        working.stop().await;
        let states = world.states(&ids).await;
        assert_eq!(states, [State::Succeeded, State::Succeeded], "{system:?}");
        assert_eq!(world.count("Written").await, 1, "{system:?}");
        assert_eq!(world.count("Open").await, 1, "{system:?}");
        let lives = world.life(ids[0]).await;
        assert!(!lives.contains(&State::Writing), "{lives:?}");
    }
}

#[tokio::test]
async fn an_update_of_which_a_backup_knows_nothing_waits_for_an_operator() {
    let world = World::new(System::Dynamics).await;
    let record = world.made("Ada").await;
    let before = world.calls().len();
    let ids = world.submit(vec![world.update(&record, "5")]).await;
    let by = By("test".into());
    let marked = world.store.mark_restored(world.ambient.now(), &by).await;
    assert_eq!(marked.unwrap(), 1);
    let working = world.worker();
    world.reach(&ids, |state| state == State::Uncertain).await;
    working.stop().await;
    let why = world.see(ids[0]).await.why.unwrap();
    assert_eq!(why.code, "restored");
    assert!(why.message.contains("backup"), "{why:?}");
    assert_eq!(world.calls().len(), before);
}
