//! A store in memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use crmgate_domain::approval::Vote;
use crmgate_domain::{ConnectionName, DecisionId, HoldId, PayloadHash, Point, Timestamp};
use crmgate_store::{
    AttemptLog, DecisionFilter, DecisionLog, DecisionRecord, EntryKind, Hold, ModeChange, NewToken,
    Outcome, Page, Pulse, RawEntry, ReadBack, Sighting, SightingKey, StoreError, StoredDecision,
    StoredRevision, Unfinished,
};

mod erase;
mod holds;
mod kept;
mod record;
mod votes;

use self::record::Record;

/// Keeps everything in memory, and fails when told to.
#[derive(Debug, Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
    broken: AtomicBool,
    outcomes_broken: AtomicBool,
    hanging: AtomicBool,
}

#[derive(Debug, Default)]
struct Inner {
    record: Record,
    /// With their positions.
    decisions: Vec<(u64, DecisionRecord)>,
    outcomes: Vec<Outcome>,
    holds: Vec<Hold>,
    /// With the positions of their entries.
    votes: Vec<(HoldId, u64, Vote)>,
    tokens: Vec<NewToken>,
    /// Per hour of the first time.
    sightings: BTreeMap<(ConnectionName, SightingKey, i64), Sighting>,
    modes: Vec<(ConnectionName, ModeChange)>,
    revisions: Vec<StoredRevision>,
}

impl MemoryStore {
    /// Breaks the store, or mends it: while broken, nothing can be written or read.
    pub fn set_broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }

    /// Breaks only the appending of outcomes, or mends it.
    pub fn set_outcomes_broken(&self, broken: bool) {
        self.outcomes_broken.store(broken, Ordering::SeqCst);
    }

    /// Makes the appending of decisions hang for good, or not.
    pub fn set_hanging(&self, hanging: bool) {
        self.hanging.store(hanging, Ordering::SeqCst);
    }

    /// All decisions, oldest first.
    #[must_use]
    pub fn all_decisions(&self) -> Vec<DecisionRecord> {
        let inner = self.inner.lock().unwrap();
        inner.decisions.iter().map(|(_, r)| r.clone()).collect()
    }

    /// All outcomes, oldest first.
    #[must_use]
    pub fn all_outcomes(&self) -> Vec<Outcome> {
        self.inner.lock().unwrap().outcomes.clone()
    }

    /// Changes entries of the record, as somebody with the database in his hands could.
    pub fn tamper(&self, change: impl FnOnce(&mut Vec<RawEntry>)) {
        change(&mut self.inner.lock().unwrap().record.entries);
    }

    fn open(&self) -> Result<MutexGuard<'_, Inner>, StoreError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("told to fail".to_owned()));
        }
        Ok(self.inner.lock().unwrap())
    }
}

impl Inner {
    fn append(&mut self, record: DecisionRecord) -> Result<u64, StoreError> {
        let id = record.decision.id;
        if self.decisions.iter().any(|(_, r)| r.decision.id == id) {
            return Err(StoreError::Exists("a row with this id".to_owned()));
        }
        let position = self.record.decision(&record)?;
        self.decisions.push((position, record));
        Ok(position)
    }

    fn outcome(&self, id: DecisionId) -> Option<&Outcome> {
        self.outcomes.iter().rev().find(|o| o.decision == id)
    }

    fn stored(&self, index: usize) -> Option<StoredDecision> {
        let (sequence, record) = self.decisions.get(index)?.clone();
        let finished = self
            .outcome(record.decision.id)
            .is_some_and(|outcome| outcome.kind.is_final());
        Some(StoredDecision {
            sequence,
            outcome: self.outcome(record.decision.id).cloned(),
            chained: self.record.chained(sequence),
            record: DecisionRecord {
                read_back: record.read_back.filter(|_| !finished),
                ..record
            },
        })
    }

    /// Whether a decision is about an operation of the queue.
    fn is_queued(&self, id: DecisionId) -> bool {
        let found = self.decisions.iter().map(|(_, record)| record);
        found
            .filter(|record| record.decision.id == id)
            .any(|record| {
                let operation = record.operation.as_ref();
                operation.is_some_and(|op| op.point == Point::Queue)
            })
    }

    fn unfinished(&self) -> impl DoubleEndedIterator<Item = Unfinished> {
        self.decisions.iter().filter_map(|(_, record)| {
            let read_back: ReadBack = record.read_back.clone()?;
            let id = record.decision.id;
            let finished = self.outcome(id).is_some_and(|o| o.kind.is_final());
            (!finished && record.basis.is_some()).then(|| Unfinished {
                decision: id,
                connection: record.connection.clone(),
                at: record.decision.at,
                read_back,
            })
        })
    }
}

/// Pages over items numbered from 1, newest first.
fn page<T>(
    newest_first: impl Iterator<Item = (u64, T)>,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Page<T>, StoreError> {
    let below = match cursor {
        Some(text) => text.parse().map_err(|_| StoreError::BadCursor)?,
        None => u64::MAX,
    };
    let mut items: Vec<(u64, T)> = newest_first
        .filter(|(number, _)| *number < below)
        .take(limit + 1)
        .collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items
        .last()
        .filter(|_| more)
        .map(|(number, _)| number.to_string());
    Ok(Page {
        items: items.into_iter().map(|(_, item)| item).collect(),
        next,
    })
}

fn matches(filter: &DecisionFilter, stored: &StoredDecision) -> bool {
    let record = &stored.record;
    let outcome = stored.outcome.as_ref();
    fn is<T: PartialEq>(wanted: Option<&T>, found: Option<&T>) -> bool {
        wanted.is_none_or(|wanted| found == Some(wanted))
    }
    let operation = record.operation.as_ref();
    let judgement = &record.decision.judgement;
    let at = record.decision.at;
    is(filter.connection.as_ref(), Some(&record.connection))
        && is(filter.object.as_ref(), operation.map(|op| &op.object))
        && is(
            filter.record_id.as_ref(),
            operation
                .and_then(|op| op.record_id.as_ref())
                .or(outcome.and_then(|outcome| outcome.record_id.as_ref())),
        )
        && is(filter.mode.as_ref(), Some(&record.decision.mode))
        && is(filter.outcome.as_ref(), outcome.map(|o| &o.kind))
        && filter.after.is_none_or(|after| stored.sequence > after)
        && filter.before.is_none_or(|before| stored.sequence < before)
        && is(
            filter.actor.as_ref(),
            operation
                .map(|op| &op.actor.id)
                .or(record.asked_by.as_ref()),
        )
        && is(filter.effect.as_ref(), Some(&judgement.effect))
        && filter
            .package
            .as_ref()
            .is_none_or(|name| judgement.packages.iter().any(|p| p.package == *name))
        && filter
            .reason
            .as_ref()
            .is_none_or(|code| judgement.reasons.iter().any(|r| r.code == *code))
        && filter.since.is_none_or(|since| at >= since)
        && filter.until.is_none_or(|until| at < until)
        && filter
            .visible
            .as_ref()
            .is_none_or(|names| names.contains(&record.connection))
}

#[async_trait]
impl DecisionLog for MemoryStore {
    async fn append_decision(&self, record: DecisionRecord) -> Result<u64, StoreError> {
        if self.hanging.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.open()?.append(record)
    }

    async fn decision(&self, id: DecisionId) -> Result<Option<StoredDecision>, StoreError> {
        let inner = self.open()?;
        let index = inner
            .decisions
            .iter()
            .position(|(_, r)| r.decision.id == id);
        Ok(index.and_then(|index| inner.stored(index)))
    }

    async fn decisions(
        &self,
        filter: &DecisionFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<StoredDecision>, StoreError> {
        let inner = self.open()?;
        let found = (0..inner.decisions.len())
            .rev()
            .filter_map(|index| inner.stored(index))
            .filter(|stored| matches(filter, stored))
            .map(|stored| (stored.sequence, stored));
        page(found, cursor, limit)
    }
}

#[async_trait]
impl AttemptLog for MemoryStore {
    async fn append_outcome(&self, outcome: Outcome) -> Result<(), StoreError> {
        let mut inner = self.open()?;
        if self.outcomes_broken.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("told to fail".to_owned()));
        }
        let body = record::text(&outcome)?;
        inner
            .record
            .append(EntryKind::Outcome, outcome.at, body, None);
        inner.outcomes.push(outcome);
        Ok(())
    }

    async fn unfinished(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<Unfinished>, StoreError> {
        let inner = self.open()?;
        let found = inner.unfinished();
        let found = found.filter(|found| found.at < before && !inner.is_queued(found.decision));
        Ok(found.take(limit).collect())
    }

    async fn unfinished_twin(
        &self,
        connection: &ConnectionName,
        join_key: PayloadHash,
        since: Timestamp,
    ) -> Result<Option<Unfinished>, StoreError> {
        let inner = self.open()?;
        Ok(inner.unfinished().rev().find(|found| {
            found.connection == *connection
                && found.read_back.join_key == join_key
                && found.at >= since
        }))
    }
}

#[async_trait]
impl Pulse for MemoryStore {
    async fn beat(&self, _at: Timestamp) -> Result<(), StoreError> {
        self.open().map(|_| ())
    }
}
