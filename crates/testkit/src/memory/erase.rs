//! Erasing and pruning in memory.

use async_trait::async_trait;
use crmgate_domain::{Document, Timestamp};
use crmgate_store::chain::{ErasureNote, PrunedWhat, PruningNote};
use crmgate_store::{
    Cutoffs, DecisionRecord, EntryKind, EraseFilter, Erased, Erasing, Erasure, Head, Hold,
    HoldStatus, Outcome, OutcomeKind, PayloadState, Pruned, Retention, StoreError, envelope,
};

use super::record::text;
use super::{Inner, MemoryStore};

fn is<T: PartialEq>(wanted: Option<&T>, found: Option<&T>) -> bool {
    wanted.is_none_or(|wanted| found == Some(wanted))
}

impl Inner {
    fn wanted(&self, wanted: &EraseFilter, record: &DecisionRecord) -> bool {
        let operation = record.operation.as_ref();
        let written = self.outcome(record.decision.id);
        is(wanted.decision.as_ref(), Some(&record.decision.id))
            && is(wanted.connection.as_ref(), Some(&record.connection))
            && is(wanted.actor.as_ref(), operation.map(|op| &op.actor.id))
            && is(
                wanted.record_id.as_ref(),
                operation
                    .and_then(|op| op.record_id.as_ref())
                    .or(written.and_then(|outcome| outcome.record_id.as_ref())),
            )
            && wanted.before.is_none_or(|at| record.decision.at < at)
    }

    /// The places of decisions with a payload, and of those with an open read-back.
    fn found(&self, wanted: &EraseFilter) -> (Vec<usize>, Vec<usize>) {
        let all = || {
            let places = self.decisions.iter().enumerate();
            places.filter(|(_, (_, record))| self.wanted(wanted, record))
        };
        let kept = |position: u64| {
            let mut entries = self.record.entries.iter();
            entries.any(|raw| raw.entry.position == position && raw.payload.is_some())
        };
        let open = |record: &DecisionRecord| {
            let ended = self.outcome(record.decision.id);
            record.read_back.is_some() && !ended.is_some_and(|o| o.kind.is_final())
        };
        let payloads = all().filter(|(_, (position, _))| kept(*position));
        let read_backs = all().filter(|(_, (_, record))| open(record));
        (
            payloads.map(|(place, _)| place).collect(),
            read_backs.map(|(place, _)| place).collect(),
        )
    }

    fn holds_found(&mut self, wanted: &EraseFilter) -> Vec<&mut Hold> {
        let holds = self.holds.iter_mut().filter(|hold| {
            hold.change != Document::Null
                && is(wanted.decision.as_ref(), Some(&hold.decision))
                && is(wanted.connection.as_ref(), Some(&hold.connection))
                && is(wanted.actor.as_ref(), Some(&hold.operation.actor.id))
                && is(wanted.record_id.as_ref(), hold.operation.record_id.as_ref())
                && wanted.before.is_none_or(|at| hold.created_at < at)
        });
        holds.collect()
    }

    fn forget(&mut self, place: usize, gone: PayloadState) -> Result<(), StoreError> {
        let Some((position, record)) = self.decisions.get_mut(place) else {
            return Ok(());
        };
        if let Some(raw) = self.record.raw(*position) {
            raw.payload = None;
            let read_back = record.read_back.take();
            *record = envelope::join(&raw.entry.envelope, None, gone)?;
            record.read_back = read_back;
        }
        Ok(())
    }
}

#[async_trait]
impl Erasing for MemoryStore {
    async fn erasable(&self, wanted: &EraseFilter) -> Result<Erased, StoreError> {
        let mut inner = self.open()?;
        if wanted.is_empty() {
            return Ok(Erased::default());
        }
        let (payloads, read_backs) = inner.found(wanted);
        Ok(Erased {
            decisions: payloads.len() as u64,
            read_backs: read_backs.len() as u64,
            holds: inner.holds_found(wanted).len() as u64,
            operations: 0,
        })
    }

    async fn erase(&self, wanted: &EraseFilter, erasure: &Erasure) -> Result<Erased, StoreError> {
        let erased = self.erasable(wanted).await?;
        let mut inner = self.open()?;
        if erased == Erased::default() {
            return Ok(erased);
        }
        let (payloads, read_backs) = inner.found(wanted);
        let mut ids = Vec::new();
        for hold in inner.holds_found(wanted) {
            if matches!(hold.status, HoldStatus::Waiting | HoldStatus::Approved) {
                super::votes::expire(hold);
            }
            *hold = hold.clone().emptied();
            ids.push(hold.id);
        }
        let votes: Vec<u64> = ids
            .into_iter()
            .flat_map(|id| inner.empty_votes(id))
            .collect();
        let at = erasure.at;
        for place in read_backs {
            let Some((_, record)) = inner.decisions.get_mut(place) else {
                continue;
            };
            record.read_back = None;
            let outcome = Outcome {
                decision: record.decision.id,
                at,
                kind: OutcomeKind::Uncertain,
                status: None,
                code: Some("erased".to_owned()),
                record_id: None,
            };
            let body = text(&outcome)?;
            inner.record.append(EntryKind::Outcome, at, body, None);
            inner.outcomes.push(outcome);
        }
        let positions = payloads.iter().filter_map(|place| {
            let (position, _) = inner.decisions.get(*place)?;
            Some((*position, *position))
        });
        let note = ErasureNote {
            erasure: erasure.clone(),
            wanted: wanted.clone(),
            erased,
            positions: positions
                .chain(votes.into_iter().map(|at| (at, at)))
                .collect(),
        };
        for place in payloads {
            inner.forget(place, PayloadState::Erased)?;
        }
        let note = text(&note)?;
        inner.record.append(EntryKind::Erasure, at, note, None);
        Ok(erased)
    }
}

impl Inner {
    fn prune_payloads(&mut self, before: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        let old = |at: Timestamp| at < before;
        let places: Vec<(usize, u64)> = self
            .decisions
            .iter()
            .enumerate()
            .filter(|(_, (_, record))| old(record.decision.at))
            .map(|(place, (position, _))| (place, *position))
            .collect();
        let mut count = 0;
        let mut up_to = 0;
        for (place, position) in places {
            up_to = position;
            let kept = self
                .record
                .raw(position)
                .is_some_and(|raw| raw.payload.is_some());
            count += u64::from(kept);
            self.forget(place, PayloadState::Expired)?;
        }
        self.note(PrunedWhat::Payloads, count, up_to, Vec::new(), now)?;
        Ok(count)
    }

    fn note(
        &mut self,
        what: PrunedWhat,
        count: u64,
        up_to: u64,
        cut: Vec<Head>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if count > 0 {
            let note = text(&PruningNote {
                what,
                count,
                up_to,
                cut,
            })?;
            self.record.append(EntryKind::Pruning, now, note, None);
        }
        Ok(())
    }

    fn prune_entries(&mut self, before: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        let open = self.unfinished().next().map(|open| open.decision);
        let last = self.record.entries.len().saturating_sub(1);
        let sinks = self.record.sinks.iter();
        let taken = sinks
            .filter(|(name, _)| !name.starts_with("checkpoint:"))
            .map(|(_, position)| *position)
            .min()
            .unwrap_or(u64::MAX);
        let opens = |position: u64| {
            let mut decisions = self.decisions.iter();
            decisions.any(|(at, r)| *at == position && Some(r.decision.id) == open)
        };
        let entries = self.record.entries.iter().take(last);
        let count = entries
            .take_while(|raw| {
                let position = raw.entry.position;
                raw.entry.at < before && position <= taken && !opens(position)
            })
            .count();
        let gone: Vec<_> = self.record.entries.drain(..count).collect();
        let Some(end) = gone.last() else {
            return Ok(0);
        };
        let head = Head {
            position: end.entry.position,
            chained: end.entry.chained(),
        };
        self.decisions
            .retain(|(position, _)| *position > head.position);
        let count = count as u64;
        self.note(PrunedWhat::Entries, count, head.position, vec![head], now)?;
        Ok(count)
    }
}

#[async_trait]
impl Retention for MemoryStore {
    async fn prune(&self, cutoffs: &Cutoffs, now: Timestamp) -> Result<Pruned, StoreError> {
        let mut inner = self.open()?;
        let mut pruned = Pruned::default();
        if let Some(before) = cutoffs.payloads {
            pruned.payloads = inner.prune_payloads(before, now)?;
        }
        if let Some(before) = cutoffs.entries {
            pruned.entries = inner.prune_entries(before, now)?;
        }
        if let Some(before) = cutoffs.sightings {
            let all = inner.sightings.len();
            inner.sightings.retain(|_, seen| seen.last_at >= before);
            pruned.sightings = (all - inner.sightings.len()) as u64;
        }
        if let Some(before) = cutoffs.revisions {
            let newer = inner.revisions.iter().rposition(|r| r.at < before);
            pruned.revisions = newer.unwrap_or(0) as u64;
            inner.revisions.drain(..newer.unwrap_or(0));
        }
        if let Some(before) = cutoffs.holds {
            let all = inner.holds.len();
            inner.holds.retain(|hold| hold.expires_at >= before);
            pruned.holds = (all - inner.holds.len()) as u64;
        }
        Ok(pruned)
    }
}
