//! What crmgate remembers, as traits; and the permit, which only a recorded decision mints.
//!
//! `store-sql` implements the traits. [`Recorder`] is the single place where a [`Permit`] is made:
//! INVARIANT: no permit without a decision on disk (but for a connection in observe mode that
//! cannot record, which passes and counts it).

pub mod attempt;
pub mod cells;
pub mod chain;
pub mod checkpoint;
pub mod connections;
pub mod decisions;
pub mod envelope;
pub mod error;
pub mod feed;
pub mod holds;
pub mod jobs;
pub mod ledger;
pub mod operations;
pub mod payload;
pub mod permit;
pub mod processes;
pub mod recorder;
pub mod retention;
pub mod revisions;
#[cfg(feature = "suite")]
pub mod suite;
pub mod tokens;
pub mod verify;
pub mod votes;

pub use attempt::{AttemptLog, Locate, Outcome, OutcomeKind, ReadBack, Unfinished};
pub use cells::{Cell, Cells, Swapped};
pub use connections::{ConnectionLog, ModeChange, Sighting, SightingKey};
pub use decisions::{DecisionFilter, DecisionLog, DecisionRecord, Page, StoredDecision, WrittenAs};
pub use error::StoreError;
pub use feed::{CHECKPOINT_SINKS, FeedEntry, FeedItem, RecordFeed};
pub use holds::{Bound, HeldField, Hold, HoldFilter, HoldLog, HoldStatus, Release, request_key};
pub use jobs::{Claimed, DeadJob, Depth, Jobs, NewJob, Reaped, Settlement, Verdict};
pub use ledger::{
    ChainRef, Digest, Entry, EntryKind, Extent, Head, Ledger, RawEntry, SealedPayload,
    StoredCheckpoint,
};
pub use operations::{
    Begun, By, CALLBACK_TRIES, CALLBACKS, Callback, Dependency, HeldOperation, HistoryEntry,
    Misfit, Move, Moved, NewOperation, Opened, OperationFilter, OperationLog, RowLease, Staged,
    Standing, StoredOperation, Submission, Tally, Unfolded, Wakening, Why, queue_of,
};
pub use payload::{Payload, PayloadState, TraceRef};
pub use permit::{Admitted, Basis, Permit, PermitError};
pub use processes::{GONE_AFTER, Process, ProcessKind, Processes, SILENT_AFTER};
pub use recorder::{Moving, Recorded, Recorder};
pub use retention::{Cutoffs, EraseFilter, Erased, Erasing, Erasure, Pruned, Retention};
pub use revisions::{Pulse, RevisionLog, StoredRevision};
pub use tokens::{NewToken, Role, TokenInfo, TokenLog};
pub use votes::{Ballot, Cast, VoteLog, VoteNote, VoteWords};

/// Everything one process needs to remember, behind one handle.
pub trait Store:
    DecisionLog
    + AttemptLog
    + HoldLog
    + VoteLog
    + TokenLog
    + ConnectionLog
    + RevisionLog
    + Pulse
    + RecordFeed
    + Ledger
    + Erasing
    + Retention
    + Send
    + Sync
    + 'static
{
}

impl<T> Store for T where
    T: DecisionLog
        + AttemptLog
        + HoldLog
        + VoteLog
        + TokenLog
        + ConnectionLog
        + RevisionLog
        + Pulse
        + RecordFeed
        + Ledger
        + Erasing
        + Retention
        + Send
        + Sync
        + 'static
{
}
