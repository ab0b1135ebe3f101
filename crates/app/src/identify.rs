//! Who a caller at the gateway is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crmgate_connector::{Connector, Credential, Failure, Identity, Refusal, RequestHead};
use crmgate_domain::Actor;
use crmgate_enforce::Caller;
use moka::Expiry;
use moka::future::Cache;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use crate::{Action, AppError, Connection, IdentityMode, Principal, Tokens};

/// How long callers' identities are remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentitySettings {
    /// A known caller's.
    pub ttl: Duration,
    /// That a token is not valid.
    pub negative_ttl: Duration,
    /// How many are remembered.
    pub capacity: u64,
}

impl Default for IdentitySettings {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(300),
            negative_ttl: Duration::from_secs(10),
            capacity: 10_000,
        }
    }
}

/// How long the CRM may take to say whose a token is.
const ASK_WITHIN: Duration = Duration::from_secs(10);

/// SHA-256 of a token. INVARIANT: the token itself is not kept.
type TokenHash = [u8; 32];

fn hash(token: &SecretString) -> TokenHash {
    Sha256::digest(token.expose_secret()).into()
}

/// What the CRM said of a token.
#[derive(Debug, Clone)]
enum Known {
    Valid(Arc<Identity>),
    Invalid,
}

/// What the CRM could not say.
#[derive(Debug, Clone)]
struct Unreachable {
    message: String,
    retry_after: Option<Duration>,
}

/// One connection's memory of who its callers are: one question to the CRM at a time per token.
pub struct IdentityCache {
    known: Cache<TokenHash, Known>,
}

struct Remember(IdentitySettings);

impl Expiry<TokenHash, Known> for Remember {
    fn expire_after_create(&self, _: &TokenHash, known: &Known, _: Instant) -> Option<Duration> {
        Some(match known {
            Known::Valid(_) => self.0.ttl,
            Known::Invalid => self.0.negative_ttl,
        })
    }
}

impl IdentityCache {
    /// An empty memory.
    #[must_use]
    pub fn new(settings: IdentitySettings) -> Self {
        let known = Cache::builder()
            .max_capacity(settings.capacity)
            .expire_after(Remember(settings))
            .build();
        Self { known }
    }

    async fn ask(
        &self,
        connector: &dyn Connector,
        token: &SecretString,
    ) -> Result<Known, Arc<Unreachable>> {
        let asking = async {
            let within = tokio::time::timeout(ASK_WITHIN, connector.identify(token));
            let late = || Failure::not_sent(format!("no answer within {ASK_WITHIN:?}"));
            match within.await.unwrap_or_else(|_| Err(late())) {
                Ok(identity) => Ok(Known::Valid(Arc::new(identity))),
                Err(Failure::Refused { .. }) => Ok(Known::Invalid),
                Err(Failure::Repeatable {
                    reason,
                    retry_after,
                    ..
                }) => Err(Unreachable {
                    message: reason,
                    retry_after,
                }),
                Err(other) => Err(Unreachable {
                    message: other.to_string(),
                    retry_after: None,
                }),
            }
        };
        self.known.try_get_with(hash(token), asking).await
    }

    async fn forget(&self, token: &SecretString) {
        self.known.invalidate(&hash(token)).await;
    }
}

/// Finds out who callers are.
pub struct Identities {
    tokens: Arc<Tokens>,
}

impl Identities {
    /// Over the token store.
    #[must_use]
    pub fn new(tokens: Arc<Tokens>) -> Self {
        Self { tokens }
    }

    /// Whose credential goes upstream, without asking the CRM who it is: enough for a read at a
    /// pass-through connection, where the CRM itself looks at the token. At a brokered one the
    /// crmgate token is verified.
    ///
    /// # Errors
    /// The refusal that the caller gets.
    pub async fn credential(
        &self,
        connection: &Connection,
        head: &RequestHead,
    ) -> Result<Credential, Refusal> {
        let token = token_of(connection, head)?;
        match connection.identity() {
            IdentityMode::PassThrough => Ok(Credential::Caller(token)),
            IdentityMode::Brokered => {
                self.broker(connection, &token).await?;
                Ok(Credential::Service)
            }
        }
    }

    /// Who the caller is: the CRM's word for a pass-through connection (remembered under the
    /// token's hash), the crmgate token's for a brokered one.
    ///
    /// # Errors
    /// The refusal that the caller gets.
    pub async fn caller(
        &self,
        connection: &Connection,
        head: &RequestHead,
    ) -> Result<Caller, Refusal> {
        let token = token_of(connection, head)?;
        match connection.identity() {
            IdentityMode::PassThrough => pass_through(connection, token).await,
            IdentityMode::Brokered => {
                let principal = self.broker(connection, &token).await?;
                Ok(Caller {
                    actor: actor_of(&principal),
                    org: None,
                    credential: Credential::Service,
                })
            }
        }
    }

    /// Forgets who the caller is: the CRM did not accept the token any more.
    pub async fn forget(&self, connection: &Connection, head: &RequestHead) {
        if let Some(token) = connection.connector().caller_token(head) {
            connection.identities().forget(&token).await;
        }
    }

    /// The holder of a crmgate token who may write through this connection.
    ///
    /// # Errors
    /// The refusal that the caller gets.
    pub async fn broker(
        &self,
        connection: &Connection,
        token: &SecretString,
    ) -> Result<Principal, Refusal> {
        let principal = match self.tokens.verify(token).await {
            Ok(principal) => principal,
            Err(AppError::Unauthenticated(message)) => {
                return Err(Refusal::Unauthenticated { message });
            }
            Err(error) => {
                return Err(Refusal::Inability {
                    decision: None,
                    message: error.to_string(),
                    retry_after: connection.gate().settings().retry_after,
                });
            }
        };
        if !principal.sees(connection.name()) {
            return Err(Refusal::Forbidden {
                message: format!(
                    "token `{}` is not for the connection `{}`",
                    principal.token.name,
                    connection.name()
                ),
            });
        }
        match principal.demand(Action::WriteThrough) {
            Ok(()) => Ok(principal),
            Err(error) => Err(Refusal::Forbidden {
                message: error.to_string(),
            }),
        }
    }
}

fn token_of(connection: &Connection, head: &RequestHead) -> Result<SecretString, Refusal> {
    let token = connection.connector().caller_token(head);
    token.ok_or_else(|| Refusal::Unauthenticated {
        message: "the request carries no credential".to_owned(),
    })
}

async fn pass_through(connection: &Connection, token: SecretString) -> Result<Caller, Refusal> {
    let connector = connection.connector().as_ref();
    match connection.identities().ask(connector, &token).await {
        Ok(Known::Valid(identity)) => Ok(Caller {
            actor: identity.actor.clone(),
            org: identity.org.clone(),
            credential: Credential::Caller(token),
        }),
        Ok(Known::Invalid) => Err(Refusal::Unauthenticated {
            message: "the CRM does not accept the token".to_owned(),
        }),
        Err(unreachable) => Err(Refusal::Inability {
            decision: None,
            message: format!("who is asking cannot be found out: {}", unreachable.message),
            retry_after: unreachable
                .retry_after
                .unwrap_or(connection.gate().settings().retry_after),
        }),
    }
}

/// The holder of a crmgate token, as policies see it.
#[must_use]
pub fn actor_of(principal: &Principal) -> Actor {
    let token = &principal.token;
    let mut roles: Vec<String> = token.roles.iter().map(|r| r.as_str().to_owned()).collect();
    roles.sort();
    Actor {
        id: token.id.clone(),
        username: Some(token.name.clone()),
        email: None,
        roles,
        groups: token.team.iter().cloned().collect(),
        scopes: Some(token.scopes.clone()),
        client: Some(token.name.clone()),
        on_behalf_of: None,
    }
}
