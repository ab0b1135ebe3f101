//! Operations that wait for people.

use crmgate_decision_log::REDACTED;
use crmgate_decision_log::mask::{Hint, hint};
use crmgate_domain::{Document, HoldId, Mode};
use crmgate_store::{Hold, HoldStatus};
use jiff::ToSpan as _;

use crate::decide::{Verdict, tell};
use crate::meters::Stage;
use crate::remember::Entry;
use crate::write::told;
use crate::{Answer, Ask, Assessment, Gate, Reply, hash, words};

/// How long a hold waits where no package says.
const DEFAULT_SECONDS: u64 = 72 * 60 * 60;
/// The longest that a hold waits, whatever a package says: a year.
const MOST_SECONDS: u64 = 366 * 24 * 60 * 60;

impl Gate {
    /// Stores the operation as held, or joins the hold of an equal one.
    pub(crate) async fn hold(&self, ask: &Ask, assessment: Assessment, round: u32) -> Answer {
        let change = without_credentials(assessment.change.summary());
        let record = self.entry(Verdict::of(assessment, Mode::Enforce, round));
        let decision = record.decision.clone();
        let Some(hold) = self.hold_of(ask, change, &record) else {
            return self.unable_answer(None, "an operation without a name cannot be held");
        };
        let approvals = hold.approvals.clone();
        let record = self.remember(record);
        let holding = self.store().hold_decided(hold, record);
        let timer = self.time(Stage::Record);
        let held = self.in_time(holding).await;
        timer.stop();
        let in_force = match held {
            Ok(in_force) => in_force,
            Err(error) => return self.not_recorded(&error),
        };
        self.meters()
            .decided(decision.judgement.effect, Mode::Enforce);
        tell(decision.id, decision.judgement.effect);
        let refusal = words::held(decision.id, in_force.id, &approvals);
        Answer {
            hold: Some(in_force.id),
            ..told(decision.id, &decision.judgement, Reply::Refused(refusal))
        }
    }

    /// The hold that a decision makes; `change` is what was asked, without credentials.
    pub(crate) fn hold_of(&self, ask: &Ask, change: Document, record: &Entry) -> Option<Hold> {
        let mut operation = record.operation.clone()?;
        // People see what they agree to, not how it was asked for.
        operation.request = None;
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
        })
    }
}

/// A change without the values that only a program should know.
pub(crate) fn without_credentials(change: Document) -> Document {
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
