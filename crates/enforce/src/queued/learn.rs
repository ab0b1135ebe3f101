//! What came of what was sent is written down.

use std::time::Duration;

use crmgate_connector::{Delivered, Failure, Written};
use crmgate_domain::{DecisionId, OperationId, State};
use crmgate_store::{Moved, OutcomeKind, Why};

use super::deliver::Row;
use super::ended::{Ending, Known};
use super::{Desk, Ended, Step};
use crate::Gate;
use crate::outcome::Learned;
use crate::write::ROUNDS;

/// The first pause before a write without an answer is looked up again.
const FIRST_LOOK: Duration = Duration::from_millis(500);

impl Gate {
    /// Stores what came of all of them.
    pub(super) async fn learn_all(
        &self,
        desk: &Desk,
        rows: Vec<Row>,
        delivered: Delivered,
        atomic: bool,
    ) -> Vec<(OperationId, Ended)> {
        let now = self.ambient().now();
        let shared = u64::from(delivered.calls) * 1_000;
        let millicalls = shared.div_ceil(u64::try_from(rows.len()).unwrap_or(1).max(1));
        let rolled_back =
            |result: &Result<Written, Failure>| result.as_ref().is_err_and(Failure::is_rolled_back);
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
            let ending = match fate.as_ref().filter(|_| rolled_back(&result)) {
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
        let mut all = Vec::new();
        let (mut moves, mut lasts, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for (row, ending) in endings {
            let Some(mut ending) = ending else {
                self.unanswered().note(row.stored.id, now);
                self.note_unknown(row.decision).await;
                all.push((row.stored.id, Ended::Unknown(FIRST_LOOK)));
                continue;
            };
            lasts.extend(ending.moves.pop());
            moves.extend(ending.moves);
            places.push((row, ending.ended));
        }
        if lasts.is_empty() {
            return all;
        }
        // All of a group stop being written before the first of it ends: what ends for want of
        // another takes those of its group along that stand, and each is to say which one it was.
        let before = moves.len();
        moves.append(&mut lasts);
        let step = Step::Learn.start();
        let stored = self.shift_surely(desk, moves.clone()).await;
        step.stop();
        let moved = match stored {
            Ok(moved) => moved,
            Err(error) => {
                // The rows still say `writing`: what came of them is found out again.
                tracing::error!(connection = %self.connection(), %error, "what came of writes could not be stored; it will be read back");
                let unknown = places.into_iter().map(|(row, _)| {
                    self.unanswered().note(row.stored.id, now);
                    (row.stored.id, Ended::Unknown(FIRST_LOOK))
                });
                all.extend(unknown);
                return all;
            }
        };
        let lasts = moved.iter().zip(&moves).skip(before);
        for ((row, ended), (moved, then)) in places.into_iter().zip(lasts) {
            let done = matches!(moved, Moved::Done(_));
            if done {
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
        then.why = Some(Why::new("group_refused", message));
        Ending {
            moves: vec![first, then],
            ended: Ended::Over(State::Cancelled),
        }
    }
}
