//! The record of the store in memory: chained as the real one's.

use std::collections::BTreeMap;

use async_trait::async_trait;
use crmgate_domain::Timestamp;
use crmgate_store::chain::{Chain, Draft, Start, digest};
use crmgate_store::{
    ChainRef, DecisionRecord, EntryKind, Extent, FeedEntry, FeedItem, Head, Ledger, PayloadState,
    RawEntry, RecordFeed, SealedPayload, StoreError, StoredCheckpoint, envelope,
};
use serde::Serialize;

use super::{Inner, MemoryStore};

/// One chain, its checkpoints and its readers.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) entries: Vec<RawEntry>,
    chain: Option<Chain>,
    last: u64,
    checkpoints: Vec<StoredCheckpoint>,
    pub(super) sinks: BTreeMap<String, u64>,
}

pub(super) fn text(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}

impl Record {
    pub(super) fn append(
        &mut self,
        kind: EntryKind,
        at: Timestamp,
        envelope: String,
        payload: Option<SealedPayload>,
    ) -> u64 {
        if self.chain.is_none() {
            let id = "018f0000-0000-7000-8000-000000000001".parse().unwrap();
            self.chain = Some(Chain::new(id));
            let start = Start {
                form: 1,
                version: "test".to_owned(),
                predecessors: Vec::new(),
            };
            let start = Draft::new(EntryKind::Start, at, text(&start).unwrap(), None);
            self.place(start);
        }
        self.place(Draft::new(kind, at, envelope, payload))
    }

    fn place(&mut self, draft: Draft) -> u64 {
        self.last += 1;
        let place = self.chain.as_mut().unwrap().append(self.last, &draft);
        let (entry, payload) = draft.into_entry(self.last, place);
        self.entries.push(RawEntry { entry, payload });
        self.last
    }

    pub(super) fn decision(&mut self, record: &DecisionRecord) -> Result<u64, StoreError> {
        let (envelope, body) = envelope::split(record)?;
        let payload = SealedPayload {
            key: digest(&self.last.to_be_bytes()),
            body,
        };
        let at = record.decision.at;
        Ok(self.append(EntryKind::Decision, at, envelope, Some(payload)))
    }

    pub(super) fn chained(&self, position: u64) -> Option<ChainRef> {
        let found = self.entries.iter().find(|e| e.entry.position == position);
        found.map(|raw| raw.entry.chained())
    }

    pub(super) fn raw(&mut self, position: u64) -> Option<&mut RawEntry> {
        let entries = self.entries.iter_mut();
        entries.into_iter().find(|e| e.entry.position == position)
    }
}

impl Inner {
    fn item(&self, raw: &RawEntry) -> Result<Option<FeedItem>, StoreError> {
        let envelope = &raw.entry.envelope;
        if raw.entry.kind == EntryKind::Decision.as_str() {
            let payload = raw.payload.as_ref().map(|payload| payload.body.as_str());
            let record = envelope::join(envelope, payload, PayloadState::Erased)?;
            return Ok(Some(FeedItem::Decision(Box::new(record))));
        }
        if raw.entry.kind != EntryKind::Outcome.as_str() {
            return Ok(None);
        }
        let outcome: crmgate_store::Outcome = serde_json::from_str(envelope)
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let mut decisions = self.decisions.iter();
        let found = decisions.find(|(_, r)| r.decision.id == outcome.decision);
        let connection = found.map(|(_, record)| record.connection.clone());
        Ok(Some(FeedItem::Outcome {
            outcome,
            connection,
        }))
    }
}

#[async_trait]
impl Ledger for MemoryStore {
    async fn entries(&self, after: u64, limit: usize) -> Result<Vec<RawEntry>, StoreError> {
        let inner = self.open()?;
        let entries = inner.record.entries.iter();
        let wanted = entries.filter(|raw| raw.entry.position > after);
        Ok(wanted.take(limit).cloned().collect())
    }

    async fn extent(&self) -> Result<Extent, StoreError> {
        let inner = self.open()?;
        let entries = &inner.record.entries;
        let head = entries.last().map(|raw| Head {
            position: raw.entry.position,
            chained: raw.entry.chained(),
        });
        Ok(Extent {
            heads: head.into_iter().collect(),
            first: entries.first().map_or(0, |raw| raw.entry.position),
            last: inner.record.last,
        })
    }

    async fn add_checkpoint(&self, checkpoint: StoredCheckpoint) -> Result<(), StoreError> {
        let mut inner = self.open()?;
        let number = checkpoint.number;
        let known = &mut inner.record.checkpoints;
        if known.iter().any(|known| known.number == number) {
            return Err(StoreError::Exists(format!("checkpoint {number}")));
        }
        known.push(checkpoint);
        Ok(())
    }

    async fn checkpoints(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<StoredCheckpoint>, StoreError> {
        let inner = self.open()?;
        let known = inner.record.checkpoints.iter();
        let wanted = known.filter(|known| known.number > after);
        Ok(wanted.take(limit).cloned().collect())
    }

    async fn last_checkpoint(&self) -> Result<Option<StoredCheckpoint>, StoreError> {
        Ok(self.open()?.record.checkpoints.last().cloned())
    }
}

#[async_trait]
impl RecordFeed for MemoryStore {
    async fn feed(&self, after: u64, limit: usize) -> Result<Vec<FeedEntry>, StoreError> {
        let inner = self.open()?;
        let mut found = Vec::new();
        for raw in &inner.record.entries {
            if raw.entry.position <= after || found.len() == limit {
                continue;
            }
            if let Some(item) = inner.item(raw)? {
                found.push(FeedEntry {
                    position: raw.entry.position,
                    chained: raw.entry.chained(),
                    item,
                });
            }
        }
        Ok(found)
    }

    async fn feed_end(&self) -> Result<u64, StoreError> {
        Ok(self.open()?.record.last)
    }

    async fn sink_position(&self, sink: &str) -> Result<u64, StoreError> {
        Ok(self.open()?.record.sinks.get(sink).copied().unwrap_or(0))
    }

    async fn set_sink_position(&self, sink: &str, position: u64) -> Result<(), StoreError> {
        self.open()?.record.sinks.insert(sink.to_owned(), position);
        Ok(())
    }

    async fn sink_positions(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        Ok(self.open()?.record.sinks.clone())
    }

    async fn forget_sink(&self, sink: &str) -> Result<(), StoreError> {
        self.open()?.record.sinks.remove(sink);
        Ok(())
    }
}
