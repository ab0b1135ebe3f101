//! Judge and record.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crmgate_connector::NativeChange;
use crmgate_domain::{Decision, DecisionId, Effect, Judgement, Mode, Operation, OperationId};
use crmgate_store::{
    Basis, DecisionFilter, DecisionLog, DecisionRecord, Page, Recorded, Store, StoreError,
    StoredDecision, TraceRef,
};
use tracing::Instrument as _;

use crate::judge::Unable;
use crate::meters::Stage;
use crate::remember::{Entry, Judged};
use crate::times::Times;
use crate::{Ask, Assessment, Gate, NotJudged};

/// A recorded decision without a write.
#[derive(Clone)]
pub struct Decided {
    /// The decision.
    pub decision: Decision,
    /// The operation.
    pub operation: Operation,
    /// The change with the decision's patches; `None` when it could not be looked up.
    pub change: Option<Arc<dyn NativeChange>>,
}

/// Why nothing was decided.
#[derive(Debug)]
pub enum NotDecided {
    /// The request is wrong, or the CRM refused the look-up. Never `Unable`, which is decided and
    /// recorded with effect `error`.
    NotJudged(NotJudged),
    /// It was judged and could not be recorded.
    NotRecorded(StoreError),
}

/// What is known before a decision is recorded.
pub(crate) struct Verdict {
    pub(crate) operation: Operation,
    pub(crate) judgement: Judgement,
    pub(crate) judged: Judged,
    pub(crate) mode: Mode,
    pub(crate) round: u32,
    pub(crate) times: Times,
}

impl Verdict {
    pub(crate) fn of(assessment: Assessment, mode: Mode, round: u32) -> Self {
        Self {
            operation: assessment.operation,
            judgement: assessment.judgement,
            judged: assessment.judged,
            mode,
            round,
            times: assessment.times,
        }
    }

    pub(crate) fn none(unable: Unable, mode: Mode, round: u32) -> Self {
        Self {
            operation: unable.operation,
            judgement: unable.judgement,
            judged: unable.judged,
            mode,
            round,
            times: unable.times,
        }
    }
}

impl Gate {
    /// Judges and records; writes nothing, whatever the point and the mode.
    ///
    /// # Errors
    /// When nothing was decided.
    pub async fn decide(&self, ask: &Ask) -> Result<Decided, NotDecided> {
        let span = self.span(ask);
        self.decide_only(ask).instrument(span).await
    }

    async fn decide_only(&self, ask: &Ask) -> Result<Decided, NotDecided> {
        let mode = self.mode();
        let (verdict, change) = match self.judge(ask).await {
            Ok(assessment) => {
                let change = Arc::clone(&assessment.change);
                (Verdict::of(assessment, mode, 0), Some(change))
            }
            Err(NotJudged::Unable(unable)) => (Verdict::none(*unable, mode, 0), None),
            Err(other) => return Err(NotDecided::NotJudged(other)),
        };
        let operation = verdict.operation.clone();
        let record = self.entry(verdict);
        let decision = record.decision.clone();
        self.record(record).await.map_err(NotDecided::NotRecorded)?;
        Ok(Decided {
            decision,
            operation,
            change,
        })
    }

    /// A decision's row that lets nothing pass, to be completed.
    pub(crate) fn entry(&self, verdict: Verdict) -> Entry {
        let record = DecisionRecord {
            connection: self.connection().clone(),
            decision: self.decision(verdict.operation.id, verdict.judgement, verdict.mode),
            operation: Some(verdict.operation),
            input_hash: Some(verdict.judged.seen.hash),
            payload_hash: None,
            asked: None,
            basis: None,
            written_as: None,
            changed: Vec::new(),
            hold: None,
            opaque: None,
            asked_by: None,
            read_back: None,
            round: verdict.round,
            payload: crmgate_store::Payload::default(),
            trace: trace(),
            metrics: verdict.times.told(),
        };
        Entry {
            record,
            judged: Some(verdict.judged),
        }
    }

    /// Gives a judgement its name and time.
    pub(crate) fn decision(
        &self,
        operation: OperationId,
        judgement: Judgement,
        mode: Mode,
    ) -> Decision {
        Decision {
            id: DecisionId::fresh(self.ambient()),
            operation,
            at: self.ambient().now(),
            mode,
            judgement,
        }
    }

    /// Masks and records; see [`InTime`] for how long it may take.
    pub(crate) async fn record(&self, entry: Entry) -> Result<Recorded, StoreError> {
        let record = self.remember(entry);
        let (id, effect) = (record.decision.id, record.decision.judgement.effect);
        let (mode, basis) = (record.decision.mode, record.basis);
        let meters = self.meters();
        meters.refused(&record.decision.judgement);
        let timer = meters.time(Stage::Record);
        let recorded = self.recorder().record(record).await;
        timer.stop();
        let recorded = recorded?;
        meters.decided(effect, mode);
        if recorded.sequence.is_none() {
            meters.unrecorded();
        }
        if let Some(basis) = basis.filter(|basis| *basis != Basis::Judged) {
            meters.passed_without_verdict(basis);
        }
        tell(id, effect);
        Ok(recorded)
    }

    /// Bounds a call to the store.
    pub(crate) async fn in_time<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        within(self.settings().record_within, call).await
    }
}

/// Writes a recorded decision into the operation's span, and thereby onto every later line.
pub(crate) fn tell(decision: DecisionId, effect: Effect) {
    let span = tracing::Span::current();
    span.record("decision", tracing::field::display(decision));
    span.record("effect", effect.as_str());
    tracing::debug!(%decision, effect = effect.as_str(), "decided");
}

/// The span that is entered now, for the record.
pub(crate) fn trace() -> Option<TraceRef> {
    crmgate_telemetry::trace::current().map(|ids| TraceRef {
        trace_id: ids.trace_id,
        span_id: ids.span_id,
    })
}

/// The log of decisions, with an end to waiting. It stands below the recorder, so that in observe
/// mode a store that hangs lets pass just as one that fails.
pub(crate) struct InTime {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) limit: Duration,
}

/// Bounds a call to the store: one that hangs is one that failed.
async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(limit, call).await.unwrap_or_else(|_| {
        let message = format!("no answer within {limit:?}");
        Err(StoreError::Unavailable(message))
    })
}

#[async_trait]
impl DecisionLog for InTime {
    async fn append_decision(&self, record: DecisionRecord) -> Result<u64, StoreError> {
        within(self.limit, self.store.append_decision(record)).await
    }

    async fn decision(&self, id: DecisionId) -> Result<Option<StoredDecision>, StoreError> {
        within(self.limit, self.store.decision(id)).await
    }

    async fn decisions(
        &self,
        filter: &DecisionFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<StoredDecision>, StoreError> {
        within(self.limit, self.store.decisions(filter, cursor, limit)).await
    }
}
