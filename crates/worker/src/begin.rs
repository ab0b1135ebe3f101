//! A job becomes rows in hand, and what came of them a verdict about the job.

use std::sync::Arc;
use std::time::Duration;

use crmgate_domain::{OperationId, State, Timestamp};
use crmgate_enforce::queued::{Ended, Queued, Step};
use crmgate_store::{Begun, RowLease, StoreError, StoredOperation, Verdict};
use tracing::Instrument as _;

use crate::fair::Wait;
use crate::line::Line;
use crate::trace;

/// How long a job waits when the store could not be asked, or did not say what it did.
const AFTER_STORE: Duration = Duration::from_secs(2);
/// How long until it is looked again at what somebody else took.
const AFTER_LOSS: Duration = Duration::from_secs(5);
/// What is to be awake after a row's time has come.
const MARGIN: Duration = Duration::from_millis(20);

impl Line {
    /// Looks at the row that a job names.
    pub(crate) async fn look_at(self: &Arc<Self>, id: &str) -> Verdict {
        let Ok(id) = id.parse::<OperationId>() else {
            return Verdict::Dead(format!("`{id}` is no operation"));
        };
        let closed = self.governor.closed();
        if let Some(wait) = closed
            && let Some(pause) = self.is_short(wait)
        {
            // Nothing is begun that would only go back.
            return Verdict::Again(pause);
        }
        let begun = match self.begin(id).await {
            Ok(begun) => begun,
            Err(error) => {
                tracing::warn!(operation = %id, %error, "an operation could not be begun");
                return Verdict::Again(AFTER_STORE);
            }
        };
        let ended = match begun {
            Begun::Decide(rows) => match closed {
                Some(wait) => self.back(&rows, wait).await,
                None => self.decide(rows).await,
            },
            Begun::Settle(rows) => self.settle(rows).await,
            Begun::NotYet(None) | Begun::Over(_) | Begun::Absent => return Verdict::Done,
            Begun::NotYet(Some(at)) | Begun::Busy(at) => return Verdict::Again(self.until(at)),
        };
        let step = Step::Ack.start();
        let verdict = self.verdict(ended).await;
        step.stop();
        verdict
    }

    pub(crate) async fn begin(&self, id: OperationId) -> Result<Begun, StoreError> {
        let step = Step::Begin.start();
        let now = self.now();
        let lease = self.desk.lease_from(now);
        let begun = self
            .desk
            .operations
            .begin(id, &self.desk.by, lease, now)
            .await;
        step.stop();
        begun
    }

    /// For how long the job alone waits; `None` where it is so long that the row should say so.
    fn is_short(&self, wait: Wait) -> Option<Duration> {
        let (pause, _) = self.back_for(wait);
        (pause < self.settings.stuck_after).then_some(pause)
    }

    async fn back(
        &self,
        rows: &[StoredOperation],
        wait: Wait,
    ) -> Option<Vec<(OperationId, Ended)>> {
        let back = self.back_for(wait);
        let handed = self.gate.hand_back(&self.desk, rows.iter().collect(), back);
        match handed.await {
            Ok(ended) => Some(ended),
            Err(error) => {
                tracing::warn!(connection = %self.gate.connection(), %error, "operations could not be handed back");
                None
            }
        }
    }

    async fn decide(
        self: &Arc<Self>,
        mut rows: Vec<StoredOperation>,
    ) -> Option<Vec<(OperationId, Ended)>> {
        let grouped = rows.len() > 1 || rows.first().is_some_and(|row| row.group.is_some());
        if grouped {
            return Some(self.decide_group(rows).await);
        }
        let Some(stored) = rows.pop() else {
            return Some(Vec::new());
        };
        let (id, span) = (stored.id, trace::span(&stored));
        let ended = self.decide_one(stored).instrument(span.clone()).await;
        ended.map(|ended| {
            trace::tell(&span, ended);
            vec![(id, ended)]
        })
    }

    /// Finds out what a worker that is gone did with them.
    pub(crate) async fn settle(
        self: &Arc<Self>,
        rows: Vec<StoredOperation>,
    ) -> Option<Vec<(OperationId, Ended)>> {
        let _held = self.leases.hold(rows.iter().map(|row| row.id).collect());
        let calls = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        self.governor.made_without_place(calls);
        // Of what has no decision that could be read back, the request itself is looked for.
        let (sent, asked): (Vec<_>, Vec<_>) = rows
            .into_iter()
            .partition(|row| matches!(row.state, State::Permitted | State::Writing));
        let mut all = Vec::new();
        if !sent.is_empty() {
            let span = match sent.as_slice() {
                [one] => trace::span(one),
                _ => tracing::Span::none(),
            };
            match self.gate.settle(&self.desk, &sent).instrument(span).await {
                Ok(ended) => all.extend(ended),
                Err(error) => {
                    tracing::warn!(connection = %self.gate.connection(), %error, "writes could not be settled");
                    return None;
                }
            }
        }
        for stored in asked {
            all.push(self.settle_restored(stored).await?);
        }
        Some(all)
    }

    async fn settle_restored(&self, stored: StoredOperation) -> Option<(OperationId, Ended)> {
        let ask = match self.ask(&stored).await {
            Ok(ask) => ask,
            Err(error) => {
                tracing::warn!(operation = %stored.id, %error, "what a restored operation asks cannot be looked for");
                let problem = error.to_string();
                let ended = self.gate.settle_unreadable(&self.desk, &stored, &problem);
                return ended.await.ok();
            }
        };
        let queued = Queued {
            stored,
            ask,
            round: 0,
        };
        self.gate.settle_restored(&self.desk, &queued).await.ok()
    }

    /// What becomes of the job.
    pub(crate) async fn verdict(&self, ended: Option<Vec<(OperationId, Ended)>>) -> Verdict {
        let Some(ended) = ended else {
            return Verdict::Again(AFTER_STORE);
        };
        let (mut again, mut unknown) = (None, None);
        let mut open = Vec::new();
        for (id, ended) in ended {
            match ended {
                Ended::Over(_) => {}
                Ended::Again(pause) => again = again.max(Some(pause)),
                Ended::Changed => again = again.max(Some(Duration::ZERO)),
                Ended::Lost => again = again.max(Some(AFTER_LOSS)),
                Ended::Unknown(pause) => {
                    unknown = unknown.max(Some(pause));
                    open.push(id);
                }
            }
        }
        if let Some(pause) = unknown {
            self.let_go(&open, pause).await;
            return Verdict::Again(pause + MARGIN);
        }
        again.map_or(Verdict::Done, Verdict::Again)
    }

    /// Has leases end when the rows are to be looked at again, and not later.
    async fn let_go(&self, ids: &[OperationId], pause: Duration) {
        let now = self.now();
        let lease = RowLease {
            owner: self.desk.process,
            until: now.checked_add(pause).unwrap_or(now),
        };
        if let Err(error) = self.desk.operations.keep(ids, lease).await {
            tracing::debug!(%error, "leases could not be shortened; they end by themselves");
        }
    }

    pub(crate) fn until(&self, at: Timestamp) -> Duration {
        Duration::try_from(at.duration_since(self.now())).unwrap_or_default() + MARGIN
    }
}
