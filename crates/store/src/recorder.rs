//! The only mint of permits.

use std::sync::Arc;

use crmgate_domain::{Ambient, Effect, HoldId, Mode};
use jiff::ToSpan as _;

use crate::permit::LIFETIME_SECONDS;
use crate::{
    Basis, DecisionLog, DecisionRecord, Move, Moved, OperationLog, Permit, Store, StoreError,
};

/// Records decisions and mints permits from them.
#[derive(Clone)]
pub struct Recorder {
    log: Arc<dyn DecisionLog + Send + Sync>,
    ambient: Arc<dyn Ambient>,
}

/// A recorded decision.
#[derive(Debug)]
pub struct Recorded {
    /// Its place in the store's sequence; `None` when observe mode passed it unrecorded.
    pub sequence: Option<u64>,
    /// The leave to write, when the decision gives one.
    pub permit: Option<Permit>,
}

/// What came of recording a decision about a queued operation.
#[derive(Debug)]
pub enum Moving {
    /// It is recorded and the operation has moved.
    Recorded(Recorded),
    /// Somebody else moved the operation first: nothing is recorded.
    Lost(Moved),
}

impl Recorder {
    /// A recorder over a store.
    pub fn new(log: Arc<dyn DecisionLog + Send + Sync>, ambient: Arc<dyn Ambient>) -> Self {
        Self { log, ambient }
    }

    /// Records the decision; once it is on disk, mints the permit it gives, if it gives one.
    ///
    /// # Errors
    /// When the decision is not certainly on disk and the connection enforces. In observe mode the
    /// permit is given all the same, with `sequence: None` for the caller to count.
    pub async fn record(&self, record: DecisionRecord) -> Result<Recorded, StoreError> {
        let permit = self.permit(&record);
        let observed = matches!(record.basis, Some(Basis::Observed | Basis::Opaque))
            && record.decision.mode == Mode::Observe;
        match self.log.append_decision(record).await {
            Ok(sequence) => Ok(Recorded {
                sequence: Some(sequence),
                permit,
            }),
            Err(_) if observed => Ok(Recorded {
                sequence: None,
                permit,
            }),
            Err(error) => Err(error),
        }
    }

    /// Records the decision about a queued operation together with the move that follows from it,
    /// and mints the permit it gives, if it gives one and the move was made. What is not recorded
    /// gives no permit, whatever the mode: a queue can wait.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    pub async fn record_moving(
        &self,
        record: DecisionRecord,
        then: Move,
        operations: &dyn OperationLog,
    ) -> Result<Moving, StoreError> {
        let permit = self.permit(&record);
        Ok(match operations.decide(record, then).await? {
            Ok(sequence) => Moving::Recorded(Recorded {
                sequence: Some(sequence),
                permit,
            }),
            Err(lost) => Moving::Lost(lost),
        })
    }

    /// Records a decision that rests on approved holds, spends them in the same transaction, and
    /// mints the permit. `None` when somebody else changed one first: nothing is recorded.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    pub async fn record_spending(
        &self,
        record: DecisionRecord,
        holds: Vec<(HoldId, u64)>,
        votes: &dyn Store,
    ) -> Result<Option<Recorded>, StoreError> {
        let permit = self.permit(&record);
        let sequence = votes.spend(holds, record).await?;
        Ok(sequence.map(|sequence| Recorded {
            sequence: Some(sequence),
            permit,
        }))
    }

    /// INVARIANT: a judged permit needs the effect `allow`, an observed or opaque one the observe
    /// mode, a failed-open one the effect `error`; a point that cannot write gets none.
    fn permit(&self, record: &DecisionRecord) -> Option<Permit> {
        let decision = &record.decision;
        let effect = decision.judgement.effect;
        let basis = record.basis?;
        let holds = match basis {
            Basis::Judged => effect == Effect::Allow,
            Basis::Observed => decision.mode == Mode::Observe,
            Basis::Opaque => decision.mode == Mode::Observe && record.operation.is_none(),
            Basis::FailedOpen => effect == Effect::Error,
        };
        let may_write = record
            .operation
            .as_ref()
            .is_none_or(|op| op.point.may_write());
        if !holds || !may_write {
            return None;
        }
        Some(Permit {
            decision: decision.id,
            operation: decision.operation,
            connection: record.connection.clone(),
            payload: record.payload_hash?,
            revision: (basis != Basis::Opaque).then(|| decision.judgement.revision.clone()),
            basis,
            expires: self.ambient.now() + LIFETIME_SECONDS.seconds(),
        })
    }
}
