//! Whole lives of queued operations, for measures.

use std::sync::Arc;
use std::time::Duration;

use crmgate_domain::{
    Actor, Ambient, Effect, OperationId, PayloadHash, ProcessId, State, SubmissionId,
};

use futures::StreamExt as _;

use super::full_record;
use super::operations::QueuedStore;
use super::samples::outcome;
use crate::{Begun, By, Move, Moved, NewOperation, OutcomeKind, RowLease, Submission};

/// Longer than any measure.
const LONG: Duration = Duration::from_secs(1 << 20);

/// A store, and one worker of it.
pub struct Lives<S> {
    store: Arc<S>,
    ambient: Arc<dyn Ambient>,
    worker: ProcessId,
    lease: Duration,
}

/// An operation that the worker has.
pub struct Life(Move);

impl<S: QueuedStore> Lives<S> {
    /// A worker of this store.
    #[must_use]
    pub fn new(store: Arc<S>, ambient: Arc<dyn Ambient>) -> Self {
        Self {
            store,
            worker: ProcessId::fresh(ambient.as_ref()),
            ambient,
            lease: LONG,
        }
    }

    /// It has what it takes for so long.
    #[must_use]
    pub fn leasing(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    /// The store.
    #[must_use]
    pub const fn store(&self) -> &Arc<S> {
        &self.store
    }

    fn operation(&self, connection: &str, lane: Option<&str>, line: u64) -> NewOperation {
        let id = OperationId::fresh(self.ambient.as_ref());
        NewOperation {
            id,
            connection: connection.parse().unwrap(),
            client_id: Some(id.to_string()),
            line,
            actor: Actor::default(),
            kind: "update".to_owned(),
            object: "contact".to_owned(),
            record_id: Some(id.to_string()),
            lane: Some(lane.map_or_else(|| format!("contact/{id}"), str::to_owned)),
            group: None,
            depends_on: Vec::new(),
            priority: 0,
            not_before: None,
            expires_at: None,
            purpose: None,
            callback: None,
            request: "{\"record\":{\"email\":\"ada@example.com\"}}".to_owned(),
            content: PayloadHash::of(&[id.uuid().as_bytes()]),
            trace: None,
        }
    }

    /// So many operations, each in a lane of its own, ready to be begun with.
    pub async fn submit(&self, connection: &str, count: u64) -> Vec<OperationId> {
        self.submit_all(connection, None, count).await
    }

    /// So many operations that wait for each other.
    pub async fn submit_in_lane(&self, connection: &str, count: u64) -> Vec<OperationId> {
        self.submit_all(connection, Some("lane"), count).await
    }

    async fn submit_all(
        &self,
        connection: &str,
        lane: Option<&str>,
        count: u64,
    ) -> Vec<OperationId> {
        let at = self.ambient.now();
        let submission = Submission {
            id: SubmissionId::fresh(self.ambient.as_ref()),
            owner: "importer".to_owned(),
            key: None,
            at,
            accepted_at: Some(at),
            content: None,
            count,
            repeated: 0,
            refused: 0,
            answer: None,
        };
        self.store.open_submission(&submission).await.unwrap();
        let mut ids = Vec::new();
        let mut line = 0;
        while line < count {
            let part: Vec<_> = (line..count.min(line + 500))
                .map(|line| self.operation(connection, lane, line + 1))
                .collect();
            line += part.len() as u64;
            ids.extend(part.iter().map(|new| new.id));
            self.store.stage(submission.id, part).await.unwrap();
        }
        self.store.accept(&submission).await.unwrap();
        while self.store.unfold(at, 10_000).await.unwrap().more {}
        ids
    }

    /// Takes one, in whatever way it can be taken.
    pub async fn try_begin(&self, id: OperationId) -> Begun {
        self.begin_now(id).await.0
    }

    async fn begin_now(&self, id: OperationId) -> (Begun, RowLease) {
        let at = self.ambient.now();
        let lease = RowLease {
            owner: self.worker,
            until: at + self.lease,
        };
        let by = By("worker w".into());
        let begun = self.store.begin(id, &by, lease.clone(), at).await.unwrap();
        (begun, lease)
    }

    /// Takes one that is to be decided.
    pub async fn begin(&self, id: OperationId) -> Life {
        let (begun, lease) = self.begin_now(id).await;
        let Begun::Decide(mut taken) = begun else {
            panic!("one operation was expected, not {begun:?}");
        };
        let (at, by) = (self.ambient.now(), By("worker w".into()));
        let mut next = Move::new(&taken.remove(0), State::Permitted, at, by);
        next.lease = Some(lease);
        Life(next)
    }

    /// Decides that it is allowed.
    pub async fn permit(&self, Life(wanted): Life) -> Life {
        let mut record = full_record(self.ambient.as_ref());
        record.decision.judgement.effect = Effect::Allow;
        record.hold = None;
        let next = Move {
            seen: wanted.seen + 1,
            to: State::Writing,
            decision: Some(record.decision.id),
            ..wanted.clone()
        };
        self.store.decide(record, wanted).await.unwrap().unwrap();
        Life(next)
    }

    /// Says that it is about to be written.
    pub async fn write(&self, Life(wanted): Life) -> Life {
        let next = Move {
            seen: wanted.seen + 1,
            to: State::Succeeded,
            lease: None,
            outcome: wanted
                .decision
                .map(|decision| outcome(decision, OutcomeKind::Succeeded)),
            ..wanted.clone()
        };
        let moved = self.try_write(Life(wanted)).await;
        assert!(matches!(moved, Moved::Done(_)), "{moved:?}");
        Life(next)
    }

    /// Says that it is about to be written, or what else is done with it, if it may.
    pub async fn try_write(&self, Life(wanted): Life) -> Moved {
        let wanted = Move {
            decision: None,
            ..wanted
        };
        let moved = self.store.shift(vec![wanted]).await.unwrap();
        moved[0].clone()
    }

    /// Says that it is written.
    pub async fn end(&self, life: Life) {
        let moved = self.try_write(life).await;
        assert!(matches!(moved, Moved::Done(_)), "{moved:?}");
    }

    /// From being begun with to its end.
    pub async fn live(&self, id: OperationId) {
        let life = self.begin(id).await;
        let life = self.permit(life).await;
        let life = self.write(life).await;
        self.end(life).await;
    }

    /// Whole lives, so many at once.
    pub async fn all_live(&self, ids: Vec<OperationId>, workers: usize) {
        let lives = futures::stream::iter(ids).map(|id| self.live(id));
        lives.buffer_unordered(workers).collect::<()>().await;
    }
}
