//! A finding becomes a recorded decision and a move, in one transaction.

use crmgate_connector::NativeChange;
use crmgate_domain::{Decision, Effect, State};
use crmgate_store::{Basis, DecisionRecord, Move, Moved, Moving, StoreError, Why};
use crmgate_telemetry::SPANS;

use super::look::{FindingKind, How, look_up_millicalls};
use super::{Desk, Finding, Queued, Ready, Step, until};
use crate::decide::{Verdict, tell};
use crate::remember::Entry;
use crate::write::{writer, written_as};
use crate::{Gate, hash, words};

/// What becomes of a member of a group that cannot go, whatever was found about it alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instead {
    /// Another one of its group was refused, or an equal request was written.
    Cancelled(Why),
    /// Another one of its group cannot go yet.
    Waits(Why),
}

impl Instead {
    fn of(self, then: Move) -> Move {
        match self {
            Self::Waits(reason) => Move {
                why: Some(reason),
                ..then
            },
            Self::Cancelled(reason) => Move {
                to: State::Cancelled,
                why: Some(reason),
                ..then
            },
        }
    }
}

/// What a recorded decision led to.
pub enum Ruled {
    /// It may be written; the decision is on disk.
    Ready(Box<Ready>),
    /// It stands there now; with a time: for so long.
    Stands(State, Option<std::time::Duration>),
    /// Somebody else moved it first: nothing was recorded.
    Lost,
}

impl Gate {
    /// Records what was decided and makes the move that follows from it.
    ///
    /// # Errors
    /// When it is not certain that it is on disk.
    pub async fn rule(
        &self,
        desk: &Desk,
        queued: &Queued,
        finding: Finding,
        instead: Option<Instead>,
    ) -> Result<Ruled, StoreError> {
        let step = Step::Record.start();
        // Not entered: what was decided is told to the operation's own span.
        let span = tracing::debug_span!(target: SPANS, "record");
        let ruled = self.rule_on(desk, queued, finding, instead).await;
        drop(span);
        step.stop();
        ruled
    }

    async fn rule_on(
        &self,
        desk: &Desk,
        queued: &Queued,
        finding: Finding,
        instead: Option<Instead>,
    ) -> Result<Ruled, StoreError> {
        let (stored, now) = (&queued.stored, self.ambient().now());
        let (verdict, how) = match finding.kind {
            FindingKind::Judged { verdict, how } => (verdict, how),
            FindingKind::Refused(reason) => {
                let mut then = desk.step(stored, State::Refused, now);
                then.why = Some(reason);
                return self.refuse(desk, queued, then).await;
            }
        };
        let instead = match (&how, instead) {
            (How::Passes(..), None) => self
                .written_meanwhile(queued)
                .await?
                .map(Instead::Cancelled),
            (_, instead) => instead,
        };
        let mut then = match (instead, how) {
            (Some(instead), _) => instead.of(desk.step(stored, State::Received, now)),
            (None, How::Passes(basis, change)) => {
                return self.permit(desk, queued, *verdict, (basis, change)).await;
            }
            (None, How::Held(change)) => {
                return self
                    .hold_queued(desk, queued, *verdict, change.as_ref())
                    .await;
            }
            (None, How::Denied) => desk.step(stored, State::Denied, now),
            (None, How::Unjudged) => desk.step(stored, State::Unjudged, now),
            (None, How::Later(setback)) => desk.put_back(stored, setback, (now, self.random())),
        };
        let entry = self.entry(*verdict);
        then.millicalls = look_up_of(&entry);
        let (record, then) = self.remembered(entry, then);
        let (to, due) = (then.to, then.due);
        Ok(
            match self.record_queued(desk, queued, record, then).await? {
                Moving::Recorded(_) => Ruled::Stands(to, due.map(|due| until(Some(due), now))),
                Moving::Lost(_) => Ruled::Lost,
            },
        )
    }

    /// What makes no operation: there is nothing to be decided.
    async fn refuse(&self, desk: &Desk, queued: &Queued, then: Move) -> Result<Ruled, StoreError> {
        let moved = self.shift_one(desk, then).await?;
        Ok(match moved {
            Moved::Done(_) => {
                self.queue_meters()
                    .moved(&queued.stored, State::Refused, self.ambient().now());
                Ruled::Stands(State::Refused, None)
            }
            _ => Ruled::Lost,
        })
    }

    async fn permit(
        &self,
        desk: &Desk,
        queued: &Queued,
        verdict: Verdict,
        (basis, change): (Basis, std::sync::Arc<dyn NativeChange>),
    ) -> Result<Ruled, StoreError> {
        let outgoing = change.outgoing();
        let mut read_back = change.read_back(writer(&queued.ask));
        read_back.join_key = hash::asked(&queued.ask.caller.actor, &queued.ask.draft);
        let mut entry = self.entry(verdict);
        entry.payload_hash = Some(outgoing.hash());
        entry.basis = Some(basis);
        entry.written_as = written_as(&queued.ask.caller.credential);
        entry.read_back = Some(self.sealed(&read_back));
        if basis == Basis::Judged {
            entry.changed = change.changed_fields();
        }
        let now = self.ambient().now();
        let mut then = desk.step(&queued.stored, State::Permitted, now);
        then.lease = Some(desk.lease_from(now));
        then.millicalls = look_up_of(&entry);
        let decision = entry.decision.id;
        let (record, mut then) = self.remembered(entry, then);
        then.why = None;
        let recorded = match self.record_queued(desk, queued, record, then).await? {
            Moving::Recorded(recorded) => recorded,
            Moving::Lost(_) => return Ok(Ruled::Lost),
        };
        let mut stored = queued.stored.clone();
        stored.state = State::Permitted;
        stored.version += 1;
        stored.updated_at = now;
        stored.decision = Some(decision);
        let Some(permit) = recorded.permit else {
            tracing::error!(connection = %self.connection(), %decision, "the decision gave no leave to write");
            return Ok(Ruled::Lost);
        };
        Ok(Ruled::Ready(Box::new(Ready {
            stored,
            round: queued.round,
            permit,
            outgoing,
            change,
            read_back,
            decision,
            minted: now,
            credential: queued.ask.caller.credential.clone(),
            span: tracing::Span::current(),
        })))
    }

    async fn hold_queued(
        &self,
        desk: &Desk,
        queued: &Queued,
        verdict: Verdict,
        change: &dyn NativeChange,
    ) -> Result<Ruled, StoreError> {
        let mut entry = self.entry(verdict);
        let now = self.ambient().now();
        let waits = Some(queued.stored.id);
        let Some(mut hold) = self.hold_of(&queued.ask, change.summary(), (&entry, waits)) else {
            return Err(StoreError::Corrupt(
                "an operation without a name cannot be held".to_owned(),
            ));
        };
        // Whoever submits for another does not agree to it either.
        hold.requester.push(queued.stored.owner.clone());
        entry.hold = Some(hold.id);
        let stale = hold.replaces.is_some();
        let to = if stale { State::Stale } else { State::Held };
        let mut then = desk.step(&queued.stored, to, now);
        then.hold = Some(hold.id);
        then.millicalls = look_up_of(&entry);
        let (record, then) = self.remembered(entry, then);
        let (id, effect, mode) = told_of(&record);
        let holding = desk.operations.decide_to_hold(hold, record, then);
        Ok(match self.in_time(holding).await? {
            Ok(_) => {
                self.meters().decided(effect, mode);
                tell(id, effect);
                self.queue_meters().moved(&queued.stored, to, now);
                Ruled::Stands(to, None)
            }
            Err(_) => Ruled::Lost,
        })
    }

    /// Masks a decision, and gives the move the decision and its masked reason.
    fn remembered(&self, entry: Entry, mut then: Move) -> (DecisionRecord, Move) {
        let record = self.remember(entry);
        then.decision = Some(record.decision.id);
        if then.why.is_none() {
            then.why = reason(&record.decision);
        }
        (record, then)
    }

    async fn record_queued(
        &self,
        desk: &Desk,
        queued: &Queued,
        record: DecisionRecord,
        then: Move,
    ) -> Result<Moving, StoreError> {
        let meters = self.meters();
        meters.refused(&record.decision.judgement);
        let (id, effect, mode) = told_of(&record);
        let basis = record.basis;
        let (to, now) = (then.to, then.at);
        let recording = self
            .recorder()
            .record_moving(record, then, desk.operations.as_ref());
        let moving = self.in_time(recording).await?;
        if matches!(moving, Moving::Recorded(_)) {
            meters.decided(effect, mode);
            if let Some(basis) = basis.filter(|basis| *basis != Basis::Judged) {
                meters.passed_without_verdict(basis);
            }
            tell(id, effect);
            self.queue_meters().moved(&queued.stored, to, now);
        }
        Ok(moving)
    }
}

fn told_of(record: &DecisionRecord) -> (crmgate_domain::DecisionId, Effect, crmgate_domain::Mode) {
    let decision = &record.decision;
    (decision.id, decision.judgement.effect, decision.mode)
}

fn look_up_of(entry: &Entry) -> u64 {
    let kind = entry.operation.as_ref().map(|operation| operation.kind);
    kind.map_or(0, look_up_millicalls)
}

/// Why it does not pass, in the words that are recorded.
pub(crate) fn reason(decision: &Decision) -> Option<Why> {
    let judgement = &decision.judgement;
    let code = words::why(judgement)?;
    let message = match judgement.effect {
        Effect::Deny => words::sentences(judgement.reasons.iter().map(words::told)),
        Effect::RequireApproval => {
            words::sentences(judgement.approvals.iter().map(|one| one.reason.clone()))
        }
        Effect::Error => words::sentences(judgement.errors.iter().map(|one| one.message.clone())),
        Effect::Allow => String::new(),
    };
    Some(Why::new(&code, message))
}
