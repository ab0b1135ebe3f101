//! The store of queued operations, as a trait.

use std::collections::BTreeMap;

use async_trait::async_trait;
use crmgate_domain::{ConnectionName, OperationId, State, SubmissionId, Timestamp};

use super::{
    Begun, By, HeldOperation, HistoryEntry, Misfit, Move, Moved, NewOperation, Opened,
    OperationFilter, RowLease, Staged, Standing, StoredOperation, Submission, Tally, Unfolded,
};
use crate::{DecisionRecord, Hold, NewJob, Page, StoreError};

/// Hears of operations that can move, after the commit, where jobs do not lie in the database.
pub trait Wakening: Send + Sync {
    /// Pushes the jobs soon; whoever calls does not wait.
    fn wake(&self, jobs: Vec<NewJob>);
}

/// The store of queued operations.
#[async_trait]
pub trait OperationLog: Send + Sync {
    // --- submitting ---

    /// Begins a submission, which belongs to this process. One that has its key and was begun by a
    /// process that is gone ([`SILENT_AFTER`](crate::SILENT_AFTER)) gives way: it can never be
    /// accepted from then on, should that process only have been paused, and what it staged goes.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    async fn open_submission(&self, submission: &Submission) -> Result<Opened, StoreError>;

    /// Stages operations of an open submission, in one transaction; what came of each.
    /// Another submission that is open and brought an operation of the same owner's id gives way:
    /// it can never be accepted, so that whoever submits again what broke off is not told that it
    /// is there.
    ///
    /// # Errors
    /// When it is not certain that all of them are on disk; then none is.
    async fn stage(
        &self,
        submission: SubmissionId,
        operations: Vec<NewOperation>,
    ) -> Result<Vec<Staged>, StoreError>;

    /// What stands against accepting what is staged: dependencies that are unknown or run in a
    /// circle, groups larger than `most_in_group` or over several connections; at most 1,000.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn misfits(
        &self,
        submission: SubmissionId,
        most_in_group: usize,
    ) -> Result<Vec<Misfit>, StoreError>;

    /// Closes a submission: one small transaction, after which all that is staged counts as
    /// accepted. [`Self::unfold`] does the rest, also after a crash.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    async fn accept(&self, submission: &Submission) -> Result<(), StoreError>;

    /// Drops staged lines, or a whole submission that is not accepted.
    /// With a line go all of its group.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    async fn drop_staged(
        &self,
        submission: SubmissionId,
        lines: Option<&[u64]>,
    ) -> Result<u64, StoreError>;

    /// Drops submissions that were never closed: those that were begun before `before` or by a
    /// process that is gone ([`GONE_AFTER`](crate::GONE_AFTER)), and those that gave way.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    async fn drop_abandoned(&self, before: Timestamp) -> Result<u64, StoreError>;

    /// Makes staged operations of accepted submissions `received`, in order, at most `most` of
    /// them, and wakes those that can move.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    async fn unfold(&self, at: Timestamp, most: usize) -> Result<Unfolded, StoreError>;

    /// A submission.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn submission(&self, id: SubmissionId) -> Result<Option<Submission>, StoreError>;

    /// Takes an operation that was asked for where it could not wait, and that people must agree
    /// to first: a submission of one, the operation as `held`, its hold and the decision that
    /// holds, in one transaction. Gives the hold in force: while an equal request's waits, or what
    /// it was agreed to has not come to its end, nothing is taken but the decision, and the
    /// request counts there.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    async fn take_held(&self, asked: HeldOperation) -> Result<Hold, StoreError>;

    // --- working ---

    /// Takes an operation that a worker was woken for.
    /// What a worker lost before anything was sent becomes `received` and then `deciding`, its try
    /// counted as one that came to nothing; what was being sent, or a backup brought back, gets
    /// another version, so that its former worker can move it no more. What is left of a group of
    /// which something came to nothing is cancelled, and what is past `expires_at` expires.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    async fn begin(
        &self,
        id: OperationId,
        by: &By,
        lease: RowLease,
        at: Timestamp,
    ) -> Result<Begun, StoreError>;

    /// Moves operations, each by itself, in one transaction; what came of each. In the same
    /// transaction the lanes and dependants that are set free are woken, and dependants of what
    /// came to nothing are cancelled.
    ///
    /// # Errors
    /// When it is not certain what was done.
    async fn shift(&self, moves: Vec<Move>) -> Result<Vec<Moved>, StoreError>;

    /// Appends a decision and makes the move that follows from it, in one transaction; when the
    /// move is lost, the decision is not appended either. Gives the decision's place. Only
    /// [`Recorder`](crate::Recorder) calls it.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    async fn decide(
        &self,
        record: DecisionRecord,
        then: Move,
    ) -> Result<Result<u64, Moved>, StoreError>;

    /// The same for a decision that holds: with the hold, which belongs to this operation alone.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    async fn decide_to_hold(
        &self,
        hold: Hold,
        record: DecisionRecord,
        then: Move,
    ) -> Result<Result<u64, Moved>, StoreError>;

    /// Makes leases of rows last until then; gives those that are lost.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    async fn keep(
        &self,
        ids: &[OperationId],
        lease: RowLease,
    ) -> Result<Vec<OperationId>, StoreError>;

    // --- sweeping ---

    /// Operations that should be moving and are not: `received` and free to go since `before`
    /// without having been begun; with a lease that ended before `before`. They are woken again.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    async fn stuck(&self, before: Timestamp, most: usize) -> Result<Vec<OperationId>, StoreError>;

    /// Ends what is past its time: `received`, `unjudged`, `held` and `stale` operations past
    /// `expires_at`, and those whose hold has ended unanswered.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    async fn expire(&self, at: Timestamp, by: &By, most: usize) -> Result<u64, StoreError>;

    /// Makes `unjudged` operations `received` that were judged under another revision.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    async fn judge_again(
        &self,
        revision: &crmgate_domain::RevisionId,
        at: Timestamp,
        most: usize,
    ) -> Result<u64, StoreError>;

    /// Marks all operations that are open: a backup was put back. Gives how many.
    /// What was judged or waited for people is `received` then, and a marked `received` one can
    /// become nothing but `uncertain`: whoever begins with it finds out first what became of it.
    /// Only a move out of `received`, `writing` or `uncertain` takes the mark away.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    async fn mark_restored(&self, at: Timestamp, by: &By) -> Result<u64, StoreError>;

    // --- looking ---

    /// One operation.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn operation(&self, id: OperationId) -> Result<Option<StoredOperation>, StoreError>;

    /// Operations, newest first.
    ///
    /// # Errors
    /// When the store cannot be read or the cursor is not one of its own.
    async fn operations(
        &self,
        filter: &OperationFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<StoredOperation>, StoreError>;

    /// The history of one operation, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn history(&self, id: OperationId) -> Result<Vec<HistoryEntry>, StoreError>;

    /// What an operation depends on, and what depends on it.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn related(
        &self,
        id: OperationId,
    ) -> Result<(Vec<OperationId>, Vec<OperationId>), StoreError>;

    /// How many of those that the filter narrows to stand where, and why.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn tally(&self, filter: &OperationFilter) -> Result<Vec<Tally>, StoreError>;

    /// How many operations that are not final stand where, by connection. Cheap: for metrics and
    /// limits.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn standing(&self) -> Result<BTreeMap<(ConnectionName, State), Standing>, StoreError>;

    /// Returns when an operation may have moved past `seen`, or after `most`: no promise, only
    /// less waiting. In this process at once, from others within half a second.
    async fn moved(&self, id: OperationId, seen: u64, most: std::time::Duration);

    /// Removes requests of final operations that ended before `payloads`, and whole operations
    /// that ended before `rows`; a small step. Whether there is more.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    async fn prune_operations(
        &self,
        payloads: Option<Timestamp>,
        rows: Option<Timestamp>,
    ) -> Result<bool, StoreError>;
}
