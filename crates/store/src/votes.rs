//! What people answer to held operations, and what becomes of holds by it.
//!
//! INVARIANT: a vote is stored from the version of the hold that was seen, with an entry of the
//! record: of all that would end a hold, one does.
//! INVARIANT: a hold is spent in the transaction of the decision that rests on it.

use async_trait::async_trait;
use crmgate_domain::approval::{Choice, Ended, Vote};
use crmgate_domain::{ConnectionName, DecisionId, HoldId, OperationId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{DecisionRecord, Hold, HoldStatus, Move, StoreError};

/// A vote to be stored, with what follows from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Ballot {
    /// The hold, as it was seen.
    pub hold: Hold,
    /// The vote.
    pub vote: Vote,
    /// How it ends the hold, where it does.
    pub ends: Option<Ended>,
    /// Until when what was agreed to can be used.
    pub usable_until: Option<Timestamp>,
    /// What becomes of the queued operation; with its job, in the same transaction.
    pub then: Option<Move>,
}

/// What came of a compare-and-set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cast {
    /// It is stored.
    Done,
    /// Somebody else changed the hold, or its operation, first: nothing is stored.
    Lost,
}

/// The record's entry of a vote: what stays when words and names are erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteNote {
    /// The hold.
    pub hold: HoldId,
    /// The decision that held the operation.
    pub decision: DecisionId,
    /// The connection.
    pub connection: ConnectionName,
    /// The queued operation.
    #[serde(default)]
    pub operation: Option<OperationId>,
    /// The account that answered: a token's id.
    pub account: String,
    /// The answer.
    pub choice: Choice,
    /// The agreements that it counts for: package and code.
    pub agreements: Vec<crmgate_domain::approval::Agreement>,
    /// How it ended the hold, where it did.
    #[serde(default)]
    pub ended: Option<HoldStatus>,
}

impl VoteNote {
    /// The entry of a ballot.
    #[must_use]
    pub fn of(ballot: &Ballot) -> Self {
        Self {
            hold: ballot.hold.id,
            decision: ballot.hold.decision,
            connection: ballot.hold.connection.clone(),
            operation: ballot.hold.queued,
            account: ballot.vote.account.clone(),
            choice: ballot.vote.choice,
            agreements: ballot.vote.agreements.clone(),
            ended: ballot.ends.as_ref().map(|ended| ended.how.into()),
        }
    }
}

/// What the entry of a vote commits to, and what can be erased of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteWords {
    /// The person.
    pub person: String,
    /// Why.
    pub reason: Option<String>,
}

/// The store of votes.
#[async_trait]
pub trait VoteLog {
    /// Stores a vote, the end of the hold that it makes and the move that follows, with an entry
    /// of the record, in one transaction, if the hold waits and is as it was seen.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    async fn cast(&self, ballot: Ballot) -> Result<Cast, StoreError>;

    /// The votes on a hold, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn votes(&self, hold: HoldId) -> Result<Vec<Vote>, StoreError>;

    /// Ends a hold that waits or is approved, if it is as it was seen.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    async fn end_hold(&self, hold: HoldId, seen: u64, ended: Ended) -> Result<Cast, StoreError>;

    /// Ends holds that wait, and tickets that nobody came for, past their time; at most so many.
    /// Gives how many.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    async fn expire_holds(&self, at: Timestamp, most: usize) -> Result<u64, StoreError>;

    /// Appends a decision that rests on approved holds and spends them, in one transaction: the
    /// decision's place, or `None` when one of them is not as it was seen; then nothing is
    /// changed. A spent hold can be spent again: its caller has proof that the first write did
    /// not happen. Only [`Recorder`](crate::Recorder) calls it.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    async fn spend(
        &self,
        holds: Vec<(HoldId, u64)>,
        record: DecisionRecord,
    ) -> Result<Option<u64>, StoreError>;
}
