//! Hiding values.

mod names;
pub mod pointer;
mod scrub;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crmgate_domain::{Document, RedactionMode};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

pub use names::{Hint, hint};
pub use scrub::Scrubber;

/// What stands in the place of a hidden value.
pub const REDACTED: &str = "**REDACTED**";

/// How a value is kept, weakest first: of several treatments the strongest holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Treatment {
    /// As it is.
    Keep,
    /// Its first character and its length remain.
    Partial,
    /// A keyed hash: equal values can be told to be equal, and that is all.
    Hash,
    /// [`REDACTED`] stands in its place.
    Mask,
    /// It is left out.
    Drop,
}

impl From<RedactionMode> for Treatment {
    fn from(mode: RedactionMode) -> Self {
        match mode {
            RedactionMode::Partial => Self::Partial,
            RedactionMode::Hash => Self::Hash,
            RedactionMode::Drop => Self::Drop,
        }
    }
}

/// The key of hashes that stand for values. Without it, a hash of a birth date is a birth date.
#[derive(Clone, PartialEq, Eq)]
pub struct HashKey(Arc<[u8]>);

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey")
    }
}

impl HashKey {
    /// A key of any length; 32 random bytes are best.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self(key.into())
    }

    /// A key of 32 bytes for another purpose, from which nobody can tell this one.
    #[must_use]
    pub fn derived(&self, purpose: &str) -> Option<[u8; 32]> {
        let mut hmac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        hmac.update(b"derived:");
        hmac.update(purpose.as_bytes());
        Some(hmac.finalize().into_bytes().into())
    }

    /// What stands for a value.
    #[must_use]
    pub fn of(&self, value: &Document) -> String {
        // HMAC takes keys of any length, so there is always a hash.
        let Ok(mut hmac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            return REDACTED.to_owned();
        };
        match value {
            Document::String(text) => hmac.update(text.as_bytes()),
            other => hmac.update(other.to_json().as_bytes()),
        }
        format!("hmac-sha256:{}", hex::encode(hmac.finalize().into_bytes()))
    }
}

/// What a value becomes; `None` when it is left out.
#[must_use]
pub fn treated(value: &Document, treatment: Treatment, key: &HashKey) -> Option<Document> {
    match treatment {
        Treatment::Keep => Some(value.clone()),
        Treatment::Partial => Some(partial(value)),
        Treatment::Hash => Some(key.of(value).into()),
        Treatment::Mask => Some(REDACTED.into()),
        Treatment::Drop => None,
    }
}

/// `a***@e***` and the like: enough to tell two candidates apart, too little to know either.
fn partial(value: &Document) -> Document {
    let Document::String(text) = value else {
        return REDACTED.into();
    };
    let shown = |part: &str| {
        let first: String = part.chars().take(1).collect();
        // Of a short text the first letter is most of it.
        if part.chars().count() > 3 {
            format!("{first}***")
        } else {
            "***".to_owned()
        }
    };
    let parts: Vec<String> = text.split('@').map(shown).collect();
    parts.join("@").into()
}
