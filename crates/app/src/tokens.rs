//! crmgate's own tokens: `crmgate_<id>_<secret>`.

use std::sync::Arc;
use std::time::Duration;

use crmgate_domain::{Ambient, ConnectionName};
use crmgate_store::{NewToken, Role, Store, TokenInfo};
use jiff::ToSpan as _;
use moka::future::Cache;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::{Action, AppError, Principal};

/// How every token starts.
const PREFIX: &str = "crmgate_";
/// How long a token's row is remembered. A revocation by this process holds at once; one by
/// another process after this.
const REMEMBER: Duration = Duration::from_secs(5);
/// Rows remembered. Ids come from callers, so there must be an end to them.
const MOST_REMEMBERED: u64 = 10_000;
/// The longest name.
const MOST_NAME: usize = 100;

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
    /// The person who holds it, by a name or account of the directory of people: an e-mail address,
    /// best. Votes count people.
    #[serde(default)]
    pub person: Option<String>,
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
    known: Cache<String, Option<Arc<NewToken>>>,
}

impl Tokens {
    /// Over a store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, ambient: Arc<dyn Ambient>) -> Self {
        let known = Cache::builder()
            .max_capacity(MOST_REMEMBERED)
            .time_to_live(REMEMBER)
            .build();
        Self {
            store,
            ambient,
            known,
        }
    }

    /// Who holds this token.
    ///
    /// # Errors
    /// `Unauthenticated` for anything that is no valid token, without saying which part is wrong;
    /// `Unavailable` when the store cannot be read.
    pub async fn verify(&self, token: &SecretString) -> Result<Principal, AppError> {
        let refused = || AppError::Unauthenticated("the token is not valid".to_owned());
        let (id, secret) = parts(token.expose_secret()).ok_or_else(refused)?;
        let found = self.find(id).await?;
        let given = hash(secret);
        // An unknown id takes the same comparison as a known one.
        let stored = found.as_ref().map_or("", |known| &known.secret_hash);
        let same: bool = given.as_bytes().ct_eq(stored.as_bytes()).into();
        let known = found.filter(|_| same).ok_or_else(refused)?;
        if known.info.revoked_at.is_some() {
            return Err(refused());
        }
        let now = self.ambient.now();
        if known.info.expires_at.is_some_and(|end| end <= now) {
            return Err(AppError::Unauthenticated(
                "the token has expired".to_owned(),
            ));
        }
        Ok(Principal {
            token: known.info.clone(),
        })
    }

    async fn find(&self, id: &str) -> Result<Option<Arc<NewToken>>, AppError> {
        let reading = async { Ok(self.store.token(id).await?.map(Arc::new)) };
        let found: Result<_, Arc<AppError>> = self.known.try_get_with(id.to_owned(), reading).await;
        found.map_err(|error| AppError::Unavailable(error.to_string()))
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
        by.demand(Action::ManageTokens)?;
        if let Some(scope) = by.visible() {
            let inside = |name: &ConnectionName| scope.contains(name);
            if wanted.connections.is_empty() || !wanted.connections.iter().all(inside) {
                return Err(AppError::Forbidden(
                    "a token that is limited to some connections cannot make one for others"
                        .to_owned(),
                ));
            }
        }
        let created = self.issue(wanted).await?;
        tracing::info!(
            by = by.token.name,
            token = created.info.id,
            name = created.info.name,
            "a token was made"
        );
        Ok(created)
    }

    /// Makes a token on nobody's behalf: the command line's `token create --bootstrap`, the demo.
    ///
    /// # Errors
    /// `Invalid`, `Unavailable`.
    pub async fn issue(&self, wanted: TokenRequest) -> Result<CreatedToken, AppError> {
        check(&wanted)?;
        let now = self.ambient.now();
        let seconds = wanted.expires_in_seconds.map(i64::try_from).transpose();
        let expires_at = match seconds {
            Ok(None) => None,
            Ok(Some(seconds)) => now.checked_add(seconds.seconds()).ok(),
            Err(_) => None,
        };
        if wanted.expires_in_seconds.is_some() && expires_at.is_none() {
            let problem = "is too far away; leave it out for a token that does not end";
            return Err(AppError::invalid("expires_in_seconds", problem));
        }
        let id = hex::encode(self.ambient.random().get(..8).unwrap_or_default());
        let secret = hex::encode([self.ambient.random(), self.ambient.random()].concat());
        let mut scopes = wanted.scopes;
        scopes.sort();
        scopes.dedup();
        let info = TokenInfo {
            id: id.clone(),
            name: wanted.name,
            roles: wanted.roles,
            connections: wanted.connections,
            team: wanted.team,
            scopes,
            person: wanted.person.map(|person| person.trim().to_owned()),
            created_at: now,
            expires_at,
            revoked_at: None,
        };
        let new = NewToken {
            info: info.clone(),
            secret_hash: hash(&secret),
        };
        self.store.add_token(new).await?;
        self.known.invalidate(&id).await;
        Ok(CreatedToken {
            info,
            token: SecretString::from(format!("{PREFIX}{id}_{secret}")),
        })
    }

    /// All tokens, newest first, without their secrets.
    ///
    /// # Errors
    /// `Forbidden`, `Unavailable`.
    pub async fn list(&self, by: &Principal) -> Result<Vec<TokenInfo>, AppError> {
        by.demand(Action::ReadTokens)?;
        let mut tokens = self.store.tokens().await?;
        if let Some(scope) = by.visible() {
            tokens.retain(|token| within(token, &scope));
        }
        Ok(tokens)
    }

    /// Ends a token at once.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound` when there is none of that id, it is out of the caller's scope, or
    /// it is revoked already; `Unavailable`.
    pub async fn revoke(&self, by: &Principal, id: &str) -> Result<(), AppError> {
        by.demand(Action::ManageTokens)?;
        if let Some(scope) = by.visible() {
            let found = self.store.token(id).await?;
            if !found.is_some_and(|found| within(&found.info, &scope)) {
                return Err(AppError::not_found("token", id));
            }
        }
        let revoked = self.store.revoke_token(id, self.ambient.now()).await?;
        self.known.invalidate(id).await;
        if !revoked {
            return Err(AppError::not_found("token", id));
        }
        tracing::info!(by = by.token.name, token = id, "a token was revoked");
        Ok(())
    }
}

/// Whether a token reaches no further than these connections.
fn within(token: &TokenInfo, scope: &[ConnectionName]) -> bool {
    let mut reached = token.connections.iter();
    !token.connections.is_empty() && reached.all(|name| scope.contains(name))
}

fn parts(token: &str) -> Option<(&str, &str)> {
    let (id, secret) = token.strip_prefix(PREFIX)?.split_once('_')?;
    let hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
    (id.len() == 16 && secret.len() == 64 && hex(id) && hex(secret)).then_some((id, secret))
}

fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret))
}

fn check(wanted: &TokenRequest) -> Result<(), AppError> {
    let length = wanted.name.chars().count();
    if wanted.name.trim().is_empty() || length > MOST_NAME {
        let problem = format!("expected 1 to {MOST_NAME} characters, not {length}");
        return Err(AppError::invalid("name", problem));
    }
    if wanted.roles.is_empty() {
        return Err(AppError::invalid("roles", "expected at least one role"));
    }
    if wanted.team.is_some() && !wanted.roles.contains(&Role::Author) {
        return Err(AppError::invalid("team", "only an author has a team"));
    }
    let length = wanted
        .person
        .as_ref()
        .map(|person| person.trim().chars().count());
    if length.is_some_and(|length| length == 0 || length > MOST_NAME) {
        let problem = format!("expected 1 to {MOST_NAME} characters");
        return Err(AppError::invalid("person", problem));
    }
    let blank = |scope: &&String| scope.is_empty() || scope.contains(char::is_whitespace);
    if let Some(scope) = wanted.scopes.iter().find(blank) {
        let problem = format!("`{scope}` is not a scope: expected words without spaces");
        return Err(AppError::invalid("scopes", problem));
    }
    if wanted.expires_in_seconds == Some(0) {
        return Err(AppError::invalid(
            "expires_in_seconds",
            "expected at least 1",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
