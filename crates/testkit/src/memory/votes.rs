//! Votes of the store in memory. It has no queue: a move that a vote takes along is refused.

use async_trait::async_trait;
use crmgate_domain::approval::{End, Ended, Vote};
use crmgate_domain::{HoldId, Timestamp};
use crmgate_store::chain::digest;
use crmgate_store::{
    Ballot, Cast, DecisionRecord, EntryKind, Hold, HoldStatus, SealedPayload, StoreError, VoteLog,
    VoteNote, VoteWords,
};

use super::record::text;
use super::{Inner, MemoryStore};

const fn usable(hold: &Hold) -> bool {
    matches!(hold.status, HoldStatus::Waiting | HoldStatus::Approved)
}

pub(super) fn expire(hold: &mut Hold) {
    end(
        hold,
        Ended {
            how: End::Expired,
            by: None,
            at: hold.expires_at,
        },
    );
}

fn end(hold: &mut Hold, ended: Ended) {
    hold.status = ended.how.into();
    hold.ended = Some(ended);
    hold.version += 1;
}

impl Inner {
    pub(super) fn supersede(&mut self, id: HoldId, at: Timestamp) {
        let old = self.holds.iter_mut().find(|h| h.id == id && usable(h));
        if let Some(old) = old {
            let how = End::Superseded;
            end(old, Ended { how, by: None, at });
        }
    }

    /// Takes names and words from the votes on a hold; the places of their entries.
    pub(super) fn empty_votes(&mut self, hold: HoldId) -> Vec<u64> {
        let mut places = Vec::new();
        for (_, place, vote) in self.votes.iter_mut().filter(|(of, ..)| *of == hold) {
            vote.person.clear();
            vote.reason = None;
            places.push(*place);
        }
        for place in &places {
            if let Some(raw) = self.record.raw(*place) {
                raw.payload = None;
            }
        }
        places
    }
}

#[async_trait]
impl VoteLog for MemoryStore {
    async fn cast(&self, ballot: Ballot) -> Result<Cast, StoreError> {
        let mut inner = self.open()?;
        if ballot.then.is_some() {
            return Err(StoreError::Unavailable("there is no queue".to_owned()));
        }
        let note = text(&VoteNote::of(&ballot))?;
        let words = VoteWords {
            person: ballot.vote.person.clone(),
            reason: ballot.vote.reason.clone(),
        };
        let seen = &ballot.hold;
        let Some(hold) = inner.holds.iter_mut().find(|h| {
            h.id == seen.id && h.version == seen.version && h.status == HoldStatus::Waiting
        }) else {
            return Ok(Cast::Lost);
        };
        hold.version += 1;
        if let Some(ended) = ballot.ends {
            hold.status = ended.how.into();
            hold.ended = Some(ended);
        }
        hold.expires_at = ballot.usable_until.unwrap_or(hold.expires_at);
        let payload = SealedPayload {
            key: digest(note.as_bytes()),
            body: text(&words)?,
        };
        let at = ballot.vote.at;
        let place = inner
            .record
            .append(EntryKind::Vote, at, note, Some(payload));
        inner.votes.push((ballot.hold.id, place, ballot.vote));
        Ok(Cast::Done)
    }

    async fn votes(&self, hold: HoldId) -> Result<Vec<Vote>, StoreError> {
        let inner = self.open()?;
        let votes = inner.votes.iter().filter(|(of, ..)| *of == hold);
        Ok(votes.map(|(_, _, vote)| vote.clone()).collect())
    }

    async fn end_hold(&self, id: HoldId, seen: u64, ended: Ended) -> Result<Cast, StoreError> {
        let mut inner = self.open()?;
        let found = inner
            .holds
            .iter_mut()
            .find(|h| h.id == id && h.version == seen && usable(h));
        Ok(found.map_or(Cast::Lost, |hold| {
            end(hold, ended);
            Cast::Done
        }))
    }

    async fn expire_holds(&self, at: Timestamp, most: usize) -> Result<u64, StoreError> {
        let mut inner = self.open()?;
        let late = inner.holds.iter_mut().filter(|h| {
            let used = h.status == HoldStatus::Approved && h.queued.is_some();
            usable(h) && !used && h.expires_at <= at
        });
        Ok(late.take(most).map(expire).count() as u64)
    }

    async fn spend(
        &self,
        holds: Vec<(HoldId, u64)>,
        record: DecisionRecord,
    ) -> Result<Option<u64>, StoreError> {
        let mut inner = self.open()?;
        let ready = |h: &Hold| {
            holds.contains(&(h.id, h.version))
                && matches!(h.status, HoldStatus::Approved | HoldStatus::Spent)
        };
        if inner.holds.iter().filter(|h| ready(h)).count() != holds.len() {
            return Ok(None);
        }
        for hold in inner.holds.iter_mut().filter(|h| ready(h)) {
            hold.status = HoldStatus::Spent;
            hold.spent_by = Some(record.decision.id);
            hold.version += 1;
        }
        inner.append(record).map(Some)
    }
}
