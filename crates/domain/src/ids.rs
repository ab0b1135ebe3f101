//! Names and ids.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Ambient;

macro_rules! time_ordered_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// A fresh id: a version 7 UUID, so that ids sort by the time they were made.
            pub fn fresh(ambient: &dyn Ambient) -> Self {
                let at = ambient.now().as_millisecond().max(0).unsigned_abs();
                let mut tail = [0_u8; 10];
                for (to, from) in tail.iter_mut().zip(ambient.random()) {
                    *to = from;
                }
                Self(uuid::Builder::from_unix_timestamp_millis(at, &tail).into_uuid())
            }

            /// The id as a UUID.
            #[must_use]
            pub const fn uuid(&self) -> uuid::Uuid {
                self.0
            }
        }

        /// The id that a store kept as a UUID.
        impl From<uuid::Uuid> for $name {
            fn from(stored: uuid::Uuid) -> Self {
                Self(stored)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

time_ordered_id! {
    /// Names one decision.
    DecisionId
}
time_ordered_id! {
    /// Names one operation, whatever becomes of it.
    OperationId
}
time_ordered_id! {
    /// Names one held operation.
    HoldId
}
time_ordered_id! {
    /// Names operations that were submitted together.
    SubmissionId
}

time_ordered_id! {
    /// Names one run of a process.
    ProcessId
}

time_ordered_id! {
    /// Names one chain of the record: what one process wrote.
    ChainId
}

/// The name of a connection: 1 to 63 of `a-z`, `0-9` and `-`, not starting or ending with `-`.
///
/// It stands in metrics, file names and host names, which is why it is narrow.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConnectionName(std::sync::Arc<str>);

/// A connection name that is not one.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is not a connection name: use 1 to 63 of a-z, 0-9 and `-`, not starting or ending with `-`"
)]
pub struct BadConnectionName(String);

impl ConnectionName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ConnectionName {
    type Error = BadConnectionName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let plain = text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let framed = !text.starts_with('-') && !text.ends_with('-');
        if plain && framed && (1..=63).contains(&text.len()) {
            Ok(Self(text.into()))
        } else {
            Err(BadConnectionName(text))
        }
    }
}

impl std::str::FromStr for ConnectionName {
    type Err = BadConnectionName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl From<ConnectionName> for String {
    fn from(name: ConnectionName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for ConnectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names a set of policies and data: the SHA-256 over all of it, as lower hex. Equal sources give
/// equal revisions on every machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RevisionId(std::sync::Arc<str>);

impl RevisionId {
    /// Wraps the hex digest of a policy set.
    #[must_use]
    pub fn new(hex_digest: &str) -> Self {
        Self(hex_digest.into())
    }

    /// The whole digest.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for RevisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// SHA-256 over what would be sent or was judged. Binds permits, holds and repeats to one payload.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PayloadHash([u8; 32]);

impl PayloadHash {
    /// Hashes the parts with their lengths, so that no two lists of parts collide by shifting.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// A digest that was kept.
    #[must_use]
    pub const fn from_bytes(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest itself.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Lower hex, 64 digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Debug for PayloadHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl Serialize for PayloadHash {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&self.to_hex())
    }
}

impl<'de> Deserialize<'de> for PayloadHash {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(&text, &mut bytes).map_err(serde::de::Error::custom)?;
        Ok(Self(bytes))
    }
}
