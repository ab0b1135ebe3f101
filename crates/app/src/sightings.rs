//! What was seen at each connection, counted in memory and written down now and then.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crmgate_connector::{Refusal, RequestHead};
use crmgate_domain::{Actor, Ambient, ConnectionName, Effect, Timestamp};
use crmgate_enforce::{Answer, Reply};
use crmgate_store::{Sighting, SightingKey, Store};

use crate::AppError;

/// How many different things are counted apart per connection between two flushes; the rest counts
/// as client `(others)`. Keys come from callers, so there must be an end to them.
const MOST_KEYS: usize = 2_000;

/// The longest client, route or reason that is counted apart.
const MOST_TEXT: usize = 120;

/// One request, as it will be counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sight {
    pub(crate) client: String,
    route: String,
    class: &'static str,
    enforced: &'static str,
    why: String,
}

impl Sight {
    pub(crate) fn new(client: String, route: String, class: &'static str) -> Self {
        Self {
            client,
            route,
            class,
            enforced: "pass",
            why: String::new(),
        }
    }

    /// The same, with what enforcing does to it.
    pub(crate) fn answered(self, answer: &Answer) -> Self {
        let (enforced, why) = match (answer.effect, &answer.reply) {
            (Some(Effect::Allow), _) => ("pass", None),
            (Some(Effect::Deny), _) => ("refuse", answer.why.clone()),
            (Some(Effect::RequireApproval), _) => ("hold", answer.why.clone()),
            (Some(Effect::Error), _) => ("cannot_judge", answer.why.clone()),
            (None, Reply::Native(_)) => ("pass", None),
            (None, Reply::Refused(refusal)) => refused(refusal),
        };
        Self {
            enforced,
            why: why.unwrap_or_default(),
            ..self
        }
    }

    pub(crate) fn into_key(self) -> SightingKey {
        SightingKey {
            client: short(&self.client),
            route: short(&self.route),
            class: self.class.to_owned(),
            enforced: self.enforced.to_owned(),
            why: short(&self.why),
        }
    }
}

/// What a refusal without a decision means for a connection that goes over to enforcing.
fn refused(refusal: &Refusal) -> (&'static str, Option<String>) {
    match refusal {
        Refusal::NotUnderstood { .. } => ("refuse", Some("crmgate/not_understood".to_owned())),
        Refusal::Malformed(malformed) => ("refuse", Some(format!("crmgate/{}", malformed.code))),
        Refusal::TooLarge { .. } => ("refuse", Some("crmgate/too_large".to_owned())),
        Refusal::Inability { .. } => ("cannot_judge", Some("crmgate/inability".to_owned())),
        // Whoever has no valid credential gets no further at the CRM either.
        Refusal::Unauthenticated { .. }
        | Refusal::Forbidden { .. }
        | Refusal::PreconditionFailed { .. }
        | Refusal::Denied { .. }
        | Refusal::Held { .. } => ("pass", None),
    }
}

/// The client program: what the CRM says of the token, or its own name for itself.
pub(crate) fn client_of(head: &RequestHead, actor: Option<&Actor>) -> String {
    if let Some(client) = actor.and_then(|actor| actor.client.as_ref()) {
        return client.clone();
    }
    let agent = head.header("user-agent").unwrap_or_default();
    let product = agent.split(['/', ' ']).next().unwrap_or_default();
    if product.is_empty() {
        "(unnamed)".to_owned()
    } else {
        product.to_owned()
    }
}

/// Method and path of a request that no route knows, ids taken out.
pub(crate) fn unknown_route(head: &RequestHead) -> String {
    let generic = |part: &str| {
        let digits = part.bytes().filter(u8::is_ascii_digit).count();
        let version = part.starts_with(['v', 'V']) && part.len() <= 6;
        (digits > 2 && !version) || part.len() > 40
    };
    let parts: Vec<&str> = head
        .path()
        .split('/')
        .map(|part| if generic(part) { "*" } else { part })
        .collect();
    format!("{} {}", head.method, parts.join("/"))
}

fn short(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(MOST_TEXT)
        .collect()
}

/// Counts per connection.
type Counts = HashMap<ConnectionName, HashMap<SightingKey, Count>>;

#[derive(Debug, Clone, Copy)]
struct Count {
    count: u64,
    first_at: Timestamp,
    last_at: Timestamp,
}

/// Gathers sightings.
pub struct Sightings {
    store: Arc<dyn Store>,
    ambient: Arc<dyn Ambient>,
    counts: Mutex<Counts>,
}

impl Sightings {
    /// Over a store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, ambient: Arc<dyn Ambient>) -> Self {
        Self {
            store,
            ambient,
            counts: Mutex::default(),
        }
    }

    /// Counts one.
    pub fn note(&self, connection: &ConnectionName, key: SightingKey) {
        let now = self.ambient.now();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = counts.entry(connection.clone()).or_default();
        let key = if seen.len() < MOST_KEYS || seen.contains_key(&key) {
            key
        } else {
            SightingKey {
                client: "(others)".to_owned(),
                route: "(others)".to_owned(),
                ..key
            }
        };
        let count = seen.entry(key).or_insert(Count {
            count: 0,
            first_at: now,
            last_at: now,
        });
        count.count = count.count.saturating_add(1);
        count.last_at = now;
    }

    /// Writes the counts down. What cannot be written is lost, with a warning.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn flush(&self) -> Result<(), AppError> {
        let counts =
            std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner));
        for (connection, seen) in counts {
            let seen = seen
                .into_iter()
                .map(|(key, count)| Sighting {
                    key,
                    count: count.count,
                    first_at: count.first_at,
                    last_at: count.last_at,
                })
                .collect();
            self.store.add_sightings(&connection, seen).await?;
        }
        Ok(())
    }
}
