//! Tickets: the caller's identical retry passes once, judged again.

use std::sync::Arc;

use crmgate_connector::Refusal;
use crmgate_domain::approval::{End, Ended};
use crmgate_domain::{DecisionId, Effect, Kind, Mode, OperationId, Reason};
use crmgate_store::{Hold, HoldStatus, OutcomeKind, Recorded, StoreError, WrittenAs, request_key};
use jiff::ToSpan as _;

use super::Prior;
use crate::decide::{Verdict, tell};
use crate::held::Carrying;
use crate::join::WINDOW_SECONDS;
use crate::meters::Stage;
use crate::remember::Entry;
use crate::write::{Round, told};
use crate::{Answer, Ask, Assessment, Gate, Reply, hash, words};

/// What a ticket that was used led to.
enum Used {
    /// The write certainly did not happen: the ticket is good again.
    InVain,
    /// It happened: the record's id.
    Happened(Option<String>),
    /// It is not known yet.
    Unknown,
    /// Long ago, or nobody can tell any more: people are asked again.
    Over,
}

impl Gate {
    /// Goes on with what needs people: with what they have agreed to, or by asking them.
    pub(crate) async fn ask_people(
        self: &Arc<Self>,
        ask: &Ask,
        first: Assessment,
        round: u32,
    ) -> Round {
        let (id, key) = (first.operation.id, self.key_of(ask, &first));
        let last = match self.asked_before(&key).await {
            Ok(Some(last)) => last,
            Ok(None) => return self.hold(ask, first, round).await.into(),
            Err(error) => return self.not_recorded(&error).into(),
        };
        if let Some(operation) = last.queued.filter(|_| last.status != HoldStatus::Rejected) {
            let writer = last.written_as;
            return self
                .carried_before(ask, first, (operation, writer), round)
                .await
                .into();
        }
        let prior = match self.prior(last).await {
            Ok(prior) => prior,
            Err(error) => return self.not_recorded(&error).into(),
        };
        let (prior, used) = match self.without_used(prior).await {
            Ok(known) => known,
            Err(error) => return self.not_recorded(&error).into(),
        };
        let again = match self.assess(ask, id, &prior).await {
            Ok(again) => again,
            Err(problem) => return self.no_assessment(ask, problem, round).await,
        };
        if again.judgement.effect != Effect::RequireApproval {
            return self.carry_out(ask, again, &prior, round).await;
        }
        if let Some((by, used)) = used
            && let Some(answer) = self.while_in_doubt(&again, by, used, round).await
        {
            return answer.into();
        }
        match refused_before(&prior, &again, self.ambient().now()) {
            Some(reason) => {
                let mut refused = again;
                refused.judgement.effect = Effect::Deny;
                refused.judgement.reasons.push(reason);
                self.denied(refused, round).await.into()
            }
            None => self.hold(ask, again, round).await.into(),
        }
    }

    /// The answer to a repeat of what the gate writes itself: it has no ticket, whatever was
    /// answered.
    async fn carried_before(
        self: &Arc<Self>,
        ask: &Ask,
        first: Assessment,
        (operation, writer): (OperationId, Option<WrittenAs>),
        round: u32,
    ) -> Answer {
        let record_id = match self.carrying(ask, operation).await {
            Ok(Carrying::Happened(id)) if is_there(&first) => id,
            Ok(Carrying::UnderWay) => return self.hold_as(ask, first, writer, round).await,
            Ok(_) => return self.hold(ask, first, round).await,
            Err(error) => return self.not_recorded(&error),
        };
        let change = Arc::clone(&first.change);
        self.answered(first, round, |_| {
            Reply::Native(change.confirmed(record_id.as_deref()))
        })
        .await
    }

    /// Records a decision that lets nothing pass, and answers.
    async fn answered(
        &self,
        assessment: Assessment,
        round: u32,
        reply: impl FnOnce(DecisionId) -> Reply,
    ) -> Answer {
        let entry = self.entry(Verdict::of(assessment, Mode::Enforce, round));
        let decision = entry.decision.clone();
        match self.record(entry).await {
            Ok(_) => told(decision.id, &decision.judgement, reply(decision.id)),
            Err(error) => self.not_recorded(&error),
        }
    }

    /// What needs nobody any more.
    async fn carry_out(
        self: &Arc<Self>,
        ask: &Ask,
        mut again: Assessment,
        prior: &Prior,
        round: u32,
    ) -> Round {
        if again.judgement.effect == Effect::Allow {
            let granted = again.judgement.approved.iter().map(|one| one.hold);
            let mut holds: Vec<_> = granted.collect();
            holds.sort_unstable();
            holds.dedup();
            let links = prior.links.iter().map(|(hold, _)| hold);
            let used = links.filter(|hold| holds.contains(&hold.id));
            again.tickets = used.map(|hold| (hold.id, hold.version)).collect();
        }
        self.go_on(ask, again, round).await
    }

    fn key_of(&self, ask: &Ask, first: &Assessment) -> String {
        let payload = hash::asked(&ask.caller.actor, &ask.draft);
        request_key(self.connection(), &first.operation, payload, None)
    }

    async fn asked_before(&self, key: &str) -> Result<Option<Hold>, StoreError> {
        let last = self.in_time(self.store().last_asked(key)).await?;
        Ok(last.filter(|hold| !self.is_past(hold)))
    }

    fn is_past(&self, hold: &Hold) -> bool {
        let ends = match hold.status {
            HoldStatus::Waiting | HoldStatus::Rejected => true,
            // What the gate carries out nobody has to come for.
            HoldStatus::Approved => hold.queued.is_none(),
            _ => false,
        };
        let over = matches!(
            hold.status,
            HoldStatus::Expired | HoldStatus::Cancelled | HoldStatus::Superseded
        );
        over || (ends && hold.expires_at <= self.ambient().now())
    }

    /// A ticket that was used counts again only with proof that its write did not happen.
    async fn without_used(
        &self,
        mut prior: Prior,
    ) -> Result<(Prior, Option<(DecisionId, Used)>), StoreError> {
        let newest = prior.newest();
        let Some(by) = newest
            .filter(|hold| hold.status == HoldStatus::Spent)
            .and_then(|hold| hold.spent_by)
        else {
            return Ok((prior, None));
        };
        let used = self.what_became_of(by).await?;
        if !matches!(used, Used::InVain) {
            prior.links.clear();
        }
        Ok((prior, Some((by, used))))
    }

    async fn what_became_of(&self, by: DecisionId) -> Result<Used, StoreError> {
        let Some(stored) = self.in_time(self.store().decision(by)).await? else {
            return Ok(Used::Over);
        };
        let recent = self.ambient().now() - WINDOW_SECONDS.seconds() < stored.record.decision.at;
        let create = |kind: Option<Kind>| kind == Some(Kind::Create) && recent;
        let Some(outcome) = stored.outcome else {
            // What this process knows already may not be stored yet.
            return Ok(match self.in_flight().ended_as(by) {
                Some(kind) if came_to_nothing(kind) => Used::InVain,
                _ => Used::Unknown,
            });
        };
        let kind = stored.record.operation.as_ref().map(|op| op.kind);
        Ok(match outcome.kind {
            kind if came_to_nothing(kind) => Used::InVain,
            OutcomeKind::Succeeded if create(kind) => Used::Happened(outcome.record_id),
            OutcomeKind::Unknown => Used::Unknown,
            _ => Used::Over,
        })
    }

    /// The answer to a repeat of a write that used the ticket a moment ago.
    async fn while_in_doubt(
        self: &Arc<Self>,
        again: &Assessment,
        by: DecisionId,
        used: Used,
        round: u32,
    ) -> Option<Answer> {
        let record_id = match used {
            Used::InVain | Used::Over => return None,
            Used::Happened(record_id) => Some(record_id),
            Used::Unknown => None,
        };
        let answer = self.answered(again.clone(), round, |decision| match record_id {
            Some(id) => Reply::Native(again.change.confirmed(id.as_deref())),
            None => Reply::Refused(self.doubt(decision, by)),
        });
        Some(answer.await)
    }

    fn doubt(&self, decision: DecisionId, by: DecisionId) -> Refusal {
        let message = format!(
            "an equal request was sent with what was agreed to (decision {by}), and it is not \
             known yet whether it was written; it is being looked up"
        );
        words::unable(Some(decision), message, self.settings().retry_after)
    }

    /// Records a decision that rests on what people agreed to, and uses that up. `None`: an equal
    /// request was faster.
    pub(crate) async fn record_spending(
        &self,
        mut entry: Entry,
        tickets: Vec<(crmgate_domain::HoldId, u64)>,
    ) -> Result<Option<Recorded>, StoreError> {
        entry.hold = tickets.first().map(|(hold, _)| *hold);
        let record = self.remember(entry);
        let (id, effect) = (record.decision.id, record.decision.judgement.effect);
        let mode = record.decision.mode;
        let timer = self.time(Stage::Record);
        let store = Arc::clone(self.store());
        let recording = self
            .recorder()
            .record_spending(record, tickets, store.as_ref());
        let recorded = self.in_time(recording).await;
        timer.stop();
        let recorded = recorded?;
        if recorded.is_some() {
            self.meters().decided(effect, mode);
            tell(id, effect);
        }
        Ok(recorded)
    }
}

/// Whether a repeat of what was written a moment ago has nothing left to do: equal creates are one,
/// and anything else is when the record is as it would make it.
fn is_there(asked: &Assessment) -> bool {
    let mut changes = asked.change.views().changes.values();
    asked.operation.kind == Kind::Create
        || changes.all(|change| change.from.as_ref() == Some(&change.to))
}

pub(crate) const fn came_to_nothing(kind: OutcomeKind) -> bool {
    matches!(
        kind,
        OutcomeKind::NotWritten | OutcomeKind::Refused | OutcomeKind::VersionMismatch
    )
}

/// What somebody refused stays refused until it would have expired, while nothing has changed.
fn refused_before(
    prior: &Prior,
    again: &Assessment,
    now: crmgate_domain::Timestamp,
) -> Option<Reason> {
    let hold = prior.newest()?;
    let same = hold.bound.as_ref() == again.judged.asking.as_ref().map(|asking| &asking.bound);
    if hold.status != HoldStatus::Rejected || !same || hold.expires_at <= now {
        return None;
    }
    let by = match &hold.ended {
        Some(Ended {
            how: End::Rejected,
            by: Some(by),
            at,
        }) if !by.is_empty() => format!(" by {by} at {at}"),
        _ => String::new(),
    };
    let id = hold.id;
    let until = hold.expires_at;
    let message = format!("rejected{by} (hold {id}); it can be asked again after {until}");
    Some(words::own("rejected", message))
}
