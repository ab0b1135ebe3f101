//! What the org says about its objects, kept and revalidated.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crmgate_connector::{Credential, Failure};
use crmgate_domain::{Ambient, PayloadHash, Timestamp};
use http::{StatusCode, header};
use jiff::SignedDuration;
use secrecy::ExposeSecret as _;
use serde::Deserialize;

use crate::failure::{Effect, not_found};
use crate::headers;
use crate::upstream::{Call, SharedUpstream};

/// How long a description is used before the org is asked whether it still holds.
const FRESH: SignedDuration = SignedDuration::from_mins(5);

/// How long one is used when the org cannot be asked.
const STALE: SignedDuration = SignedDuration::from_hours(1);

/// A write that names an unknown field makes the gate ask again, but not for every such write.
const ASK_AGAIN: SignedDuration = SignedDuration::from_secs(10);

/// Descriptions kept: objects of the org, and again per caller where there is no service
/// credential.
const KEPT: u64 = 4096;

/// A field's type, as far as values differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FieldKind {
    Id,
    Reference,
    Boolean,
    Int,
    Long,
    Double,
    Currency,
    Percent,
    Date,
    DateTime,
    Picklist,
    MultiPicklist,
    Address,
    Location,
    Base64,
    #[serde(other)]
    Text,
}

/// One field.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Field {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: FieldKind,
    #[serde(default)]
    pub(crate) createable: bool,
    #[serde(default)]
    pub(crate) updateable: bool,
    #[serde(default)]
    pub(crate) unique: bool,
    #[serde(default)]
    pub(crate) external_id: bool,
    #[serde(default)]
    pub(crate) id_lookup: bool,
    #[serde(default)]
    pub(crate) reference_to: Vec<String>,
    #[serde(default)]
    pub(crate) relationship_name: Option<String>,
    #[serde(default)]
    pub(crate) compound_field_name: Option<String>,
    #[serde(default)]
    pub(crate) picklist_values: Vec<PicklistValue>,
}

/// A known value of a picklist.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct PicklistValue {
    pub(crate) value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    name: String,
    #[serde(default)]
    key_prefix: Option<String>,
    fields: Vec<Field>,
}

/// One object.
#[derive(Debug, Clone)]
pub(crate) struct Describe {
    /// In the org's spelling.
    pub(crate) name: String,
    /// What its records' ids begin with; a few objects have ids of several kinds.
    pub(crate) key_prefix: Option<String>,
    fields: Vec<Field>,
    by_name: HashMap<String, usize>,
    by_relationship: HashMap<String, usize>,
}

impl Describe {
    fn new(described: Described) -> Self {
        let by = |key: &dyn Fn(&Field) -> Option<&str>| {
            described
                .fields
                .iter()
                .enumerate()
                .filter_map(|(place, field)| Some((key(field)?.to_ascii_lowercase(), place)))
                .collect()
        };
        Self {
            by_name: by(&|field| Some(&field.name)),
            by_relationship: by(&|field| field.relationship_name.as_deref()),
            name: described.name,
            key_prefix: described.key_prefix,
            fields: described.fields,
        }
    }

    /// Reads an answer of the describe call.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok().map(Self::new)
    }

    /// A field by its name, in any case.
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.fields
            .get(*self.by_name.get(&name.to_ascii_lowercase())?)
    }

    /// The lookup field behind a relationship's name, in any case.
    pub(crate) fn relationship(&self, name: &str) -> Option<&Field> {
        self.fields
            .get(*self.by_relationship.get(&name.to_ascii_lowercase())?)
    }

    /// All fields.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter()
    }

    /// The fields that a compound field is made of.
    pub(crate) fn parts<'a>(&'a self, compound: &'a str) -> impl Iterator<Item = &'a Field> {
        self.fields.iter().filter(move |field| {
            field.name != compound && field.compound_field_name.as_deref() == Some(compound)
        })
    }
}

/// The descriptions of one org.
pub(crate) struct Metadata {
    upstream: SharedUpstream,
    ambient: Arc<dyn Ambient>,
    version: String,
    slots: moka::future::Cache<(PayloadHash, String), Arc<Slot>>,
}

#[derive(Default)]
struct Slot {
    held: RwLock<Option<Held>>,
    /// One question at a time.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Held {
    describe: Arc<Describe>,
    asked: Timestamp,
    last_modified: Option<String>,
}

impl Slot {
    fn held(&self) -> Option<Held> {
        self.held
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn keep(&self, held: Held) -> Arc<Describe> {
        let describe = Arc::clone(&held.describe);
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(held);
        describe
    }
}

impl Metadata {
    pub(crate) fn new(
        upstream: SharedUpstream,
        ambient: Arc<dyn Ambient>,
        api_version: &str,
    ) -> Self {
        Self {
            upstream,
            ambient,
            version: api_version.to_owned(),
            slots: moka::future::Cache::new(KEPT),
        }
    }

    /// An object's description, as that credential sees it.
    pub(crate) async fn describe(
        &self,
        object: &str,
        credential: &Credential,
    ) -> Result<Arc<Describe>, Failure> {
        self.describe_since(object, credential, FRESH).await
    }

    /// The same, asked again because a write names a field that is not in it.
    pub(crate) async fn describe_again(
        &self,
        object: &str,
        credential: &Credential,
    ) -> Result<Arc<Describe>, Failure> {
        self.describe_since(object, credential, ASK_AGAIN).await
    }

    async fn describe_since(
        &self,
        object: &str,
        credential: &Credential,
        fresh: SignedDuration,
    ) -> Result<Arc<Describe>, Failure> {
        let who = match credential {
            Credential::Service | Credential::OnBehalfOf(_) => PayloadHash::of(&[]),
            Credential::Caller(token) => PayloadHash::of(&[token.expose_secret().as_bytes()]),
        };
        let key = (who, object.to_ascii_lowercase());
        let slot = self.slots.get_with(key, async { Arc::default() }).await;
        let still = |held: &Held| self.ambient.now().duration_since(held.asked) < fresh;
        if let Some(held) = slot.held().filter(&still) {
            return Ok(held.describe);
        }
        let _one = slot.asking.lock().await;
        let held = slot.held();
        if let Some(held) = held.as_ref().filter(|held| still(held)) {
            return Ok(Arc::clone(&held.describe));
        }
        match self.ask(object, credential, held.as_ref()).await {
            Ok(held) => Ok(slot.keep(held)),
            Err(failure) => match (failure, held) {
                (failure @ Failure::Repeatable { .. }, Some(held))
                    if self.ambient.now().duration_since(held.asked) < STALE =>
                {
                    tracing::warn!(object, %failure, "an older description is used");
                    Ok(held.describe)
                }
                (failure, _) => Err(failure),
            },
        }
    }

    async fn ask(
        &self,
        object: &str,
        credential: &Credential,
        held: Option<&Held>,
    ) -> Result<Held, Failure> {
        if !is_name(object) {
            return Err(not_found("The requested resource does not exist"));
        }
        let mut call = Call::get(format!(
            "/services/data/v{}/sobjects/{object}/describe",
            self.version
        ));
        if let Some(since) = held.and_then(|held| held.last_modified.as_deref()) {
            headers::set(&mut call.headers, header::IF_MODIFIED_SINCE, since);
        }
        let asked = self.ambient.now();
        let answer = self.upstream.call(credential, &call, Effect::Reads).await?;
        if answer.status == StatusCode::NOT_MODIFIED
            && let Some(held) = held
        {
            return Ok(Held {
                asked,
                ..held.clone()
            });
        }
        if !answer.status.is_success() {
            return Err(answer.failure(Effect::Reads));
        }
        let text = |name| answer.headers.get(name)?.to_str().ok().map(str::to_owned);
        let last_modified = text(header::LAST_MODIFIED).or_else(|| text(header::DATE));
        let describe = Describe::parse(&answer.body)
            .ok_or_else(|| Failure::not_sent("the description of the object cannot be read"))?;
        Ok(Held {
            describe: Arc::new(describe),
            asked,
            last_modified,
        })
    }
}

/// Whether a text can be an object's or field's API name.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=120).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
