//! Held operations.

use async_trait::async_trait;
use crmgate_domain::{ConnectionName, HoldId, Timestamp};
use crmgate_store::{DecisionRecord, Hold, HoldFilter, HoldLog, HoldStatus, Page, StoreError};
use std::collections::BTreeMap;

use super::{Inner, MemoryStore, page, votes};

impl Inner {
    pub(super) fn join(&mut self, hold: Hold) -> Hold {
        let now = hold.created_at;
        if let Some(old) = hold.replaces {
            self.supersede(old, now);
        }
        let key = hold.request_key();
        let same = self
            .holds
            .iter_mut()
            .find(|other| other.status == HoldStatus::Waiting && other.request_key() == key);
        if let Some(other) = same {
            other.version += 1;
            if other.expires_at > now {
                other.requests += 1;
                return other.clone();
            }
            votes::expire(other);
        }
        self.holds.push(hold.clone());
        hold
    }
}

#[async_trait]
impl HoldLog for MemoryStore {
    async fn hold(&self, hold: Hold) -> Result<Hold, StoreError> {
        Ok(self.open()?.join(hold))
    }

    async fn hold_decided(&self, hold: Hold, record: DecisionRecord) -> Result<Hold, StoreError> {
        let mut inner = self.open()?;
        let in_force = inner.join(hold);
        inner.append(DecisionRecord {
            hold: Some(in_force.id),
            ..record
        })?;
        Ok(in_force)
    }

    async fn held(&self, id: HoldId) -> Result<Option<Hold>, StoreError> {
        Ok(self.open()?.holds.iter().find(|h| h.id == id).cloned())
    }

    async fn last_asked(&self, request_key: &str) -> Result<Option<Hold>, StoreError> {
        let inner = self.open()?;
        let mut newest = inner.holds.iter().rev();
        Ok(newest.find(|h| h.request_key() == request_key).cloned())
    }

    async fn holds_waiting(
        &self,
        now: Timestamp,
    ) -> Result<BTreeMap<ConnectionName, u64>, StoreError> {
        let mut waiting = BTreeMap::new();
        for hold in &self.open()?.holds {
            if hold.status == HoldStatus::Waiting && hold.expires_at > now {
                *waiting.entry(hold.connection.clone()).or_default() += 1;
            }
        }
        Ok(waiting)
    }

    async fn holds_waiting_since(
        &self,
        now: Timestamp,
    ) -> Result<BTreeMap<ConnectionName, Timestamp>, StoreError> {
        let mut since: BTreeMap<ConnectionName, Timestamp> = BTreeMap::new();
        for hold in &self.open()?.holds {
            if hold.status == HoldStatus::Waiting && hold.expires_at > now {
                let first = since
                    .entry(hold.connection.clone())
                    .or_insert(hold.created_at);
                *first = (*first).min(hold.created_at);
            }
        }
        Ok(since)
    }

    async fn holds(
        &self,
        filter: &HoldFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Hold>, StoreError> {
        let inner = self.open()?;
        let numbered = inner.holds.iter().enumerate().rev();
        let found = numbered
            .filter(|(_, hold)| {
                let named = filter.connection.as_ref();
                named.is_none_or(|name| hold.connection == *name)
                    && (filter.statuses.is_empty() || filter.statuses.contains(&hold.status))
                    && filter
                        .actor
                        .as_ref()
                        .is_none_or(|actor| hold.operation.actor.id == *actor)
                    && filter
                        .visible
                        .as_ref()
                        .is_none_or(|names| names.contains(&hold.connection))
            })
            .map(|(index, hold)| (index as u64 + 1, hold.clone()));
        page(found, cursor, limit)
    }
}
