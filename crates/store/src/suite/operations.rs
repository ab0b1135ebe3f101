//! What a store of queued operations must do.

mod abandoned;
mod blocked;
mod callbacks;
mod crowd;
mod ending;
mod holding;
mod looking;
mod submitting;
mod taking;
mod together;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crmgate_domain::{
    Actor, Effect, OperationId, PayloadHash, ProcessId, State, SubmissionId, Timestamp,
};

use super::Ticking;
use super::samples::{name, record, start};
use crate::{
    Begun, By, Dependency, Jobs, Move, Moved, NewOperation, OperationLog, Outcome, OutcomeKind,
    RowLease, Settlement, Staged, Store, StoredOperation, Submission, Verdict, queue_of,
};

pub(super) use self::abandoned::what_the_dead_began_gives_way;
pub(super) use self::blocked::{
    a_dead_dependency_cancels_all_that_depends_on_it, circles_and_strangers_are_misfits,
    dependants_wait_for_success, lanes_keep_their_order, many_dependants_are_told_in_steps,
};
pub(super) use self::callbacks::ends_are_told;
pub(super) use self::crowd::many_at_once_are_as_one_after_another;
pub(super) use self::ending::{
    backups_are_found_out_about_first, errors_of_policies_wait_for_others, overdue_ones_expire,
    what_is_stuck_is_found,
};
pub(super) use self::holding::{
    held_ones_leave_their_lane, what_cannot_wait_elsewhere_is_taken_held,
};
pub(super) use self::looking::{
    listings_narrow_and_page, moves_are_heard_of, requests_can_be_erased, what_is_old_is_forgotten,
};
pub(super) use self::submitting::{
    accepted_ones_come_in_order, an_open_submission_gives_way, keys_and_names_are_used_once,
    what_is_dropped_is_gone,
};
pub(super) use self::taking::{
    a_broken_worker_loses_what_it_had, a_life_is_recorded, lost_races_change_nothing,
};
pub(super) use self::together::{
    groups_happen_together_or_not_at_all, what_moves_twice_at_once_is_met_at_its_end,
};

/// What the suite asks of a store.
pub trait QueuedStore: Store + OperationLog + Jobs {}
impl<T: Store + OperationLog + Jobs> QueuedStore for T {}

const OWNER: &str = "importer";

pub(super) struct World<'a, S> {
    store: &'a S,
    ambient: Ticking,
    worker: ProcessId,
}

fn by() -> By {
    By("worker w".into())
}

/// A time of the test. The store's clock is hours past all of them, so that jobs are due.
fn at(millis: i64) -> Timestamp {
    start() + jiff::SignedDuration::from_millis(millis)
}

impl<'a, S: QueuedStore> World<'a, S> {
    fn new(store: &'a S) -> Self {
        static MADE: AtomicU64 = AtomicU64::new(1 << 8);
        let ambient = Ticking::after(MADE.fetch_add(1, Ordering::Relaxed) << 32);
        let worker = ProcessId::fresh(&ambient);
        Self {
            store,
            ambient,
            worker,
        }
    }

    fn lease(&self, until: Timestamp) -> RowLease {
        RowLease {
            owner: self.worker,
            until,
        }
    }

    fn submission(&self, key: Option<&str>) -> Submission {
        Submission {
            id: SubmissionId::fresh(&self.ambient),
            owner: OWNER.to_owned(),
            key: key.map(str::to_owned),
            at: at(0),
            accepted_at: None,
            content: None,
            count: 0,
            repeated: 0,
            refused: 0,
            answer: None,
        }
    }

    fn operation(&self, client_id: &str) -> NewOperation {
        NewOperation {
            id: OperationId::fresh(&self.ambient),
            connection: name("acme-sf"),
            client_id: Some(client_id.to_owned()),
            line: 0,
            actor: Actor {
                id: "005".to_owned(),
                email: Some("ada@example.com".to_owned()),
                ..Actor::default()
            },
            kind: "update".to_owned(),
            object: "contact".to_owned(),
            record_id: None,
            lane: None,
            group: None,
            depends_on: Vec::new(),
            priority: 0,
            not_before: None,
            expires_at: None,
            purpose: None,
            callback: None,
            request: format!("{{\"for\":\"{client_id}\"}}"),
            content: PayloadHash::of(&[client_id.as_bytes()]),
            trace: None,
        }
    }

    fn in_lane(&self, client_id: &str, lane: &str) -> NewOperation {
        NewOperation {
            lane: Some(lane.to_owned()),
            ..self.operation(client_id)
        }
    }

    fn in_group(&self, client_id: &str, group: &str) -> NewOperation {
        NewOperation {
            group: Some(group.to_owned()),
            ..self.operation(client_id)
        }
    }

    fn after(&self, client_id: &str, others: &[&str]) -> NewOperation {
        let others = others.iter();
        NewOperation {
            depends_on: others
                .map(|other| Dependency::ClientId((*other).to_owned()))
                .collect(),
            ..self.operation(client_id)
        }
    }

    /// Stages and accepts, without unfolding.
    async fn accept(&self, operations: Vec<NewOperation>) -> Vec<OperationId> {
        let mut submission = self.submission(None);
        self.store.open_submission(&submission).await.unwrap();
        let ids = operations.iter().map(|new| new.id).collect();
        let numbered = operations.into_iter().zip(1..);
        let numbered: Vec<NewOperation> = numbered
            .map(|(new, line)| NewOperation { line, ..new })
            .collect();
        for part in numbered.chunks(150) {
            let staged = self.store.stage(submission.id, part.to_vec()).await;
            assert!(staged.unwrap().iter().all(|staged| *staged == Staged::New));
        }
        let misfits = self.store.misfits(submission.id, 100).await.unwrap();
        assert_eq!(misfits, Vec::new());
        submission.accepted_at = Some(at(1));
        submission.count = numbered.len() as u64;
        self.store.accept(&submission).await.unwrap();
        ids
    }

    async fn unfold(&self) {
        while self.store.unfold(at(2), 1_000).await.unwrap().more {}
    }

    async fn submit(&self, operations: Vec<NewOperation>) -> Vec<OperationId> {
        let ids = self.accept(operations).await;
        self.unfold().await;
        ids
    }

    /// Takes all jobs that are due: their names.
    async fn woken(&self) -> BTreeSet<OperationId> {
        let queue = queue_of(&name("acme-sf"));
        let mut woken = BTreeSet::new();
        loop {
            let lease = Duration::from_secs(60);
            let jobs = self.store.claim(&queue, "w", 100, lease).await.unwrap();
            if jobs.is_empty() {
                return woken;
            }
            woken.extend(
                jobs.iter()
                    .map(|job| job.id.parse::<OperationId>().unwrap()),
            );
            let settled = jobs.iter().map(|job| Settlement {
                id: job.id.clone(),
                lease: job.lease,
                verdict: Verdict::Done,
            });
            let lost = self.store.settle(&queue, settled.collect()).await.unwrap();
            assert_eq!(lost, Vec::<String>::new());
        }
    }

    async fn wakes(&self, expected: &[OperationId]) {
        assert_eq!(self.woken().await, expected.iter().copied().collect());
    }

    async fn begin(&self, id: OperationId) -> Begun {
        let lease = self.lease(at(60_000));
        self.store.begin(id, &by(), lease, at(500)).await.unwrap()
    }

    /// Begins with one that can be begun with.
    async fn take(&self, id: OperationId) -> StoredOperation {
        match self.begin(id).await {
            Begun::Decide(mut all) if all.len() == 1 => all.remove(0),
            other => panic!("one operation was expected, not {other:?}"),
        }
    }

    async fn get(&self, id: OperationId) -> StoredOperation {
        self.store.operation(id).await.unwrap().unwrap()
    }

    async fn state(&self, id: OperationId) -> State {
        self.get(id).await.state
    }

    async fn wanted(&self, id: OperationId, to: State) -> Move {
        Move::new(&self.get(id).await, to, at(20), by())
    }

    /// Moves one; it must be possible.
    async fn shift(&self, id: OperationId, to: State) {
        let mut wanted = self.wanted(id, to).await;
        if to.is_worked_on() {
            wanted.lease = Some(self.lease(at(60_000)));
        }
        let moved = self.store.shift(vec![wanted]).await.unwrap();
        assert!(matches!(moved[..], [Moved::Done(_)]), "{moved:?}");
    }

    /// Decides that one is allowed: the decision's place.
    async fn permit(&self, id: OperationId) {
        let mut wanted = self.wanted(id, State::Permitted).await;
        wanted.lease = Some(self.lease(at(60_000)));
        let mut decided = record(&self.ambient, "acme-sf", ("contact", "005"), Effect::Allow);
        decided.hold = None;
        let id = decided.decision.id;
        let place = self.store.decide(decided, wanted).await.unwrap().unwrap();
        let stored = self.store.decision(id).await.unwrap().unwrap();
        assert_eq!(stored.sequence, place);
    }

    /// From being begun with to its end.
    async fn write(&self, id: OperationId, end: State) {
        self.permit(id).await;
        self.shift(id, State::Writing).await;
        let operation = self.get(id).await;
        let mut wanted = Move::new(&operation, end, at(30), by());
        wanted.millicalls = 500;
        wanted.outcome = Some(Outcome {
            decision: operation.decision.unwrap(),
            at: at(30),
            kind: match end {
                State::Succeeded => OutcomeKind::Succeeded,
                State::Refused => OutcomeKind::Refused,
                _ => OutcomeKind::NotWritten,
            },
            status: Some(201),
            code: None,
            record_id: Some("003".to_owned()),
        });
        wanted.record_id = Some("003".to_owned());
        let moved = self.store.shift(vec![wanted]).await.unwrap();
        assert!(matches!(moved[..], [Moved::Done(_)]), "{moved:?}");
    }

    /// From being woken to its end.
    async fn live(&self, id: OperationId, end: State) {
        self.take(id).await;
        match end {
            State::Succeeded | State::Refused => self.write(id, end).await,
            _ => self.shift(id, end).await,
        }
    }

    /// The counts for metrics are those of the rows.
    async fn counts_fit(&self) {
        let standing = self.store.standing().await.unwrap();
        let tally = self.store.tally(&crate::OperationFilter::default()).await;
        for state in State::ALL.into_iter().filter(|state| !state.is_final()) {
            let counted: u64 = standing
                .iter()
                .filter(|((_, of), _)| *of == state)
                .map(|(_, standing)| standing.count)
                .sum();
            let tally = tally.as_ref().unwrap().iter();
            let found: u64 = tally
                .filter(|tally| tally.state == state)
                .map(|tally| tally.count)
                .sum();
            assert_eq!(counted, found, "{state}");
        }
    }
}
