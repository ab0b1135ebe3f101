//! What workers and operators do to operations, as it is asked of the task that moves them.

use crmgate_domain::{Ambient, Point, RevisionId};
use crmgate_store::{Begun, DecisionRecord, Hold, Move, Moved, Outcome, StoreError};

use super::super::decisions::DecisionRow;
use super::super::outcomes::OutcomeRow;
use super::super::steps::Slot;
use super::super::writer::Command;
use super::Store;
use super::begin::Taking;
use super::make::Wanted;
use super::rows::Seen;

/// A decision with what follows from it.
pub(crate) struct Deciding {
    pub(super) row: DecisionRow,
    pub(super) revision: RevisionId,
    pub(super) hold: Option<Hold>,
    pub(super) then: Move,
    pub(super) outcome: Option<OutcomeRow>,
}

impl Deciding {
    pub(super) fn new(
        hold: Option<Hold>,
        record: DecisionRecord,
        then: Move,
        ambient: &dyn Ambient,
    ) -> Result<Self, StoreError> {
        let hold = hold.map(|hold| Hold {
            queued: Some(then.id),
            ..hold
        });
        let record = DecisionRecord {
            hold: hold.as_ref().map(|hold| hold.id).or(record.hold),
            ..record
        };
        let then = Move {
            decision: Some(record.decision.id),
            hold: hold.as_ref().map(|hold| hold.id).or(then.hold),
            ..then
        };
        let mut row = DecisionRow::new(&record, ambient)?;
        // Wherever it was asked for: what comes of it is for workers to find out.
        if let Some(read_back) = &mut row.read_back {
            read_back.point = Point::Queue.as_str();
        }
        Ok(Self {
            row,
            revision: record.decision.judgement.revision,
            hold,
            outcome: then.outcome.as_ref().map(OutcomeRow::new).transpose()?,
            then,
        })
    }

    /// The move of the operation that was found so.
    pub(super) fn wanted(&self, row: Seen) -> Wanted {
        let mut wanted = Wanted::new(row, self.then.clone());
        wanted.revision = Some(self.revision.clone());
        wanted
    }
}

/// A move, with what came of a write.
pub(crate) struct Shifting {
    pub(super) then: Move,
    pub(super) outcome: Option<OutcomeRow>,
}

/// Something that is done to operations, together with others of its kind.
pub(crate) enum Deed {
    Take(Taking, Slot<Begun>),
    Decide(Box<Deciding>, Slot<Result<u64, Moved>>),
    Shift(Vec<Shifting>, Slot<Vec<Moved>>),
}

impl Deed {
    /// Answers, after the commit or with the failure.
    pub(crate) fn answer(self, result: Result<(), StoreError>) {
        match self {
            Self::Take(_, slot) => slot.answer(result),
            Self::Decide(_, slot) => slot.answer(result),
            Self::Shift(_, slot) => slot.answer(result),
        }
    }
}

/// Has it done. It is done even when whoever asked has gone.
async fn ask<T>(store: &Store, deed: impl FnOnce(Slot<T>) -> Deed) -> Result<T, StoreError> {
    let queue = store.queue();
    queue
        .ask(|reply| Command::Deed(Box::new(deed(Slot::new(reply)))))
        .await
}

pub(super) async fn take(store: &Store, taking: Taking) -> Result<Begun, StoreError> {
    ask(store, |slot| Deed::Take(taking, slot)).await
}

pub(super) async fn decide(
    store: &Store,
    hold: Option<Hold>,
    record: DecisionRecord,
    then: Move,
) -> Result<Result<u64, Moved>, StoreError> {
    let key = *record.decision.id.uuid().as_bytes();
    let opened = record.read_back.as_ref();
    let opened = opened.map(|read_back| *read_back.join_key.bytes());
    let deciding = Box::new(Deciding::new(hold, record, then, store.ambient())?);
    if let Some(join_key) = opened {
        store.open_writes().begin(key, join_key);
    }
    let ended = deciding.outcome.as_ref().filter(|outcome| outcome.ends);
    let ended = ended.map(|outcome| outcome.decision);
    let done = ask(store, |slot| Deed::Decide(deciding, slot)).await?;
    if let Some(decision) = ended {
        store.open_writes().end(&decision);
    }
    // What was not recorded is not open.
    if done.is_err() && opened.is_some() {
        store.open_writes().end(&key);
    }
    Ok(done)
}

/// Moves, with what came of writes.
pub(super) async fn shift_all(store: &Store, moves: Vec<Move>) -> Result<Vec<Moved>, StoreError> {
    if moves.is_empty() {
        return Ok(Vec::new());
    }
    let ended: Vec<_> = moves
        .iter()
        .map(|then| ends(then.outcome.as_ref()))
        .collect();
    let shifting: Result<Vec<Shifting>, StoreError> = moves
        .into_iter()
        .map(|then| {
            let outcome = then.outcome.as_ref().map(OutcomeRow::new).transpose()?;
            Ok(Shifting { then, outcome })
        })
        .collect();
    let shifting = shifting?;
    let answers = ask(store, |slot| Deed::Shift(shifting, slot)).await?;
    for (answer, ended) in answers.iter().zip(ended) {
        if let (Moved::Done(_), Some(decision)) = (answer, ended) {
            store.open_writes().end(&decision);
        }
    }
    Ok(answers)
}

/// The decision whose write has ended with this.
fn ends(outcome: Option<&Outcome>) -> Option<[u8; 16]> {
    outcome
        .filter(|outcome| outcome.kind.is_final())
        .map(|outcome| *outcome.decision.uuid().as_bytes())
}
