//! Decisions about queued operations, recorded with the move that follows.

use std::sync::Arc;

use crmgate_domain::{OperationId, RevisionId};
use crmgate_store::{DecisionRecord, Hold, Move, Moved, Outcome, StoreError};

use super::super::batch;
use super::super::decisions::DecisionRow;
use super::super::outcomes::OutcomeRow;
use super::super::writer::Writer;
use super::Store;
use super::begin::shift;
use super::effects::{Effects, act};
use super::follow::follow;
use super::moves::{find, make};

/// What is recorded, and done.
struct Deciding {
    row: DecisionRow,
    revision: RevisionId,
    hold: Option<Hold>,
    then: Move,
    outcome: Option<OutcomeRow>,
}

impl Deciding {
    async fn run(
        &self,
        writer: &mut Writer,
        effects: &mut Effects,
    ) -> Result<Result<u64, Moved>, sqlx::Error> {
        let id: OperationId = self.then.id;
        let connection = &mut writer.connection;
        let mut found = find(connection, &[id]).await?;
        let Some(row) = found.get_mut(&id) else {
            return Ok(Err(Moved::Absent));
        };
        // The hold is there before the row that names it: its end is looked up.
        if row.version.unsigned_abs() != self.then.seen || !row.may_become(self.then.to) {
            return Ok(Err(row.lost()));
        }
        if let Some(hold) = &self.hold {
            super::super::holds::insert(writer, hold).await?;
        }
        let connection = &mut writer.connection;
        let made = make(connection, row, &self.then, Some(&self.revision), effects).await?;
        let Some(made) = made else {
            return Ok(Err(row.lost()));
        };
        batch::append(writer, &self.row).await?;
        let place = writer.last.unsigned_abs();
        if let Some(outcome) = &self.outcome {
            batch::append_outcomes(writer, [outcome]).await?;
        }
        let who = (self.then.at, &self.then.by);
        follow(&mut writer.connection, vec![made], who, effects).await?;
        Ok(Ok(place))
    }
}

pub(super) async fn decide(
    store: &Store,
    hold: Option<Hold>,
    record: DecisionRecord,
    then: Move,
) -> Result<Result<u64, Moved>, StoreError> {
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
    let key = *record.decision.id.uuid().as_bytes();
    if let Some(read_back) = &record.read_back {
        store.open_writes().begin(key, *read_back.join_key.bytes());
    }
    let opened = record.read_back.is_some();
    let deciding = Arc::new(Deciding {
        row: DecisionRow::new(&record, store.ambient())?,
        revision: record.decision.judgement.revision.clone(),
        hold,
        outcome: then.outcome.as_ref().map(OutcomeRow::new).transpose()?,
        then,
    });
    let ended = deciding.outcome.as_ref().filter(|outcome| outcome.ends);
    let ended = ended.map(|outcome| outcome.decision);
    let done = act(store, move |writer, effects| {
        let deciding = Arc::clone(&deciding);
        Box::pin(async move { deciding.run(writer, effects).await })
    })
    .await?;
    if let Some(decision) = ended {
        store.open_writes().end(&decision);
    }
    // What was not recorded is not open.
    if done.is_err() && opened {
        store.open_writes().end(&key);
    }
    Ok(done)
}

/// Moves, with what came of writes.
pub(super) async fn shift_all(store: &Store, moves: Vec<Move>) -> Result<Vec<Moved>, StoreError> {
    if moves.is_empty() {
        return Ok(Vec::new());
    }
    let outcomes: Result<Vec<Option<OutcomeRow>>, StoreError> = moves
        .iter()
        .map(|wanted| wanted.outcome.as_ref().map(OutcomeRow::new).transpose())
        .collect();
    let given = Arc::new((moves, outcomes?));
    let kept = Arc::clone(&given);
    let answers = act(store, move |writer, effects| {
        let given = Arc::clone(&given);
        Box::pin(async move {
            let (moves, outcomes) = given.as_ref();
            let answers = shift(&mut writer.connection, moves, effects).await?;
            let made = answers.iter().zip(outcomes);
            let made = made.filter(|(answer, _)| matches!(answer, Moved::Done(_)));
            let rows: Vec<&OutcomeRow> = made.filter_map(|(_, row)| row.as_ref()).collect();
            batch::append_outcomes(writer, rows).await?;
            Ok(answers)
        })
    })
    .await?;
    let written = answers.iter().zip(&kept.0);
    for (_, wanted) in written.filter(|(answer, _)| matches!(answer, Moved::Done(_))) {
        if let Some(Outcome { decision, kind, .. }) = &wanted.outcome
            && kind.is_final()
        {
            store.open_writes().end(decision.uuid().as_bytes());
        }
    }
    Ok(answers)
}
