//! What came of one write, and the moves that follow from it.

use std::time::Duration;

use crmgate_connector::{Failure, Written};
use crmgate_domain::{DecisionId, State, Timestamp};
use crmgate_store::{Move, Outcome, OutcomeKind, StoredOperation, Why};

use super::{Desk, Setback, until};
use crate::Gate;
use crate::outcome::Learned;

/// How a step with an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It stands there, and nobody is to look at it soon.
    Over(State),
    /// It waits for its next try, for so long.
    Again(Duration),
    /// Its record had changed: it is `received` and can be judged again at once.
    Changed,
    /// It may have been written; to be looked up again after so long.
    Unknown(Duration),
    /// Somebody else has it.
    Lost,
}

/// What is known of a write when its end is written down.
pub(super) struct Known<'a> {
    pub(super) stored: &'a StoredOperation,
    pub(super) decision: DecisionId,
    pub(super) now: Timestamp,
    pub(super) millicalls: u64,
}

/// The moves that end a write, in order, and how it ended if they are made.
pub(super) struct Ending {
    pub(super) moves: Vec<Move>,
    pub(super) ended: Ended,
}

impl Known<'_> {
    pub(super) fn outcome(&self, learned: Learned) -> Outcome {
        Outcome {
            decision: self.decision,
            at: self.now,
            kind: learned.kind,
            status: learned.status,
            code: learned.code,
            record_id: learned.record_id,
        }
    }

    /// The move to where it ends.
    pub(super) fn over(
        &self,
        desk: &Desk,
        to: State,
        (reason, learned): (Option<Why>, Learned),
    ) -> Ending {
        let mut then = desk.step(self.stored, to, self.now);
        then.why = reason;
        then.record_id.clone_from(&learned.record_id);
        then.millicalls = self.millicalls;
        then.outcome = Some(self.outcome(learned));
        Ending {
            moves: vec![then],
            ended: Ended::Over(to),
        }
    }

    /// The move back for another try.
    pub(super) fn again(
        &self,
        desk: &Desk,
        setback: Setback,
        (random, learned): (u64, Learned),
    ) -> Ending {
        let mut then = desk.put_back(self.stored, setback, (self.now, random));
        then.millicalls = self.millicalls;
        then.outcome = Some(self.outcome(learned));
        let ended = match then.to {
            State::Received => Ended::Again(until(then.due, self.now)),
            other => Ended::Over(other),
        };
        Ending {
            moves: vec![then],
            ended,
        }
    }

    /// The move back because the record had changed.
    pub(super) fn changed(&self, desk: &Desk, last_round: bool, random: u64) -> Ending {
        let mut learned = Learned::unknown();
        learned.kind = OutcomeKind::VersionMismatch;
        let message = "the record had changed since it was judged";
        if last_round {
            let setback = Setback::counting(CHANGED, message);
            return self.again(desk, setback, (random, learned));
        }
        let mut then = desk.step(self.stored, State::Received, self.now);
        then.why = Some(Why::new(CHANGED, message));
        then.due = Some(self.now);
        then.millicalls = self.millicalls;
        then.outcome = Some(self.outcome(learned));
        Ending {
            moves: vec![then],
            ended: Ended::Changed,
        }
    }
}

/// The code of what is judged again because its record had changed.
const CHANGED: &str = "version_mismatch";

impl Gate {
    /// What follows from the CRM's answer; `None` when it did not come.
    pub(super) fn ending(
        &self,
        desk: &Desk,
        known: &Known<'_>,
        (result, last_round): (&Result<Written, Failure>, bool),
    ) -> Option<Ending> {
        let learned = Learned::of(result);
        Some(match result {
            Ok(_) => known.over(desk, State::Succeeded, (None, learned)),
            Err(Failure::Refused { code, message, .. }) => {
                let reason = Some(Why::new(code, message.clone()));
                known.over(desk, State::Refused, (reason, learned))
            }
            Err(Failure::Repeatable {
                code,
                reason,
                retry_after,
                ..
            }) => {
                let setback = Setback::by_crm(code, reason.clone(), *retry_after);
                known.again(desk, setback, (self.random(), learned))
            }
            Err(Failure::VersionMismatch) => known.changed(desk, last_round, self.random()),
            Err(Failure::Unknown { .. }) => return None,
        })
    }
}
