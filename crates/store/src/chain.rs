//! The form of entries: what is hashed, in which order, and what each kind of entry holds.
//!
//! Every entry's hash is SHA-256 over these bytes, one after the other (form 1; integers are
//! unsigned and big-endian unless told otherwise):
//!
//! | bytes | what |
//! |---|---|
//! | 16 | `crmgate-entry-1\n` |
//! | 16 | the chain's id, as a UUID's bytes |
//! | 8 | the link: the entry's number in its chain, from 0 |
//! | 32 | the hash of the entry before it in the chain; zeros for link 0 |
//! | 8 | the position: the entry's place in the order of commits |
//! | 8 | the time, nanoseconds since 1970, signed |
//! | 1, n | the kind's length, the kind |
//! | 32 | SHA-256 over the envelope's bytes |
//! | 1, 32 | 1 and the commitment, or 0 and zeros where there is no payload |
//!
//! The commitment is HMAC-SHA-256 over the payload's bytes under 32 random bytes that are stored
//! with the payload and go with it: what is left tells nothing about what was erased.
//!
//! One process writes one chain, beside those of others; a new start is a new chain, whose first
//! entry ([`Start`]) names the heads, as they are then, of all chains that have grown since a start
//! named them: those of living processes, and of processes that ended.

use std::borrow::Cow;

use crmgate_domain::{ChainId, Timestamp};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    ChainRef, Digest, Entry, EntryKind, EraseFilter, Erased, Erasure, Head, SealedPayload,
};

/// The first bytes of what is hashed: the form's name and version.
const FORM: &[u8; 16] = b"crmgate-entry-1\n";

/// The envelope of a chain's first entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The form of this chain's entries.
    pub form: u32,
    /// The version of crmgate that writes.
    pub version: String,
    /// The heads of the chains beside and before it that no start before it names.
    pub predecessors: Vec<Head>,
}

/// The envelope of an erasure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureNote {
    /// Who, when and why.
    #[serde(flatten)]
    pub erasure: Erasure,
    /// What was asked for.
    pub wanted: EraseFilter,
    /// What this part of it reached.
    pub erased: Erased,
    /// The positions whose payload is gone: first and last of each range.
    pub positions: Vec<(u64, u64)>,
}

/// What a pruning removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrunedWhat {
    /// Payloads; their entries stay.
    Payloads,
    /// Entries, whole.
    Entries,
}

/// The envelope of a pruning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruningNote {
    /// What.
    pub what: PrunedWhat,
    /// How many.
    pub count: u64,
    /// Up to which position, this one included.
    pub up_to: u64,
    /// Of removed entries: the last one of every chain they belonged to.
    #[serde(default)]
    pub cut: Vec<Head>,
}

/// Nanoseconds since 1970. The type reaches from 1677 to 2262; what is beyond is its end.
#[must_use]
pub fn nanoseconds(at: Timestamp) -> i64 {
    let beyond = if at.as_nanosecond() < 0 {
        i64::MIN
    } else {
        i64::MAX
    };
    i64::try_from(at.as_nanosecond()).unwrap_or(beyond)
}

/// SHA-256.
#[must_use]
pub fn digest(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// The keyed hash that stands for a payload in the chain.
#[must_use]
pub fn commitment(payload: &SealedPayload) -> Digest {
    let mut block = [0; 64];
    let (key, _) = block.split_at_mut(32);
    key.copy_from_slice(&payload.key.0);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    mac.update(payload.body.as_bytes());
    Digest(mac.finalize().into_bytes().into())
}

/// An entry that has no place in a chain yet. What is long to hash is hashed when it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    kind: Cow<'static, str>,
    at: Timestamp,
    envelope: String,
    envelope_digest: Digest,
    payload: Option<SealedPayload>,
    commitment: Option<Digest>,
}

impl Draft {
    /// An entry to be.
    #[must_use]
    pub fn new(
        kind: EntryKind,
        at: Timestamp,
        envelope: String,
        payload: Option<SealedPayload>,
    ) -> Self {
        Self {
            kind: Cow::Borrowed(kind.as_str()),
            at,
            envelope_digest: digest(envelope.as_bytes()),
            envelope,
            commitment: payload.as_ref().map(commitment),
            payload,
        }
    }

    /// The kind's word.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// When it was made.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// The envelope.
    #[must_use]
    pub fn envelope(&self) -> &str {
        &self.envelope
    }

    /// The payload.
    #[must_use]
    pub const fn payload(&self) -> Option<&SealedPayload> {
        self.payload.as_ref()
    }

    /// The commitment to the payload.
    #[must_use]
    pub const fn commitment(&self) -> Option<&Digest> {
        self.commitment.as_ref()
    }

    /// The whole entry, at its place.
    #[must_use]
    pub fn into_entry(self, position: u64, place: ChainRef) -> (Entry, Option<SealedPayload>) {
        let entry = Entry {
            position,
            chain: place.chain,
            link: place.link,
            kind: self.kind,
            at: self.at,
            envelope: self.envelope,
            commitment: self.commitment,
            hash: place.hash,
        };
        (entry, self.payload)
    }
}

/// The end of a chain that grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    id: ChainId,
    next: u64,
    head: Digest,
}

impl Chain {
    /// A chain without entries.
    #[must_use]
    pub const fn new(id: ChainId) -> Self {
        Self {
            id,
            next: 0,
            head: Digest([0; 32]),
        }
    }

    /// The chain that ends with this entry.
    #[must_use]
    pub const fn after(last: ChainRef) -> Self {
        Self {
            id: last.chain,
            next: last.link + 1,
            head: last.hash,
        }
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> ChainId {
        self.id
    }

    /// Appends an entry: its place. It stands in the chain once it is on disk; a caller whose
    /// transaction failed goes on with a copy of the chain from before.
    pub fn append(&mut self, position: u64, draft: &Draft) -> ChainRef {
        let hash = Sealed {
            chain: self.id,
            link: self.next,
            previous: self.head,
            position,
            at: draft.at,
            kind: &draft.kind,
            envelope: draft.envelope_digest,
            commitment: draft.commitment,
        }
        .hash();
        let place = ChainRef {
            chain: self.id,
            link: self.next,
            hash,
        };
        self.next += 1;
        self.head = hash;
        place
    }
}

/// The hash that an entry should have, after one with the hash `previous`.
#[must_use]
pub fn hash_of(entry: &Entry, previous: Digest) -> Digest {
    Sealed {
        chain: entry.chain,
        link: entry.link,
        previous,
        position: entry.position,
        at: entry.at,
        kind: &entry.kind,
        envelope: digest(entry.envelope.as_bytes()),
        commitment: entry.commitment,
    }
    .hash()
}

/// What is hashed of an entry.
struct Sealed<'a> {
    chain: ChainId,
    link: u64,
    previous: Digest,
    position: u64,
    at: Timestamp,
    kind: &'a str,
    envelope: Digest,
    commitment: Option<Digest>,
}

impl Sealed<'_> {
    fn hash(&self) -> Digest {
        let mut hash = Sha256::new();
        hash.update(FORM);
        hash.update(self.chain.uuid().as_bytes());
        hash.update(self.link.to_be_bytes());
        hash.update(self.previous.0);
        hash.update(self.position.to_be_bytes());
        hash.update(nanoseconds(self.at).to_be_bytes());
        // A kind that is longer was not written here; it must only not be taken for another.
        let length = u8::try_from(self.kind.len()).unwrap_or(u8::MAX);
        hash.update([length]);
        hash.update(self.kind.as_bytes());
        hash.update(self.envelope.0);
        hash.update([u8::from(self.commitment.is_some())]);
        hash.update(self.commitment.unwrap_or_default().0);
        Digest(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests;
