//! Tokens, connections and revisions.

use async_trait::async_trait;
use crmgate_domain::{ConnectionName, RevisionId, Timestamp};
use crmgate_store::{
    ConnectionLog, EntryKind, ModeChange, NewToken, RevisionLog, Sighting, SightingKey, StoreError,
    StoredRevision, TokenInfo, TokenLog,
};
use std::collections::BTreeMap;

use super::{MemoryStore, record};

fn add(sum: &mut Sighting, more: &Sighting) {
    sum.count += more.count;
    sum.first_at = sum.first_at.min(more.first_at);
    sum.last_at = sum.last_at.max(more.last_at);
}

#[async_trait]
impl TokenLog for MemoryStore {
    async fn add_token(&self, token: NewToken) -> Result<(), StoreError> {
        let mut inner = self.open()?;
        if inner.tokens.iter().any(|t| t.info.id == token.info.id) {
            return Err(StoreError::Exists(format!("token `{}`", token.info.id)));
        }
        inner.tokens.push(token);
        Ok(())
    }

    async fn token(&self, id: &str) -> Result<Option<NewToken>, StoreError> {
        let inner = self.open()?;
        Ok(inner.tokens.iter().find(|t| t.info.id == id).cloned())
    }

    async fn tokens(&self) -> Result<Vec<TokenInfo>, StoreError> {
        let inner = self.open()?;
        Ok(inner.tokens.iter().rev().map(|t| t.info.clone()).collect())
    }

    async fn revoke_token(&self, id: &str, at: Timestamp) -> Result<bool, StoreError> {
        let mut inner = self.open()?;
        let found = inner
            .tokens
            .iter_mut()
            .find(|t| t.info.id == id && t.info.revoked_at.is_none());
        Ok(found.is_some_and(|token| {
            token.info.revoked_at = Some(at);
            true
        }))
    }
}

#[async_trait]
impl ConnectionLog for MemoryStore {
    async fn add_sightings(
        &self,
        connection: &ConnectionName,
        seen: Vec<Sighting>,
    ) -> Result<(), StoreError> {
        let mut inner = self.open()?;
        for sighting in seen {
            let hour = sighting.first_at.as_second().div_euclid(3600);
            let key = (connection.clone(), sighting.key.clone(), hour);
            match inner.sightings.get_mut(&key) {
                Some(known) => add(known, &sighting),
                None => {
                    inner.sightings.insert(key, sighting);
                }
            }
        }
        Ok(())
    }

    async fn sightings(
        &self,
        connection: &ConnectionName,
        since: Option<Timestamp>,
    ) -> Result<Vec<Sighting>, StoreError> {
        let inner = self.open()?;
        let mut sums: BTreeMap<SightingKey, Sighting> = BTreeMap::new();
        for ((name, key, _), sighting) in &inner.sightings {
            if name != connection || since.is_some_and(|since| sighting.last_at < since) {
                continue;
            }
            match sums.get_mut(key) {
                Some(sum) => add(sum, sighting),
                None => {
                    sums.insert(key.clone(), sighting.clone());
                }
            }
        }
        Ok(sums.into_values().collect())
    }

    async fn append_mode(
        &self,
        connection: &ConnectionName,
        change: ModeChange,
    ) -> Result<(), StoreError> {
        let mut inner = self.open()?;
        let note = record::text(&(connection, &change))?;
        inner.record.append(EntryKind::Mode, change.at, note, None);
        inner.modes.push((connection.clone(), change));
        Ok(())
    }

    async fn modes(&self, connection: &ConnectionName) -> Result<Vec<ModeChange>, StoreError> {
        let inner = self.open()?;
        let changes = inner.modes.iter().rev();
        Ok(changes
            .filter(|(name, _)| name == connection)
            .map(|(_, change)| change.clone())
            .collect())
    }
}

#[async_trait]
impl RevisionLog for MemoryStore {
    async fn accept_revision(&self, revision: StoredRevision) -> Result<(), StoreError> {
        let mut inner = self.open()?;
        inner.revisions.retain(|r| r.revision != revision.revision);
        let note = record::text(&revision.revision)?;
        inner
            .record
            .append(EntryKind::Revision, revision.at, note, None);
        inner.revisions.push(revision);
        Ok(())
    }

    async fn latest_revision(&self) -> Result<Option<StoredRevision>, StoreError> {
        Ok(self.open()?.revisions.last().cloned())
    }

    async fn revision(&self, revision: &RevisionId) -> Result<Option<StoredRevision>, StoreError> {
        let inner = self.open()?;
        let found = inner.revisions.iter().find(|r| r.revision == *revision);
        Ok(found.cloned())
    }
}
