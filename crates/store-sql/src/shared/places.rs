//! Entries with their places, about to be inserted.

use crmgate_store::ChainRef;
use crmgate_store::chain::Draft;

use super::Statement;
use super::decisions::DecisionRow;
use super::outcomes::OutcomeRow;
use super::writer::Writer;

/// A decision and its place.
pub(crate) struct PlacedDecision<'a> {
    pub(crate) seq: i64,
    pub(crate) place: ChainRef,
    pub(crate) packages: i64,
    pub(crate) row: &'a DecisionRow,
}

/// An outcome and its place.
pub(crate) struct PlacedOutcome<'a> {
    pub(crate) seq: i64,
    pub(crate) place: ChainRef,
    pub(crate) row: &'a OutcomeRow,
}

/// The part of a transaction that appends decisions and outcomes.
#[derive(Default)]
pub(crate) struct Part<'a> {
    pub(crate) decisions: Vec<PlacedDecision<'a>>,
    pub(crate) outcomes: Vec<PlacedOutcome<'a>>,
}

impl<'a> Part<'a> {
    /// Gives a decision the next place, with the number of its set of packages: its position.
    pub(crate) fn decision(
        &mut self,
        writer: &mut Writer,
        packages: i64,
        row: &'a DecisionRow,
    ) -> i64 {
        let (seq, place) = writer.next(&row.draft);
        self.decisions.push(PlacedDecision {
            seq,
            place,
            packages,
            row,
        });
        seq
    }

    /// Gives an outcome the next place.
    pub(crate) fn outcome(&mut self, writer: &mut Writer, row: &'a OutcomeRow) {
        let (seq, place) = writer.next(&row.draft);
        self.outcomes.push(PlacedOutcome { seq, place, row });
    }
}

/// The columns of the ledger.
pub(crate) fn entry<'q>(
    query: Statement<'q>,
    seq: i64,
    place: ChainRef,
    draft: &Draft,
) -> Statement<'q> {
    query
        .bind(seq)
        .bind(place.chain.uuid().as_bytes().to_vec())
        .bind(i64::try_from(place.link).unwrap_or(i64::MAX))
        .bind(draft.kind().to_owned())
        .bind(crmgate_store::chain::nanoseconds(draft.at()))
        .bind(draft.envelope().to_owned())
        .bind(draft.commitment().map(|digest| digest.0.to_vec()))
        .bind(place.hash.0.to_vec())
}
