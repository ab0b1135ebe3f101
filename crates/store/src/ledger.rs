//! The record as entries of chains: what can be checked, and by whom it was closed.

use std::borrow::Cow;
use std::fmt;

use async_trait::async_trait;
use crmgate_domain::{ChainId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// 32 bytes: a SHA-256 digest, a keyed one, or the key of one. Lower hex in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// From exactly 32 bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Lower hex, 64 digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&self.to_hex())
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(input)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.as_ref(), &mut bytes).map_err(serde::de::Error::custom)?;
        Ok(Self(bytes))
    }
}

/// What an entry of the record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A process began to write: names the chains before it.
    Start,
    /// A decision.
    Decision,
    /// What came of a write.
    Outcome,
    /// A connection changed between observing and enforcing.
    Mode,
    /// A policy revision came into force.
    Revision,
    /// Payloads were erased on request.
    Erasure,
    /// What was kept long enough was removed.
    Pruning,
    /// A person's answer to a held operation.
    Vote,
}

impl EntryKind {
    /// The word used in storage and output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Decision => "decision",
            Self::Outcome => "outcome",
            Self::Mode => "mode",
            Self::Revision => "revision",
            Self::Erasure => "erasure",
            Self::Pruning => "pruning",
            Self::Vote => "vote",
        }
    }
}

/// Where an entry stands in its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainRef {
    /// The chain.
    pub chain: ChainId,
    /// Its number in it, from 0.
    pub link: u64,
    /// Its hash, over all before it in the chain.
    pub hash: Digest,
}

/// One entry of the record, as it is stored and hashed. See [`chain`](crate::chain).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place in the order of commits.
    pub position: u64,
    /// The chain.
    pub chain: ChainId,
    /// Its number in the chain, from 0.
    pub link: u64,
    /// What it is about: a word of [`EntryKind`], unless somebody changed it.
    pub kind: Cow<'static, str>,
    /// When it was made.
    pub at: Timestamp,
    /// What is kept of it for as long as the entry: JSON, its bytes as they were hashed.
    pub envelope: String,
    /// HMAC-SHA-256 over the payload, under a key that is kept, and erased, with the payload.
    pub commitment: Option<Digest>,
    /// SHA-256 over all of the above and the hash before.
    pub hash: Digest,
}

impl Entry {
    /// Where it stands.
    #[must_use]
    pub const fn chained(&self) -> ChainRef {
        ChainRef {
            chain: self.chain,
            link: self.link,
            hash: self.hash,
        }
    }
}

/// What can be erased of an entry without breaking its chain.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedPayload {
    /// The key of the commitment.
    pub key: Digest,
    /// The payload, its bytes as they were committed to.
    pub body: String,
}

impl fmt::Debug for SealedPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedPayload({} bytes)", self.body.len())
    }
}

/// An entry with its payload, while it has one: what is exported, and what is verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawEntry {
    /// The entry.
    #[serde(flatten)]
    pub entry: Entry,
    /// Its payload.
    #[serde(default)]
    pub payload: Option<SealedPayload>,
}

/// The last entry of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Its place in the order of commits.
    pub position: u64,
    /// The chain, the number and the hash.
    #[serde(flatten)]
    pub chained: ChainRef,
}

/// How far the record reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// The heads of all chains that no later chain's start names: those are pinned by it.
    pub heads: Vec<Head>,
    /// The position of the first entry that is there; 0 for an empty record.
    pub first: u64,
    /// The position of the last entry; 0 for an empty record.
    pub last: u64,
}

/// A stored checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCheckpoint {
    /// Counts up from 1.
    pub number: u64,
    /// When it was made.
    pub at: Timestamp,
    /// The signed text: a JWS in compact form.
    pub jws: String,
}

/// The record, as those who check it see it.
#[async_trait]
pub trait Ledger {
    /// Entries after a position, in the order of commits, payloads included.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn entries(&self, after: u64, limit: usize) -> Result<Vec<RawEntry>, StoreError>;

    /// Decisions behind `after` and up to `up_to` that listings would not find, or would find as
    /// something else, because what they are found by does not fit their entry: their positions.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn misfiled(&self, after: u64, up_to: u64) -> Result<Vec<u64>, StoreError> {
        let _ = (after, up_to);
        Ok(Vec::new())
    }

    /// How far the record reaches, all that was acknowledged included.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn extent(&self) -> Result<Extent, StoreError>;

    /// Stores a checkpoint, before it is handed to anyone.
    ///
    /// # Errors
    /// `Exists` for a repeated number; otherwise when it is not certainly on disk.
    async fn add_checkpoint(&self, checkpoint: StoredCheckpoint) -> Result<(), StoreError>;

    /// Checkpoints after a number, in order.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn checkpoints(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<StoredCheckpoint>, StoreError>;

    /// The newest checkpoint.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn last_checkpoint(&self) -> Result<Option<StoredCheckpoint>, StoreError>;
}
