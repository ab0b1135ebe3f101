//! What came of a write, and its way into the store.

use std::sync::Arc;

use crmgate_connector::{Failure, NativeResponse, ReadBackResult, Written};
use crmgate_domain::DecisionId;
use crmgate_store::{Outcome, OutcomeKind, ReadBack};

use crate::Gate;
use crate::inflight::UnderWay;

/// How many outcomes that could not be appended wait in memory. Beyond that they are forgotten:
/// reading back finds them again.
const MOST_PENDING: usize = 10_000;

/// What was learned about a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Learned {
    pub(crate) kind: OutcomeKind,
    pub(crate) status: Option<u16>,
    pub(crate) code: Option<String>,
    pub(crate) record_id: Option<String>,
}

/// An outcome that could not be appended yet. Its write stays under way until it is.
pub(crate) struct Pending {
    pub(crate) outcome: Outcome,
    pub(crate) under_way: UnderWay,
}

impl Learned {
    const fn bare(kind: OutcomeKind) -> Self {
        Self {
            kind,
            status: None,
            code: None,
            record_id: None,
        }
    }

    pub(crate) const fn unknown() -> Self {
        Self::bare(OutcomeKind::Unknown)
    }

    pub(crate) fn coded(kind: OutcomeKind, code: &str) -> Self {
        Self {
            code: Some(code.to_owned()),
            ..Self::bare(kind)
        }
    }

    pub(crate) fn of(result: &Result<Written, Failure>) -> Self {
        match result {
            Ok(written) => Self {
                status: Some(written.response.status.as_u16()),
                record_id: written.record_id.clone(),
                ..Self::bare(OutcomeKind::Succeeded)
            },
            Err(failure) => Self::failed(failure),
        }
    }

    pub(crate) fn failed(failure: &Failure) -> Self {
        let status = |response: &Option<Box<NativeResponse>>| {
            response.as_ref().map(|response| response.status.as_u16())
        };
        match failure {
            Failure::Refused { code, response, .. } => Self {
                status: status(response),
                ..Self::coded(OutcomeKind::Refused, code)
            },
            Failure::Repeatable { code, response, .. } => Self {
                status: status(response),
                ..Self::coded(OutcomeKind::NotWritten, code)
            },
            Failure::VersionMismatch => Self::bare(OutcomeKind::VersionMismatch),
            Failure::Unknown { .. } => Self::unknown(),
        }
    }

    /// What the CRM's answer to a request that passed as it came tells. Such a write has no
    /// read-back, so what it does not tell stays uncertain.
    pub(crate) fn passed(result: &Result<NativeResponse, Failure>) -> Self {
        let response = match result {
            Ok(response) => response,
            Err(Failure::Unknown { .. }) => return Self::bare(OutcomeKind::Uncertain),
            Err(failure) => return Self::failed(failure),
        };
        let kind = match response.status.as_u16() {
            500.. => OutcomeKind::Uncertain,
            400.. => OutcomeKind::Refused,
            _ => OutcomeKind::Succeeded,
        };
        Self {
            status: Some(response.status.as_u16()),
            ..Self::bare(kind)
        }
    }
}

impl Gate {
    /// Appends what was learned, without making the caller wait: the answer is known, and the
    /// decision is on disk. INVARIANT: until it is appended, the write counts as under way.
    pub(crate) fn learn(
        self: &Arc<Self>,
        decision: DecisionId,
        learned: Learned,
        under_way: UnderWay,
    ) {
        let gate = Arc::clone(self);
        under_way.note(learned.kind);
        let pending = Pending {
            outcome: self.outcome(decision, learned),
            under_way,
        };
        self.tasks()
            .spawn(async move { gate.append(pending).await });
    }

    pub(crate) fn outcome(&self, decision: DecisionId, learned: Learned) -> Outcome {
        Outcome {
            decision,
            at: self.ambient().now(),
            kind: learned.kind,
            status: learned.status,
            code: learned.code,
            record_id: learned.record_id,
        }
    }

    pub(crate) async fn append(&self, pending: Pending) {
        let appending = self.store().append_outcome(pending.outcome.clone());
        match self.in_time(appending).await {
            Ok(()) => {
                self.meters().ended(pending.outcome.kind);
                drop(pending.under_way);
            }
            Err(error) => {
                tracing::warn!(
                    connection = %self.connection(),
                    decision = %pending.outcome.decision,
                    %error,
                    "an outcome could not be appended; it will be tried again"
                );
                let mut waiting = self.pending();
                if waiting.len() < MOST_PENDING {
                    waiting.push(pending);
                }
                self.meters().outcomes_waiting(waiting.len());
            }
        }
    }

    /// Tries again to append what could not be appended.
    pub(crate) async fn append_pending(&self) {
        let waiting = std::mem::take(&mut *self.pending());
        for pending in waiting {
            self.append(pending).await;
        }
        self.meters().outcomes_waiting(self.pending().len());
    }

    /// Reads back whether a write happened. `None` when that could not be told yet.
    pub(crate) async fn look_up(
        &self,
        decision: DecisionId,
        read_back: &ReadBack,
    ) -> Option<Learned> {
        let limit = self.settings().judge_within;
        let read_back = self.unsealed(read_back);
        let looking = self.connector().read_back(&read_back);
        let found = tokio::time::timeout(limit, looking).await.ok()?;
        match found {
            Ok(ReadBackResult::Happened(record_id)) => Some(Learned {
                record_id,
                ..Learned::coded(OutcomeKind::Succeeded, "read_back")
            }),
            // Right after it was sent, the CRM may still be about to do it.
            Ok(ReadBackResult::DidNotHappen) if self.settings().settle.is_zero() => {
                Some(Learned::coded(OutcomeKind::NotWritten, "read_back"))
            }
            Ok(ReadBackResult::DidNotHappen | ReadBackResult::Uncertain(_)) => None,
            Err(error) => {
                tracing::warn!(connection = %self.connection(), %decision, %error, "reading back failed");
                None
            }
        }
    }
}
