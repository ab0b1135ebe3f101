//! The queued way: operations that wait in a store, judged and written by whoever has the time.
//!
//! ```text
//! StoredOperation ─look_over─▶ Finding ─rule─▶ Ready ─deliver─▶ Ended
//!    (deciding)     (policy)           (store)        (connector, store)
//! ```
//!
//! INVARIANT: a decision and the move that follows from it are one transaction, and so are what
//! came of a write and the move that follows from that.
//! INVARIANT: nothing is sent before its row says `writing`, and what says `writing` is read back
//! before it is anything else: a worker that died may have sent it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crmgate_domain::{OperationId, ProcessId, State, Timestamp};
use crmgate_store::{By, Move, Moved, OperationLog, RowLease, StoreError, StoredOperation, Why};

use crate::{Ask, Gate};

mod back;
mod deliver;
mod ended;
mod learn;
mod look;
mod meters;
mod restored;
mod rule;
mod settle;
pub mod step;
pub mod tries;

pub use deliver::{Call, Ready, Signal, Together};
pub use ended::Ended;
pub use look::{Finding, Looked};
pub(crate) use meters::QueueMeters;
pub(crate) use rule::reason;
pub use rule::{Instead, Ruled};
pub use step::{Step, StepTimer};
pub use tries::{Setback, Tries};

/// Who works on queued operations, and on which terms.
#[derive(Clone)]
pub struct Desk {
    /// Their store.
    pub operations: Arc<dyn OperationLog>,
    /// Who, in the history.
    pub by: By,
    /// The process, in leases.
    pub process: ProcessId,
    /// How long a row is held without a sign of life.
    pub lease: Duration,
    /// How often, and how soon again.
    pub tries: Tries,
}

/// A queued operation and what is to be asked of the gate.
#[derive(Debug, Clone)]
pub struct Queued {
    /// The row; a worker has it.
    pub stored: StoredOperation,
    /// What it asks.
    pub ask: Ask,
    /// How often it was judged before since it was begun: its record had changed.
    pub round: u32,
}

/// When calls of this process ended without an answer. What another process sent may still be on
/// its way; what this one sent has left by then.
#[derive(Debug, Default)]
pub(crate) struct Unanswered(Mutex<HashMap<OperationId, Timestamp>>);

impl Unanswered {
    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<OperationId, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, id: OperationId, at: Timestamp) {
        self.all().insert(id, at);
    }

    fn since(&self, id: OperationId) -> Option<Timestamp> {
        self.all().get(&id).copied()
    }

    fn forget(&self, id: OperationId) {
        self.all().remove(&id);
    }
}

impl Desk {
    /// A lease that begins now.
    #[must_use]
    pub fn lease_from(&self, now: Timestamp) -> RowLease {
        RowLease {
            owner: self.process,
            until: now.checked_add(self.lease).unwrap_or(now),
        }
    }

    /// A move that sets the row free.
    #[must_use]
    pub fn step(&self, stored: &StoredOperation, to: State, now: Timestamp) -> Move {
        Move::new(stored, to, now, self.by.clone())
    }

    /// The move of an operation that did not get through: it waits for its next try, or is dead
    /// after the last.
    #[must_use]
    pub fn put_back(
        &self,
        stored: &StoredOperation,
        setback: Setback,
        (now, random): (Timestamp, u64),
    ) -> Move {
        let counts = setback.counts || self.tries.patience_is_over(stored.created_at, now);
        let last = counts && stored.attempts.saturating_add(1) >= self.tries.most;
        if last {
            let tries = stored.attempts.saturating_add(1);
            let message = format!("given up after {tries} tries: {}", setback.message);
            return Move {
                why: Some(Why::new(&setback.code, message)),
                failed_try: true,
                ..self.step(stored, State::Dead, now)
            };
        }
        let pause = self.tries.pause(stored, &setback, random);
        Move {
            why: Some(Why::new(&setback.code, setback.message)),
            failed_try: counts,
            due: now.checked_add(pause).ok(),
            ..self.step(stored, State::Received, now)
        }
    }
}

/// When that is from now.
fn until(due: Option<Timestamp>, now: Timestamp) -> Duration {
    due.and_then(|due| Duration::try_from(due.duration_since(now)).ok())
        .unwrap_or_default()
}

impl Gate {
    /// A number that nobody can guess, for spreading.
    pub(crate) fn random(&self) -> u64 {
        self.ambient()
            .random()
            .iter()
            .fold(0, |all, byte| (all << 8) | u64::from(*byte))
    }

    /// Moves one operation. One whose answer was lost is looked for before it counts as lost.
    async fn shift_one(&self, desk: &Desk, step: Move) -> Result<Moved, StoreError> {
        let mut moved = self.shift(desk, vec![step]).await?;
        Ok(moved.pop().unwrap_or(Moved::Absent))
    }

    /// Moves operations in one transaction; a store that hangs is one that failed.
    async fn shift(&self, desk: &Desk, moves: Vec<Move>) -> Result<Vec<Moved>, StoreError> {
        self.in_time(desk.operations.shift(moves)).await
    }

    /// Moves operations after something has happened that cannot be taken back: tries again while
    /// the store fails. What is still not stored then is found out again by reading back.
    async fn shift_surely(&self, desk: &Desk, moves: Vec<Move>) -> Result<Vec<Moved>, StoreError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..SURE_TRIES {
            match self.shift(desk, moves.clone()).await {
                Ok(moved) => return Ok(as_made(moved, &moves)),
                Err(error) => {
                    tracing::warn!(connection = %self.connection(), %error, "what came of writes could not be stored; it is tried again");
                }
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        let moved = self.shift(desk, moves.clone()).await?;
        Ok(as_made(moved, &moves))
    }
}

/// How often it is tried to store what came of a write.
const SURE_TRIES: u32 = 6;
/// The first pause between these tries; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// A move that was made although its answer was lost comes back as lost to itself.
fn as_made(moved: Vec<Moved>, moves: &[Move]) -> Vec<Moved> {
    let pairs = moved.into_iter().zip(moves);
    pairs
        .map(|(moved, asked)| match moved {
            Moved::Lost { state, version } if state == asked.to && version == asked.seen + 1 => {
                Moved::Done(version)
            }
            other => other,
        })
        .collect()
}
