//! Telling whoever wished it that an operation has ended: where to, with what, and how it went.
//!
//! Messages are signed as Standard Webhooks has it (`webhook-id`, `webhook-timestamp`,
//! `webhook-signature: v1,…`), and hold ids, states, codes and links: no values of records.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crmgate_connector::{Secret, SecretError};
use crmgate_domain::{OperationId, State, Timestamp};
use crmgate_store::{Cells, StoreError, StoredOperation, Swapped};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::Sha256;
use url::{Host, Url};

use super::request::Wrong;

/// The longest address.
const MOST_URL: usize = 2000;
/// How long what became of tries is kept.
const KEEP_TRIES: Duration = Duration::from_secs(30 * 24 * 3600);
/// Tries of one operation that are told.
const MOST_TRIES: usize = 50;

/// A host that may be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// `hooks.example.com`.
    Exact(String),
    /// `*.example.com`: everything below.
    Below(String),
}

impl std::str::FromStr for HostPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (below, name) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let host = Host::parse(name).map_err(|error| {
            format!("`{text}`: {error}; expected a host's name such as `hooks.example.com` or `*.example.com`")
        })?;
        let host = host.to_string().to_ascii_lowercase();
        Ok(if below {
            Self::Below(format!(".{host}"))
        } else {
            Self::Exact(host)
        })
    }
}

impl HostPattern {
    fn takes(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => host == name,
            Self::Below(end) => host.ends_with(end.as_str()),
        }
    }
}

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

/// How it went with telling an operation's end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tries {
    /// The version of the operation that was taken by the receiver.
    pub delivered: Option<u64>,
    /// The newest tries, oldest first.
    pub tries: Vec<Try>,
}

/// One try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Try {
    /// When.
    pub at: Timestamp,
    /// The operation's version that was told.
    pub version: u64,
    /// The receiver's HTTP status, where it answered.
    pub status: Option<u16>,
    /// What happened, where it was not taken.
    pub problem: Option<String>,
}

impl Callbacks {
    /// Callbacks with these settings. Without cells, what came of tries is not known.
    #[must_use]
    pub fn new(settings: CallbackSettings, cells: Option<Arc<dyn Cells>>) -> Self {
        Self { settings, cells }
    }

    /// Whether an address may be called; where it leads to is looked at again when it is.
    pub(crate) fn check(&self, url: &str) -> Result<(), Wrong> {
        let wrong =
            |message: String| Err(Wrong::at("callback_not_allowed", "callback.url", message));
        if self.settings.hosts.is_empty() {
            return wrong(
                "there are no callbacks here: the setting `operations.callbacks.hosts` names no host"
                    .to_owned(),
            );
        }
        match self.allowed(url) {
            Ok(_) => Ok(()),
            Err(problem) => wrong(problem),
        }
    }

    fn allowed(&self, text: &str) -> Result<Url, String> {
        if text.len() > MOST_URL {
            return Err(format!("expected at most {MOST_URL} characters"));
        }
        let url = Url::parse(text).map_err(|error| format!("`{text}` is no address: {error}"))?;
        let secure = url.scheme() == "https" || (url.scheme() == "http" && self.settings.private);
        if !secure {
            return Err(format!("`{text}`: expected an address with `https://`"));
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err("expected an address without user name, password and fragment".to_owned());
        }
        let host = url.host_str().unwrap_or_default().trim_end_matches('.');
        if !self
            .settings
            .hosts
            .iter()
            .any(|pattern| pattern.takes(host))
        {
            return Err(format!(
                "the host `{host}` is not one of those that the setting `operations.callbacks.hosts` allows"
            ));
        }
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            _ => None,
        };
        if !self.settings.private && address.is_some_and(|address| !is_public(address)) {
            return Err(format!(
                "`{host}` is an address of a private network, which the setting `operations.callbacks.private` does not allow"
            ));
        }
        Ok(url)
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

    /// How it went so far.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn tries(&self, id: OperationId) -> Result<Tries, StoreError> {
        Ok(self.stored(id).await?.0)
    }

    async fn stored(&self, id: OperationId) -> Result<(Tries, Option<u64>), StoreError> {
        let Some(cells) = &self.cells else {
            return Ok((Tries::default(), None));
        };
        let cell = cells.cell(&cell_of(id)).await?;
        let tries = cell
            .as_ref()
            .and_then(|cell| serde_json::from_str(&cell.body).ok())
            .unwrap_or_default();
        Ok((tries, cell.map(|cell| cell.version)))
    }

    /// Notes a try.
    ///
    /// # Errors
    /// When it is not certain that it is noted.
    pub async fn note(&self, id: OperationId, tried: Try) -> Result<(), StoreError> {
        let Some(cells) = &self.cells else {
            return Ok(());
        };
        // Two processes may try at the same time; each notes its own.
        for _ in 0..5 {
            let (mut tries, version) = self.stored(id).await?;
            if tried.problem.is_none() {
                tries.delivered = tries.delivered.max(Some(tried.version));
            }
            tries.tries.push(tried.clone());
            let over = tries.tries.len().saturating_sub(MOST_TRIES);
            tries.tries.drain(..over);
            let body = serde_json::to_string(&tries).unwrap_or_default();
            let key = cell_of(id);
            let swapped = cells.swap(&key, version, body, Some(KEEP_TRIES));
            if let Swapped::Done(_) = swapped.await? {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn cell_of(id: OperationId) -> String {
    format!("callback/{id}")
}

/// The key in a secret of the form `whsec_…`.
///
/// # Errors
/// When it cannot be read or is none.
pub fn key_of(secret: &Secret) -> Result<Vec<u8>, SecretError> {
    let text = secret.get()?;
    let bad = || SecretError {
        setting: "operations.callbacks.secrets".to_owned(),
        problem: "expected `whsec_` and 24 to 64 bytes in Base64".to_owned(),
    };
    let text = text.expose_secret().trim();
    let encoded = text.strip_prefix("whsec_").ok_or_else(bad)?;
    let key = STANDARD.decode(encoded).map_err(|_| bad())?;
    if (24..=64).contains(&key.len()) {
        Ok(key)
    } else {
        Err(bad())
    }
}

fn sign(key: &[u8], id: &str, timestamp: i64, body: &str) -> String {
    // A key of any length will do for HMAC.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return String::new();
    };
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// Whether an address is one of the public Internet.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (18..20).contains(&b)))
        }
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            let embedded = v6.to_ipv4_mapped().or_else(|| nat64(v6));
            if let Some(v4) = embedded {
                return is_public(IpAddr::V4(v4));
            }
            // Of the public part only 2000::/3 is given out; 6to4 and Teredo hide other addresses.
            (first & 0xe000) == 0x2000
                && first != 0x2002
                && !(first == 0x2001 && (second == 0 || second == 0x0db8))
        }
    }
}

fn nat64(address: std::net::Ipv6Addr) -> Option<std::net::Ipv4Addr> {
    match address.segments() {
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            Some(std::net::Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn callbacks(hosts: &[&str], private: bool) -> Callbacks {
        let settings = CallbackSettings {
            hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
            private,
            ..CallbackSettings::default()
        };
        Callbacks::new(settings, None)
    }

    fn refusal(callbacks: &Callbacks, url: &str) -> String {
        callbacks
            .check(url)
            .map_or_else(|wrong| wrong.message, |()| String::new())
    }

    #[test]
    fn only_named_hosts_are_called() {
        let none = callbacks(&[], false);
        assert!(refusal(&none, "https://a.example").contains("`operations.callbacks.hosts`"));
        let some = callbacks(&["hooks.example", "*.inner.example"], false);
        for good in [
            "https://hooks.example/x?y=1",
            "https://HOOKS.example:8443/",
            "https://a.inner.example",
        ] {
            assert_eq!(refusal(&some, good), "", "{good}");
        }
        for bad in [
            "https://inner.example",
            "https://evilinner.example",
            "https://hooks.example.evil",
            "http://hooks.example",
            "ftp://hooks.example",
            "https://user@hooks.example",
            "https://hooks.example#x",
            "https://evil@hooks.example:443@other.example/",
            "hooks.example",
            "",
        ] {
            assert_ne!(refusal(&some, bad), "", "{bad}");
        }
    }

    #[test]
    fn private_addresses_take_a_setting() {
        let shut = callbacks(&["127.0.0.1", "[::1]", "10.1.2.3"], false);
        for url in [
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://10.1.2.3/",
            "https://0x7f.1/",
        ] {
            assert!(
                refusal(&shut, url).contains("`operations.callbacks.private`"),
                "{url}"
            );
        }
        let open = callbacks(&["127.0.0.1"], true);
        assert_eq!(refusal(&open, "http://127.0.0.1:8080/x"), "");
    }

    #[test]
    fn public_addresses_are_told_from_others() {
        for private in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.0.8",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001:db8::1",
            "2001::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in [
            "1.1.1.1",
            "93.184.216.34",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    /// The example of the Standard Webhooks specification.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let key = key_of(&Secret::fixed("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
        let signed = sign(
            &key,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn secrets_are_held_to_their_form() {
        for bad in [
            "",
            "whsec_",
            "whsec_!!",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_c2hvcnQ=",
        ] {
            let error = key_of(&Secret::fixed(bad)).unwrap_err().to_string();
            assert!(
                error.contains("whsec_") && !error.contains("c2hvcnQ"),
                "{error}"
            );
        }
    }
}
