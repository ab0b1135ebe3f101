//! Checkpoints: signed statements of how far the record reached.
//!
//! A checkpoint is a JWS in compact form (RFC 7515), signed with Ed25519 (`EdDSA`), its payload
//! the JSON of [`Checkpoint`]. Any JWS tool verifies one with the public key.

use crmgate_domain::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::{Digest, Extent, Head, chain};

/// The `typ` of the JWS.
const TYPE: &str = "crmgate-checkpoint+jws";

/// What a checkpoint states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The form: 1.
    pub form: u32,
    /// Counts up from 1.
    pub number: u64,
    /// When it was made.
    pub at: Timestamp,
    /// The heads of all chains that no later chain's start names.
    pub heads: Vec<Head>,
    /// The position of the first entry that was there.
    pub first: u64,
    /// The position of the last entry: how many were ever made.
    pub last: u64,
    /// SHA-256 over the checkpoint before, as it was signed; `None` for the first.
    pub previous: Option<Digest>,
}

/// A key or a checkpoint that is none.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The key cannot be used.
    #[error("the {what} key is no Ed25519 key in PEM form: {problem}")]
    Key {
        /// `private` or `public`.
        what: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// It cannot be signed.
    #[error("the checkpoint cannot be signed: {0}")]
    Unsigned(String),
    /// It is not one, or was not signed with this key.
    #[error("the checkpoint is not one that this key signed: {0}")]
    Invalid(String),
}

/// Signs checkpoints.
pub struct Signer {
    key: EncodingKey,
}

impl Signer {
    /// From an Ed25519 private key, PKCS #8 in PEM.
    ///
    /// # Errors
    /// When it is none.
    pub fn new(pem: &str) -> Result<Self, CheckpointError> {
        let key = EncodingKey::from_ed_pem(pem.as_bytes());
        let key = key.map_err(|error| CheckpointError::Key {
            what: "private",
            problem: error.to_string(),
        })?;
        Ok(Self { key })
    }

    /// Signs.
    ///
    /// # Errors
    /// When the key does not sign.
    pub fn sign(&self, checkpoint: &Checkpoint) -> Result<String, CheckpointError> {
        let header = Header {
            typ: Some(TYPE.to_owned()),
            ..Header::new(Algorithm::EdDSA)
        };
        jsonwebtoken::encode(&header, checkpoint, &self.key)
            .map_err(|error| CheckpointError::Unsigned(error.to_string()))
    }
}

/// Verifies checkpoints.
pub struct Verifier {
    key: DecodingKey,
}

impl Verifier {
    /// From an Ed25519 public key in PEM.
    ///
    /// # Errors
    /// When it is none.
    pub fn new(pem: &str) -> Result<Self, CheckpointError> {
        let key = DecodingKey::from_ed_pem(pem.as_bytes());
        let key = key.map_err(|error| CheckpointError::Key {
            what: "public",
            problem: error.to_string(),
        })?;
        Ok(Self { key })
    }

    /// What a checkpoint states, if the key signed it.
    ///
    /// # Errors
    /// When it did not.
    pub fn read(&self, jws: &str) -> Result<Checkpoint, CheckpointError> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let read = jsonwebtoken::decode::<Checkpoint>(jws.trim(), &self.key, &validation);
        read.map(|data| data.claims)
            .map_err(|error| CheckpointError::Invalid(error.to_string()))
    }
}

/// The hash by which the next checkpoint names this one.
#[must_use]
pub fn name(jws: &str) -> Digest {
    chain::digest(jws.as_bytes())
}

impl Checkpoint {
    /// The one after `previous`, over what is there now.
    #[must_use]
    pub fn next(previous: Option<(u64, &str)>, extent: Extent, at: Timestamp) -> Self {
        Self {
            form: 1,
            number: previous.map_or(1, |(number, _)| number + 1),
            at,
            heads: extent.heads,
            first: extent.first,
            last: extent.last,
            previous: previous.map(|(_, jws)| name(jws)),
        }
    }
}
