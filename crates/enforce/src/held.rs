//! Operations that wait for people.

use std::sync::Arc;

use crmgate_decision_log::REDACTED;
use crmgate_decision_log::mask::{Hint, hint};
use crmgate_domain::{Document, HoldId, Mode, Operation, OperationId};
use crmgate_store::{Hold, HoldStatus, Release, WrittenAs};
use jiff::ToSpan as _;

use crate::approved::requester;
use crate::decide::{Verdict, tell};
use crate::meters::Stage;
use crate::remember::Entry;
use crate::write::{told, written_as};
use crate::{Answer, Ask, Assessment, Gate, Reply, hash, words};

mod carried;

pub(crate) use carried::Carrying;

/// How long a hold waits where no package says.
const DEFAULT_SECONDS: u64 = 72 * 60 * 60;
/// The longest that a hold waits, whatever a package says: a year.
const MOST_SECONDS: u64 = 366 * 24 * 60 * 60;

impl Gate {
    /// Stores the operation as held, or joins the hold of an equal one.
    pub(crate) async fn hold(&self, ask: &Ask, assessment: Assessment, round: u32) -> Answer {
        self.hold_as(ask, assessment, None, round).await
    }

    /// The same; `writer`: whose name it is written under, where that is known already.
    pub(crate) async fn hold_as(
        &self,
        ask: &Ask,
        assessment: Assessment,
        writer: Option<WrittenAs>,
        round: u32,
    ) -> Answer {
        let carried = match ask.later.as_deref().filter(|_| self.carries_out()) {
            None => None,
            Some(later) => match self.carried_out(ask, later, writer).await {
                Ok(carried) => Some(carried),
                Err(obstacle) => return self.obstructed(obstacle, assessment, round).await,
            },
        };
        let summary = assessment.change.summary();
        let record = self.entry(Verdict::of(assessment, Mode::Enforce, round));
        let decision = record.decision.clone();
        let waits = carried.is_some().then_some(decision.operation);
        let Some(hold) = self.hold_of(ask, summary, (&record, waits)) else {
            return self.unable_answer(None, "an operation without a name cannot be held");
        };
        let record = self.remember(record);
        let timer = self.time(Stage::Record);
        let held = match carried {
            None => self.in_time(self.store().hold_decided(hold, record)).await,
            Some(carried) => {
                let operations = Arc::clone(&carried.operations);
                let taken = self.to_be_written(ask, carried, (hold, record));
                self.in_time(operations.take_held(taken)).await
            }
        };
        timer.stop();
        let in_force = match held {
            Ok(in_force) => in_force,
            Err(error) => return self.not_recorded(&error),
        };
        self.meters()
            .decided(decision.judgement.effect, Mode::Enforce);
        tell(decision.id, decision.judgement.effect);
        let refusal = words::held(decision.id, &in_force);
        Answer {
            hold: Some(in_force.id),
            ..told(decision.id, &decision.judgement, Reply::Refused(refusal))
        }
    }

    /// The hold that a decision makes; `summary` is what was asked, `waits` the operation by which
    /// it is written once people agree.
    pub(crate) fn hold_of(
        &self,
        ask: &Ask,
        summary: Document,
        (record, waits): (&Entry, Option<OperationId>),
    ) -> Option<Hold> {
        let mut operation = record.operation.clone()?;
        let judged = record.judged.as_ref();
        let change = self.shown_to_people(&operation, record, summary);
        // People see what they agree to, not how it was asked for.
        operation.request = None;
        let asking = judged.and_then(|judged| judged.asking.as_deref());
        let decision = &record.decision;
        let approvals = decision.judgement.approvals.clone();
        // The first to expire ends the wait: without it the others are not enough.
        let seconds = approvals
            .iter()
            .map(|approval| approval.expires_in_seconds)
            .min()
            .unwrap_or(DEFAULT_SECONDS)
            .clamp(1, MOST_SECONDS);
        Some(Hold {
            id: HoldId::fresh(self.ambient()),
            decision: decision.id,
            connection: self.connection().clone(),
            operation,
            change,
            payload_hash: hash::asked(&ask.caller.actor, &ask.draft),
            approvals,
            status: HoldStatus::Waiting,
            created_at: decision.at,
            expires_at: decision.at + seconds.cast_signed().seconds(),
            requests: 1,
            release: if waits.is_some() {
                Release::Execution
            } else {
                Release::Ticket
            },
            queued: waits,
            written_as: written_as(&ask.caller.credential),
            requester: requester(&ask.caller.actor),
            fields: asking.map_or_else(Vec::new, |asking| asking.fields.clone()),
            bound: asking.map(|asking| asking.bound.clone()),
            replaces: asking.and_then(|asking| asking.replaces),
            builds_on: asking.and_then(|asking| asking.builds_on),
            version: 0,
            ended: None,
            spent_by: None,
        })
    }

    /// The change without credentials, and without what packages hide.
    fn shown_to_people(
        &self,
        operation: &Operation,
        record: &Entry,
        summary: Document,
    ) -> Document {
        let summary = without_credentials(summary);
        let change = record
            .judged
            .as_ref()
            .and_then(|judged| judged.change.as_ref());
        match change {
            Some(change) => {
                let redactions = &record.decision.judgement.redactions;
                self.shown(operation, change, redactions, summary)
            }
            None => summary,
        }
    }
}

/// A change without the values that only a program should know.
fn without_credentials(change: Document) -> Document {
    let Document::Object(members) = change else {
        return change;
    };
    let members = members.into_iter().map(|(name, value)| {
        let value = if hint(&name) == Some(Hint::Secret) && !value.is_null() {
            REDACTED.into()
        } else {
            without_credentials(value)
        };
        (name, value)
    });
    Document::Object(members.collect())
}
