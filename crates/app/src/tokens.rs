//! crmgate's own tokens: `crmgate_<id>_<secret>`.

use std::sync::Arc;
use std::time::Duration;

use crmgate_domain::{Ambient, ConnectionName};
use crmgate_store::{Role, Store, TokenInfo};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{AppError, Principal};

/// A token that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// What people call it: 1 to 100 characters.
    pub name: String,
    /// What its holder may do; at least one.
    pub roles: Vec<Role>,
    /// Which connections it may touch; empty is all.
    #[serde(default)]
    pub connections: Vec<ConnectionName>,
    /// The team of an author.
    #[serde(default)]
    pub team: Option<String>,
    /// The OAuth-like scopes it grants at brokered connections.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Seconds until it ends; never, where not given.
    #[serde(default)]
    pub expires_in_seconds: Option<u64>,
}

/// A new token. Its text is shown this once.
#[derive(Debug, Clone)]
pub struct CreatedToken {
    /// All but the secret.
    pub info: TokenInfo,
    /// `crmgate_<id>_<secret>`.
    pub token: SecretString,
}

/// Makes, verifies and revokes tokens.
pub struct Tokens {
    store: Arc<dyn Store>,
    ambient: Arc<dyn Ambient>,
    remember: Duration,
}

impl Tokens {
    /// Over a store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, ambient: Arc<dyn Ambient>) -> Self {
        Self {
            store,
            ambient,
            remember: Duration::from_secs(5),
        }
    }

    /// Who holds this token.
    ///
    /// # Errors
    /// `Unauthenticated` for anything that is no valid token, without saying which part is wrong;
    /// `Unavailable` when the store cannot be read.
    pub async fn verify(&self, token: &SecretString) -> Result<Principal, AppError> {
        let _ = (token, &self.ambient, self.remember);
        self.store.tokens().await?;
        Err(AppError::Unauthenticated("no valid token".to_owned()))
    }

    /// Makes a token.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`, `Unavailable`.
    pub async fn create(
        &self,
        by: &Principal,
        wanted: TokenRequest,
    ) -> Result<CreatedToken, AppError> {
        by.demand(crate::Action::ManageTokens)?;
        self.issue(wanted).await
    }

    /// Makes a token on nobody's behalf: the command line's `token create --bootstrap`, the demo.
    ///
    /// # Errors
    /// `Invalid`, `Unavailable`.
    pub async fn issue(&self, wanted: TokenRequest) -> Result<CreatedToken, AppError> {
        let _ = wanted;
        self.store.tokens().await?;
        Err(AppError::Unavailable("not ready".to_owned()))
    }

    /// All tokens, newest first, without their secrets.
    ///
    /// # Errors
    /// `Forbidden`, `Unavailable`.
    pub async fn list(&self, by: &Principal) -> Result<Vec<TokenInfo>, AppError> {
        by.demand(crate::Action::ReadTokens)?;
        Ok(self.store.tokens().await?)
    }

    /// Ends a token at once.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound` when there is none of that id or it is revoked already;
    /// `Unavailable`.
    pub async fn revoke(&self, by: &Principal, id: &str) -> Result<(), AppError> {
        by.demand(crate::Action::ManageTokens)?;
        let revoked = self.store.revoke_token(id, self.ambient.now()).await?;
        if revoked {
            Ok(())
        } else {
            Err(AppError::not_found("token", id))
        }
    }
}
