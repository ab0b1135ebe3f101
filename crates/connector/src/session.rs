//! A connection's own sign-in: one token, one refresh in flight.
//!
//! A connector implements [`SignIn`] for its flows, mostly with [`oauth`]; [`Session`] keeps the
//! token, refreshes it before it expires and shares one refresh, its failure included, among all
//! who wait for it.

pub mod oauth;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use crmgate_domain::{Ambient, ConnectionName, Timestamp};
use jiff::SignedDuration;
use metrics::{Counter, Unit, counter, describe_counter};
use secrecy::SecretString;

use crate::{Failure, SecretError};

/// How long before its end a token is no longer used, at most; a quarter of its life where that is
/// shorter.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);

/// A token and what came with it.
#[derive(Debug)]
pub struct Token {
    /// The access token.
    pub secret: SecretString,
    /// When it ends.
    pub expires: Timestamp,
    /// The scopes it was given, where the answer tells.
    pub scopes: Option<Vec<String>>,
    /// The answer's other members that are text: `instance_url`, `id`, …. Never a token.
    pub extra: BTreeMap<String, String>,
}

/// Why there is no token. Cloned to everyone who waited for it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SignInError {
    /// The sign-in host said no.
    #[error("sign-in was refused: {code}: {message}")]
    Refused {
        /// The host's code: `invalid_client`, ….
        code: String,
        /// The host's message.
        message: String,
    },
    /// No usable answer came.
    #[error("sign-in failed: {reason}")]
    Unavailable {
        /// What happened, for people; no secrets.
        reason: String,
        /// How long to wait, where the host said.
        retry_after: Option<Duration>,
    },
    /// A secret or key of the connection cannot be used.
    #[error("sign-in is not possible: {0}")]
    Setting(String),
}

impl From<SecretError> for SignInError {
    fn from(error: SecretError) -> Self {
        Self::Setting(error.to_string())
    }
}

impl From<SignInError> for Failure {
    /// Repeatable in every case: what the caller wanted to write was not sent, and settings can be
    /// mended without it noticing.
    fn from(error: SignInError) -> Self {
        let retry_after = match &error {
            SignInError::Unavailable { retry_after, .. } => *retry_after,
            SignInError::Refused { .. } | SignInError::Setting(_) => None,
        };
        Self::Repeatable {
            code: "sign_in".into(),
            reason: error.to_string(),
            retry_after,
            response: None,
        }
    }
}

/// Gets a fresh token.
#[async_trait]
pub trait SignIn: Send + Sync {
    /// Signs in.
    ///
    /// # Errors
    /// As [`SignInError`].
    async fn sign_in(&self) -> Result<Token, SignInError>;
}

/// An answer to something that was done with a token.
#[derive(Debug)]
pub enum Attempt<T> {
    /// The token was taken.
    Accepted(T),
    /// The CRM says that the token is no longer good; nothing was done.
    Expired(T),
}

#[derive(Debug)]
struct Held {
    token: Arc<Token>,
    use_until: Timestamp,
}

/// The current token of a connection.
pub struct Session {
    source: Arc<dyn SignIn>,
    ambient: Arc<dyn Ambient>,
    held: RwLock<Option<Held>>,
    /// Holds the last failure; locked while a refresh is under way.
    refresh: tokio::sync::Mutex<Option<SignInError>>,
    refreshes: AtomicU64,
    /// Calls repeated under a new token, and sign-ins, by how they ended.
    repeats: Counter,
    signed_in: Counter,
    not_signed_in: Counter,
}

impl Session {
    /// A session that signs in when a token is first asked for.
    #[must_use]
    pub fn new(source: Arc<dyn SignIn>, ambient: Arc<dyn Ambient>) -> Self {
        Self {
            source,
            ambient,
            held: RwLock::new(None),
            refresh: tokio::sync::Mutex::new(None),
            refreshes: AtomicU64::new(0),
            repeats: Counter::noop(),
            signed_in: Counter::noop(),
            not_signed_in: Counter::noop(),
        }
    }

    /// Counts under the connection's name.
    #[must_use]
    pub fn counted(mut self, connection: &ConnectionName) -> Self {
        describe_counter!(
            "crmgate_upstream_retries_total",
            Unit::Count,
            "Calls sent once more under a new token, because the CRM no longer took the old one."
        );
        describe_counter!(
            "crmgate_sign_ins_total",
            Unit::Count,
            "Sign-ins with the connection's own credential, by how they ended."
        );
        let name = connection.as_str();
        self.repeats = counter!("crmgate_upstream_retries_total", "upstream" => name.to_owned());
        let signed = |result| counter!("crmgate_sign_ins_total", "upstream" => name.to_owned(), "result" => result);
        self.signed_in = signed("ok");
        self.not_signed_in = signed("failed");
        self
    }

    /// The token to use now.
    ///
    /// # Errors
    /// When there is none and signing in fails.
    pub async fn token(&self) -> Result<Arc<Token>, SignInError> {
        if let Some(token) = self.current() {
            return Ok(token);
        }
        let seen = self.refreshes.load(Ordering::Acquire);
        let mut last_failure = self.refresh.lock().await;
        if let Some(token) = self.current() {
            return Ok(token);
        }
        // A refresh ended while this caller waited: its failure is the answer, so that a crowd of
        // callers makes one call and not one each.
        if self.refreshes.load(Ordering::Acquire) != seen
            && let Some(error) = last_failure.as_ref()
        {
            return Err(error.clone());
        }
        let result = self.source.sign_in().await;
        self.refreshes.fetch_add(1, Ordering::AcqRel);
        match result {
            Ok(token) => {
                self.signed_in.increment(1);
                *last_failure = None;
                Ok(self.keep(token))
            }
            Err(error) => {
                self.not_signed_in.increment(1);
                *last_failure = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Drops this token, and no newer one: the CRM said that it is no longer good.
    pub fn forget(&self, token: &Arc<Token>) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if held
            .as_ref()
            .is_some_and(|held| Arc::ptr_eq(&held.token, token))
        {
            *held = None;
        }
    }

    /// Does something with a token; where the CRM says that the token has expired, signs in anew
    /// and does it once more. The second answer stands, whatever it is.
    ///
    /// # Errors
    /// When signing in fails, and as `act`.
    pub async fn with_token<T, F>(&self, mut act: impl FnMut(Arc<Token>) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<Attempt<T>, Failure>>,
    {
        let token = self.token().await?;
        match act(Arc::clone(&token)).await? {
            Attempt::Accepted(answer) => Ok(answer),
            Attempt::Expired(_) => {
                self.forget(&token);
                self.repeats.increment(1);
                match act(self.token().await?).await? {
                    Attempt::Accepted(answer) | Attempt::Expired(answer) => Ok(answer),
                }
            }
        }
    }

    fn current(&self) -> Option<Arc<Token>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let held = held.as_ref()?;
        (self.ambient.now() < held.use_until).then(|| Arc::clone(&held.token))
    }

    fn keep(&self, token: Token) -> Arc<Token> {
        let life = token.expires.duration_since(self.ambient.now());
        let use_until = token
            .expires
            .checked_sub(MARGIN.min(life / 4))
            .unwrap_or(token.expires);
        let token = Arc::new(token);
        let kept = Held {
            token: Arc::clone(&token),
            use_until,
        };
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        token
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session")
    }
}
