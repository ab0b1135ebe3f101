//! Permitted operations are sent, and each is told what came of it.

use std::sync::Arc;
use std::time::Duration;

use crmgate_connector::{Credential, Delivered, Failure, NativeChange, Outgoing, Parcel, Written};
use crmgate_domain::{DecisionId, OperationId, State, Timestamp};
use crmgate_store::permit::LIFETIME_SECONDS;
use crmgate_store::{Move, Moved, OutcomeKind, Permit, ReadBack, StoreError, StoredOperation, Why};
use crmgate_telemetry::SPANS;
use jiff::ToSpan as _;
use tracing::Span;

use super::ended::{Ending, Known};
use super::{Desk, Ended, Setback, Step, until, why};
use crate::Gate;
use crate::outcome::Learned;
use crate::write::ROUNDS;

/// Seconds of a permit's life that a call must have left when it begins.
const MARGIN_SECONDS: i64 = 5;
/// The first pause before a write without an answer is looked up again.
const FIRST_LOOK: Duration = Duration::from_millis(500);

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
struct Row {
    stored: StoredOperation,
    round: u32,
    read_back: ReadBack,
    decision: DecisionId,
    span: Span,
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
            let reason = why("permit_ended", message);
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
        call.signal = signal(&delivered.results);
        self.queue_meters().called(delivered.calls, rows.len());
        let learned = self.learn_all(desk, rows, delivered, atomic).await;
        call.ended.extend(learned);
        Ok(call)
    }

    /// Gives permitted rows back to be judged again after a while.
    ///
    /// # Errors
    /// When it is not certain that it is stored.
    pub async fn put_by(
        &self,
        desk: &Desk,
        ready: Vec<Ready>,
        (pause, reason): (Duration, Why),
    ) -> Result<Vec<(OperationId, Ended)>, StoreError> {
        let rows = ready.iter().map(|ready| &ready.stored);
        self.hand_back(desk, rows.collect(), (pause, reason)).await
    }

    /// Gives rows back that were not sent; no try counts.
    ///
    /// # Errors
    /// When it is not certain that it is stored.
    pub async fn hand_back(
        &self,
        desk: &Desk,
        rows: Vec<&StoredOperation>,
        (pause, reason): (Duration, Why),
    ) -> Result<Vec<(OperationId, Ended)>, StoreError> {
        let step = Step::HandBack.start();
        let now = self.ambient().now();
        let moves = rows.iter().map(|stored| Move {
            due: now.checked_add(pause).ok(),
            why: Some(reason.clone()),
            ..desk.step(stored, State::Received, now)
        });
        let moves = moves.collect();
        let ended = self.move_on(desk, rows, (moves, Ended::Again(pause))).await;
        step.stop();
        ended
    }

    /// Ends rows about which nothing was decided: they ask for nothing that could be judged.
    ///
    /// # Errors
    /// When it is not certain that it is stored.
    pub async fn end_undecided(
        &self,
        desk: &Desk,
        rows: Vec<&StoredOperation>,
        (to, reason): (State, Why),
    ) -> Result<Vec<(OperationId, Ended)>, StoreError> {
        let now = self.ambient().now();
        let moves = rows.iter().map(|stored| Move {
            why: Some(reason.clone()),
            ..desk.step(stored, to, now)
        });
        let moves = moves.collect();
        self.move_on(desk, rows, (moves, Ended::Over(to))).await
    }

    /// Puts a row back about which nothing could be found out.
    ///
    /// # Errors
    /// When it is not certain that it is stored.
    pub async fn put_back(
        &self,
        desk: &Desk,
        stored: &StoredOperation,
        setback: Setback,
    ) -> Result<Ended, StoreError> {
        let now = self.ambient().now();
        let then = desk.put_back(stored, setback, (now, self.random()));
        let ended = match then.to {
            State::Received => Ended::Again(until(then.due, now)),
            other => Ended::Over(other),
        };
        let moved = self
            .move_on(desk, vec![stored], (vec![then], ended))
            .await?;
        Ok(moved
            .into_iter()
            .next()
            .map_or(Ended::Lost, |(_, ended)| ended))
    }

    async fn move_on(
        &self,
        desk: &Desk,
        rows: Vec<&StoredOperation>,
        (moves, ended): (Vec<Move>, Ended),
    ) -> Result<Vec<(OperationId, Ended)>, StoreError> {
        let now = self.ambient().now();
        let states: Vec<State> = moves.iter().map(|then| then.to).collect();
        let moved = self.shift(desk, moves).await?;
        let done = rows.into_iter().zip(moved).zip(states);
        Ok(done
            .map(|((stored, moved), to)| match moved {
                Moved::Done(_) => {
                    self.queue_meters().moved(stored, to, now);
                    (stored.id, ended)
                }
                _ => (stored.id, Ended::Lost),
            })
            .collect())
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

    /// Stores what came of all of them.
    async fn learn_all(
        &self,
        desk: &Desk,
        rows: Vec<Row>,
        delivered: Delivered,
        atomic: bool,
    ) -> Vec<(OperationId, Ended)> {
        let now = self.ambient().now();
        let shared = u64::from(delivered.calls) * 1_000;
        let millicalls = shared.div_ceil(u64::try_from(rows.len()).unwrap_or(1).max(1));
        let fate = atomic
            .then(|| Fate::of(&rows, &delivered.results))
            .flatten();
        let mut endings = Vec::with_capacity(rows.len());
        let mut asking = true;
        for (row, result) in rows.into_iter().zip(delivered.results) {
            let known = Known {
                stored: &row.stored,
                decision: row.decision,
                now,
                millicalls,
            };
            let last_round = row.round + 1 >= ROUNDS;
            let ending = match fate.as_ref().filter(|_| is_rolled_back(&result)) {
                Some(fate) => Some(fate.share(desk, &known, last_round, self.random())),
                None => self.ending(desk, &known, (&result, last_round)),
            };
            let ending = match ending {
                None if asking => {
                    let found = self.unanswered_now(desk, &row, millicalls).await;
                    // One that cannot be told now is enough to leave the CRM alone for a while.
                    asking = found.is_some();
                    found
                }
                other => other,
            };
            endings.push((row, ending));
        }
        self.store_endings(desk, endings).await
    }

    /// Looks a write up right after its answer was lost.
    async fn unanswered_now(&self, desk: &Desk, row: &Row, millicalls: u64) -> Option<Ending> {
        let step = Step::ReadBack.start();
        let found = self.look_up(row.decision, &row.read_back).await;
        step.stop();
        self.queue_meters().called(1, 0);
        let learned = found?;
        let known = Known {
            stored: &row.stored,
            decision: row.decision,
            now: self.ambient().now(),
            millicalls: millicalls + 1_000,
        };
        Some(if learned.kind == OutcomeKind::Succeeded {
            known.over(desk, State::Succeeded, (None, learned))
        } else {
            known.again(desk, super::settle::not_written(), (self.random(), learned))
        })
    }

    async fn store_endings(
        &self,
        desk: &Desk,
        endings: Vec<(Row, Option<Ending>)>,
    ) -> Vec<(OperationId, Ended)> {
        let now = self.ambient().now();
        let (mut all, mut moves, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for (row, ending) in endings {
            let Some(ending) = ending else {
                self.unanswered().note(row.stored.id, now);
                self.note_unknown(row.decision).await;
                all.push((row.stored.id, Ended::Unknown(FIRST_LOOK)));
                continue;
            };
            moves.extend(ending.moves);
            places.push((row, ending.ended, moves.len()));
        }
        if moves.is_empty() {
            return all;
        }
        let step = Step::Learn.start();
        let stored = self.shift_surely(desk, moves.clone()).await;
        step.stop();
        let moved = match stored {
            Ok(moved) => moved,
            Err(error) => {
                // The rows still say `writing`: what came of them is found out again.
                tracing::error!(connection = %self.connection(), %error, "what came of writes could not be stored; it will be read back");
                let unknown = places.into_iter().map(|(row, ..)| {
                    self.unanswered().note(row.stored.id, now);
                    (row.stored.id, Ended::Unknown(FIRST_LOOK))
                });
                all.extend(unknown);
                return all;
            }
        };
        for (row, ended, end) in places {
            let last = end.saturating_sub(1);
            let done = matches!(moved.get(last), Some(Moved::Done(_)));
            if done && let Some(then) = moves.get(last) {
                self.queue_meters().moved(&row.stored, then.to, now);
                if let Some(outcome) = &then.outcome {
                    self.meters().ended(outcome.kind);
                }
            }
            all.push((row.stored.id, if done { ended } else { Ended::Lost }));
        }
        all
    }

    /// For those who look at the decision meanwhile; what comes of it is appended later anyway.
    async fn note_unknown(&self, decision: DecisionId) {
        let outcome = self.outcome(decision, Learned::unknown());
        let appended = self.in_time(self.store().append_outcome(outcome)).await;
        if let Err(error) = appended {
            tracing::debug!(connection = %self.connection(), %decision, %error, "that an outcome is unknown could not be stored");
        }
        self.meters().ended(OutcomeKind::Unknown);
    }
}

/// What happens to the members of a group that were rolled back because of another.
enum Fate {
    /// That one was refused: it says why.
    Refused(OperationId, String),
    /// That one's record had changed.
    Changed,
}

impl Fate {
    fn of(rows: &[Row], results: &[Result<Written, Failure>]) -> Option<Self> {
        let mut fate = None;
        for (row, result) in rows.iter().zip(results) {
            match result {
                Err(Failure::Refused { code, message, .. }) => {
                    return Some(Self::Refused(row.stored.id, format!("{code}: {message}")));
                }
                Err(Failure::VersionMismatch) => fate = Some(Self::Changed),
                _ => {}
            }
        }
        fate
    }

    fn share(&self, desk: &Desk, known: &Known<'_>, last_round: bool, random: u64) -> Ending {
        let Self::Refused(other, reason) = self else {
            return known.changed(desk, last_round, random);
        };
        let learned = Learned::coded(OutcomeKind::NotWritten, "rolled_back");
        let mut first = desk.step(known.stored, State::Received, known.now);
        first.millicalls = known.millicalls;
        first.outcome = Some(known.outcome(learned));
        let message = format!("nothing of its group was written: {other} was refused: {reason}");
        let mut then = desk.step(known.stored, State::Cancelled, known.now);
        then.seen = first.seen + 1;
        then.why = Some(why("group_refused", message));
        Ending {
            moves: vec![first, then],
            ended: Ended::Over(State::Cancelled),
        }
    }
}

fn is_rolled_back(result: &Result<Written, Failure>) -> bool {
    result.as_ref().is_err_and(Failure::is_rolled_back)
}

/// One row that the CRM cannot take now says it for all.
fn signal(results: &[Result<Written, Failure>]) -> Signal {
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
