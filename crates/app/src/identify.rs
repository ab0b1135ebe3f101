//! Who a caller at the gateway is.

use std::sync::Arc;
use std::time::Duration;

use crmgate_connector::{Credential, Refusal, RequestHead};
use crmgate_enforce::Caller;

use crate::{Connection, Tokens};

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
    /// pass-through connection. At a brokered one the crmgate token is verified.
    ///
    /// # Errors
    /// The refusal that the caller gets.
    pub async fn credential(
        &self,
        connection: &Connection,
        head: &RequestHead,
    ) -> Result<Credential, Refusal> {
        self.caller(connection, head)
            .await
            .map(|caller| caller.credential)
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
        let token = connection.connector().caller_token(head);
        let nobody = || Refusal::Unauthenticated {
            message: "no credential".to_owned(),
        };
        let token = token.ok_or_else(nobody)?;
        let _ = self.tokens.verify(&token).await;
        Err(nobody())
    }
}
