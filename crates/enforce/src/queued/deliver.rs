//! Permitted operations are sent, and each is told what came of it.

use std::sync::Arc;
use std::time::Duration;

use crmgate_connector::{Credential, Delivered, Failure, NativeChange, Outgoing, Parcel, Written};
use crmgate_domain::{DecisionId, OperationId, State, Timestamp};
use crmgate_store::permit::LIFETIME_SECONDS;
use crmgate_store::{Moved, Permit, ReadBack, StoreError, StoredOperation, Why};
use crmgate_telemetry::SPANS;
use jiff::ToSpan as _;
use tracing::Span;

use super::{Desk, Ended, Step};
use crate::Gate;

/// Seconds of a permit's life that a call must have left when it begins.
const MARGIN_SECONDS: i64 = 5;
/// An operation that may be written.
pub struct Ready {
    pub(super) stored: StoredOperation,
    pub(super) round: u32,
    pub(super) permit: Permit,
    pub(super) outgoing: Outgoing,
    pub(super) change: Arc<dyn NativeChange>,
    pub(super) read_back: ReadBack,
    pub(super) decision: DecisionId,
    pub(super) minted: Timestamp,
    pub(super) credential: Credential,
    /// Where its trace goes on.
    pub(super) span: Span,
}

/// How operations go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Together {
    /// Each may fail by itself.
    Apart,
    /// All or none.
    Atomic,
}

/// What a call was like for the CRM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Nothing was sent.
    Idle,
    /// It answered.
    Fine,
    /// It wants fewer calls; for so long none, where it said.
    Throttled(Option<Duration>),
    /// It did not answer, or said that it cannot.
    Unavailable(Option<Duration>),
}

/// What came of sending operations.
#[derive(Debug)]
pub struct Call {
    /// Each of them.
    pub ended: Vec<(OperationId, Ended)>,
    /// How many calls to the CRM it took.
    pub calls: u32,
    /// What it was like.
    pub signal: Signal,
}

impl Ready {
    /// The operation.
    #[must_use]
    pub const fn id(&self) -> OperationId {
        self.stored.id
    }

    /// What is to be sent.
    #[must_use]
    pub fn change(&self) -> &dyn NativeChange {
        self.change.as_ref()
    }

    /// The user of the CRM on whose behalf it is written, where it is not the connection's own.
    #[must_use]
    pub fn on_behalf_of(&self) -> Option<&str> {
        match &self.credential {
            Credential::OnBehalfOf(user) => Some(user),
            Credential::Caller(_) | Credential::Service => None,
        }
    }

    /// How long its body is.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.outgoing.body.len()
    }

    /// Whether its permit lasts long enough to be used now.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now < self.minted + (LIFETIME_SECONDS - MARGIN_SECONDS).seconds()
    }
}

/// A row that is being sent.
pub(super) struct Row {
    pub(super) stored: StoredOperation,
    pub(super) round: u32,
    pub(super) read_back: ReadBack,
    pub(super) decision: DecisionId,
    pub(super) span: Span,
}

impl Row {
    /// The span of the call that it is sent by, with so many others.
    fn sending(&self, together: usize) -> Span {
        tracing::debug_span!(target: SPANS, parent: &self.span, "write", together)
    }
}

impl Gate {
    /// Sends permitted operations, in one call where there are several, each once. Those whose
    /// permit is too old go back to be judged again.
    ///
    /// # Errors
    /// When it is not certain that the rows say they are being sent; then nothing was.
    pub async fn deliver(
        &self,
        desk: &Desk,
        ready: Vec<Ready>,
        together: Together,
    ) -> Result<Call, StoreError> {
        let now = self.ambient().now();
        let atomic = together == Together::Atomic;
        let (mut fresh, mut stale): (Vec<_>, Vec<_>) =
            ready.into_iter().partition(|one| one.is_fresh(now));
        if atomic && !stale.is_empty() {
            stale.append(&mut fresh);
        }
        let mut call = Call {
            ended: Vec::with_capacity(fresh.len() + stale.len()),
            calls: 0,
            signal: Signal::Idle,
        };
        if !stale.is_empty() {
            let message = "there was no place at the CRM before the permit ended";
            let rows = stale.iter().map(|ready| &ready.stored);
            let reason = Why::new("permit_ended", message);
            let back = self.hand_back(desk, rows.collect(), (Duration::ZERO, reason));
            call.ended.extend(back.await?);
        }
        let (rows, parcels) = self.mark(desk, fresh, &mut call.ended).await?;
        if atomic && call.ended.iter().any(|(_, ended)| *ended == Ended::Lost) {
            drop(parcels);
            call.ended.extend(self.back_out(desk, rows).await?);
            return Ok(call);
        }
        if rows.is_empty() {
            return Ok(call);
        }
        let spans: Vec<Span> = rows.iter().map(|row| row.sending(rows.len())).collect();
        let delivered = self.send(parcels, atomic).await;
        drop(spans);
        call.calls = delivered.calls;
        call.signal = Signal::of(&delivered.results);
        self.queue_meters().called(delivered.calls, rows.len());
        let learned = self.learn_all(desk, rows, delivered, atomic).await;
        call.ended.extend(learned);
        Ok(call)
    }

    /// Says of the rows that they are being sent. Those that somebody else moved are lost.
    async fn mark(
        &self,
        desk: &Desk,
        ready: Vec<Ready>,
        ended: &mut Vec<(OperationId, Ended)>,
    ) -> Result<(Vec<Row>, Vec<(Parcel, Credential)>), StoreError> {
        let (mut rows, mut parcels) = (Vec::new(), Vec::new());
        if ready.is_empty() {
            return Ok((rows, parcels));
        }
        let step = Step::Writing.start();
        let now = self.ambient().now();
        let moves = ready.iter().map(|one| {
            let mut then = desk.step(&one.stored, State::Writing, now);
            then.lease = Some(desk.lease_from(now));
            then
        });
        let moved = self.shift(desk, moves.collect()).await?;
        step.stop();
        for (one, moved) in ready.into_iter().zip(moved) {
            let Moved::Done(version) = moved else {
                ended.push((one.stored.id, Ended::Lost));
                continue;
            };
            self.queue_meters().moved(&one.stored, State::Writing, now);
            let mut stored = one.stored;
            stored.state = State::Writing;
            stored.version = version;
            stored.updated_at = now;
            rows.push(Row {
                stored,
                round: one.round,
                read_back: one.read_back,
                decision: one.decision,
                span: one.span,
            });
            let parcel = Parcel {
                permit: one.permit,
                outgoing: one.outgoing,
                change: one.change,
            };
            parcels.push((parcel, one.credential));
        }
        Ok((rows, parcels))
    }

    async fn send(&self, parcels: Vec<(Parcel, Credential)>, atomic: bool) -> Delivered {
        let step = Step::Send.start();
        let mut all = Vec::with_capacity(parcels.len());
        let mut used = Credential::Service;
        for (parcel, credential) in parcels {
            used = credential;
            all.push(parcel);
        }
        let connector = self.connector();
        let delivered = if all.len() == 1
            && let Some(Parcel {
                permit, outgoing, ..
            }) = all.pop()
        {
            Delivered {
                results: vec![connector.write(permit, outgoing, &used).await],
                calls: 1,
            }
        } else {
            connector.write_together(all, atomic, &used).await
        };
        step.stop();
        delivered
    }

    /// Nothing of a group was sent, because one of it is another worker's.
    async fn back_out(
        &self,
        desk: &Desk,
        rows: Vec<Row>,
    ) -> Result<Vec<(OperationId, Ended)>, StoreError> {
        let why = "another operation of its group was taken by another worker";
        let failure = || Failure::rolled_back(why, None);
        let delivered = Delivered::all(rows.len(), 0, failure);
        Ok(self.learn_all(desk, rows, delivered, false).await)
    }
}

impl Signal {
    /// One row that the CRM cannot take now says it for all.
    fn of(results: &[Result<Written, Failure>]) -> Signal {
        let mut signal = Signal::Fine;
        for result in results {
            match result {
                Err(Failure::Repeatable {
                    code, retry_after, ..
                }) if code == "throttled" => return Signal::Throttled(*retry_after),
                Err(Failure::Repeatable {
                    code, retry_after, ..
                }) if matches!(code.as_str(), "connect" | "unavailable" | "sign_in") => {
                    signal = Signal::Unavailable(*retry_after);
                }
                Err(Failure::Unknown { .. }) => signal = Signal::Unavailable(None),
                _ => {}
            }
        }
        signal
    }
}
