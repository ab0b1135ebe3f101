//! Telling whoever wished it that an operation has ended: where to, with what, and how it went.
//!
//! Messages are signed as Standard Webhooks has it (`webhook-id`, `webhook-timestamp`,
//! `webhook-signature: v1,…`), and hold ids, states, codes and links: no values of records.

use std::collections::BTreeMap;
use std::sync::Arc;

use crmgate_connector::Secret;
use crmgate_domain::{State, Timestamp};
use crmgate_store::{Cells, StoredOperation};
use serde_json::json;
use url::Url;

use self::signing::sign;

mod hosts;
mod signing;
mod tries;

pub use self::hosts::{HostPattern, is_public};
pub use self::signing::key_of;
pub use self::tries::{Tries, Try};

/// Where callbacks may go, and what they are signed with.
#[derive(Debug, Clone, Default)]
pub struct CallbackSettings {
    /// Hosts that may be called; without any, there are no callbacks.
    pub hosts: Vec<HostPattern>,
    /// Whether addresses of this machine and of private networks may be called, and without TLS.
    pub private: bool,
    /// What messages are signed with: the current secret, and where it changes another. Each is
    /// `whsec_` and the key in Base64.
    pub secrets: Vec<Secret>,
    /// Those of single tokens, by the token's id; they stand in the place of the others.
    pub of_tokens: BTreeMap<String, Vec<Secret>>,
    /// The control API's own address, for links.
    pub links: Option<Url>,
}

/// Callbacks: what may be asked for, what is sent, what came of it.
pub struct Callbacks {
    settings: CallbackSettings,
    cells: Option<Arc<dyn Cells>>,
}

/// A message, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where to.
    pub url: Url,
    /// `webhook-id`: equal for all tries of one end, so that receivers know repeats.
    pub id: String,
    /// `webhook-timestamp`: seconds since 1970.
    pub timestamp: i64,
    /// `webhook-signature`: one signature for each secret.
    pub signature: String,
    /// The body, JSON.
    pub body: String,
}

/// Why there is no message to send.
#[derive(Debug, thiserror::Error)]
pub enum NoMessage {
    /// The address may not be called any more.
    #[error("{0}")]
    NotAllowed(String),
    /// A secret cannot be had, or is none.
    #[error("{0}")]
    Secret(String),
}

impl Callbacks {
    /// Callbacks with these settings. Without cells, what came of tries is not known.
    #[must_use]
    pub fn new(settings: CallbackSettings, cells: Option<Arc<dyn Cells>>) -> Self {
        Self { settings, cells }
    }

    /// The message about where an operation stands.
    ///
    /// # Errors
    /// When its address may not be called, or it cannot be signed.
    pub fn message(
        &self,
        operation: &StoredOperation,
        now: Timestamp,
    ) -> Result<Message, NoMessage> {
        let url = operation.callback.as_ref().map(|callback| &callback.url);
        let url = self
            .allowed(url.map_or("", String::as_str))
            .map_err(NoMessage::NotAllowed)?;
        let id = format!("{}.{}", operation.id, operation.version);
        let timestamp = now.as_second();
        let body = self.body(operation).to_string();
        let signature = self
            .keys(&operation.owner)?
            .iter()
            .map(|key| sign(key, &id, timestamp, &body))
            .collect::<Vec<_>>()
            .join(" ");
        Ok(Message {
            url,
            id,
            timestamp,
            signature,
            body,
        })
    }

    fn body(&self, operation: &StoredOperation) -> serde_json::Value {
        let link = |path: String| match &self.settings.links {
            Some(base) => base.join(&path).map_or(path, |url| url.to_string()),
            None => path,
        };
        json!({
            "type": format!("operation.{}", operation.state),
            "timestamp": operation.updated_at,
            "data": {
                "id": operation.id,
                "client_id": operation.client_id,
                "submission": operation.submission,
                "connection": operation.connection,
                "object": operation.object,
                "kind": operation.kind,
                "state": operation.state,
                "final": operation.state.is_final(),
                "version": operation.version,
                "code": operation.why.as_ref().map(|why| &why.code),
                "record_id": operation.record_id.as_ref().filter(|_| operation.state == State::Succeeded),
                "decision": operation.decision,
                "links": {
                    "operation": link(format!("/v1/operations/{}", operation.id)),
                    "submission": link(format!("/v1/submissions/{}", operation.submission)),
                },
            },
        })
    }

    fn keys(&self, owner: &str) -> Result<Vec<Vec<u8>>, NoMessage> {
        let settings = &self.settings;
        let secrets = settings.of_tokens.get(owner).unwrap_or(&settings.secrets);
        if secrets.is_empty() {
            let message = "the setting `operations.callbacks.secrets` names no secret to sign with";
            return Err(NoMessage::Secret(message.to_owned()));
        }
        let keys = secrets.iter().map(key_of);
        keys.collect::<Result<_, _>>()
            .map_err(|error| NoMessage::Secret(error.to_string()))
    }
}
