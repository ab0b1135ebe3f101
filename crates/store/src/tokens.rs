//! crmgate's own tokens: only their hashes are stored.

use async_trait::async_trait;
use crmgate_domain::{ConnectionName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// What a token's holder may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    Admin,
    /// Policies of a team.
    Author,
    /// Operations and connections.
    Operator,
    /// Answers to held operations.
    Approver,
    /// Reads decisions.
    Auditor,
    /// Submits operations, and writes through brokered connections.
    Client,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 6] = [
        Self::Admin,
        Self::Author,
        Self::Operator,
        Self::Approver,
        Self::Auditor,
        Self::Client,
    ];

    /// The word used in commands, storage and output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Author => "author",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Auditor => "auditor",
            Self::Client => "client",
        }
    }
}

/// A stored token, without the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    /// Its public id, part of the token's own text: `crmgate_<id>_<secret>`.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What its holder may do.
    pub roles: Vec<Role>,
    /// Which connections it may touch; empty is all.
    pub connections: Vec<ConnectionName>,
    /// The team of an author.
    pub team: Option<String>,
    /// The OAuth-like scopes it grants at brokered connections.
    pub scopes: Vec<String>,
    /// The person who holds it: its votes are that person's.
    #[serde(default)]
    pub person: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends; `None` never.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// A token to store.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// All but the secret.
    pub info: TokenInfo,
    /// SHA-256 of the secret part, lower hex. The secret has 256 random bits, so a plain hash is
    /// enough.
    pub secret_hash: String,
}

/// The store of tokens.
#[async_trait]
pub trait TokenLog {
    /// Stores a new token.
    ///
    /// # Errors
    /// `Exists` for a repeated id; otherwise when it is not certainly on disk.
    async fn add_token(&self, token: NewToken) -> Result<(), StoreError>;

    /// A token and its secret's hash, by id.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn token(&self, id: &str) -> Result<Option<NewToken>, StoreError>;

    /// All tokens, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn tokens(&self) -> Result<Vec<TokenInfo>, StoreError>;

    /// Revokes; `false` when there is no such token or it is revoked already.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    async fn revoke_token(&self, id: &str, at: Timestamp) -> Result<bool, StoreError>;
}
