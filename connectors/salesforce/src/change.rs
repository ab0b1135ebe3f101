//! A write on its way out: judged, patched, sent.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use crmgate_connector::assemble::{Parts, native_names};
use crmgate_connector::mapping::ObjectMap;
use crmgate_connector::rewrite::Links;
use crmgate_connector::unkeyed;
use crmgate_connector::{NativeChange, NativeResponse, Outgoing};
use crmgate_domain::{
    Candidate, ConnectionName, Document, FieldRef, Kind, Object, Patch, PatchError, PayloadHash,
    Timestamp, Views,
};
use crmgate_store::ReadBack;
use crmgate_store::attempt::Locate;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use url::Url;

use crate::draft::Version;
use crate::headers;
use crate::records::encode;
use crate::resolve::key_value;
use crate::values::{ObjectValues, spelling_of_moment};

mod reply;

/// Tells `write` which key a create must not find taken. It never leaves the gate.
pub(crate) const CREATE_ONLY: HeaderName = HeaderName::from_static("crmgate-create-only");

/// Tells `write` which key the gate gave a create. It never leaves the gate.
pub(crate) const OWN_KEY: HeaderName = HeaderName::from_static("crmgate-own-key");

/// A unique field and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) field: String,
    pub(crate) value: String,
}

/// What no patch changes.
pub(crate) struct Base {
    pub(crate) connection: ConnectionName,
    /// Canonical object name.
    pub(crate) object: String,
    pub(crate) requested: Kind,
    pub(crate) kind: Kind,
    /// Links to the org become links to the gate.
    pub(crate) links: Links,
    pub(crate) gate: Url,
    pub(crate) version: Version,
    pub(crate) raw: Bytes,
    /// The body's members as received.
    pub(crate) body: Object,
    /// Members of the body that stand for a lookup field.
    pub(crate) nested: Vec<(String, String)>,
    /// The change as asked, normalized.
    pub(crate) asked: Option<Object>,
    pub(crate) stored: Option<Object>,
    pub(crate) row_version: Option<String>,
    pub(crate) etag: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) related: Object,
    pub(crate) unknown: BTreeSet<FieldRef>,
    pub(crate) unknown_because: Option<String>,
    /// The key of an upsert.
    pub(crate) key: Option<Key>,
    /// A key of the gate's own.
    pub(crate) generated: Option<Key>,
    /// When it was looked up.
    pub(crate) at: Timestamp,
    pub(crate) values: ObjectValues,
}

impl Base {
    fn map(&self) -> Option<&ObjectMap> {
        self.values
            .mapping
            .object_by_native(&self.values.describe.name)
    }

    fn parts<'a>(&'a self, change: Option<&'a Object>) -> Parts<'a> {
        Parts {
            map: self.map(),
            values: &self.values,
            kind: self.kind,
            change,
            stored: self.stored.as_ref(),
        }
    }

    fn native_object(&self) -> &str {
        &self.values.describe.name
    }
}

/// A change that can be judged, patched and sent.
#[derive(Clone)]
pub(crate) struct SalesforceChange {
    base: Arc<Base>,
    change: Option<Object>,
    views: Views,
}

impl SalesforceChange {
    pub(crate) fn new(base: Arc<Base>, change: Option<Object>) -> Self {
        let mut views = base.parts(change.as_ref()).views();
        views.related.clone_from(&base.related);
        views.unknown.extend(base.unknown.iter().cloned());
        views.unknown_because.clone_from(&base.unknown_because);
        Self {
            base,
            change,
            views,
        }
    }

    fn with_patches(&self, patches: &[Patch]) -> Result<Self, PatchError> {
        let parts = self.base.parts(self.change.as_ref());
        let change = parts.patched(&self.base.object, patches)?;
        if Some(&change) == self.change.as_ref() {
            return Ok(self.clone());
        }
        Ok(Self::new(Arc::clone(&self.base), Some(change)))
    }

    /// Fields whose values differ from what was asked.
    fn patched_fields(&self) -> Vec<(&str, &Document)> {
        let asked = self.base.asked.as_ref();
        self.change
            .iter()
            .flat_map(Object::iter)
            .filter(|(name, value)| asked.and_then(|asked| asked.get(name)) != Some(*value))
            .collect()
    }

    /// The body that goes out; the very bytes that came in where nothing had to change.
    fn body(&self) -> Bytes {
        let base = &self.base;
        let Some(change) = &self.change else {
            return Bytes::new();
        };
        let mut body = base.body.clone();
        let mut edited = false;
        let mut put = |name: &str, value: Document| {
            edited = true;
            let member = body
                .iter()
                .find(|(member, _)| member.eq_ignore_ascii_case(name))
                .map_or_else(|| name.to_owned(), |(member, _)| member.to_owned());
            body.set(&member, value);
        };
        for (name, value) in self.patched_fields() {
            put(name, value.clone());
        }
        for (_, field) in &base.nested {
            if let Some(id) = change.get(field) {
                put(field, id.clone());
            }
        }
        if base.kind == Kind::Create {
            for key in base.key.iter().chain(&base.generated) {
                let value = change
                    .get(&key.field)
                    .filter(|value| !value.is_null())
                    .cloned();
                let value = value.unwrap_or_else(|| key_value(&base.values.describe, key));
                put(&key.field, value);
            }
        }
        for (member, field) in &base.nested {
            if !member.eq_ignore_ascii_case(field) {
                body.remove(member);
            }
        }
        if edited {
            Bytes::from(Document::from(body).to_json())
        } else {
            base.raw.clone()
        }
    }

    /// Pins the write to the row that was read; gives whether the gate's own pin stands. Where the
    /// client set a precondition that the row no longer meets, the client's goes out alone, so
    /// that the answer it asked for is Salesforce's.
    fn pin(&self, headers: &mut HeaderMap) -> bool {
        let base = &self.base;
        let Some(at) = base.row_version.as_deref().and_then(spelling_of_moment) else {
            return false;
        };
        let since = text(&base.headers, &header::IF_UNMODIFIED_SINCE).and_then(http_date);
        if since.is_some_and(|since| since < at) {
            return false;
        }
        if let (Some(theirs), Some(ours)) = (text(&base.headers, &header::IF_MATCH), &base.etag) {
            let mut tags = theirs.split(',').map(str::trim);
            if let Some(tag) = tags.clone().find(|tag| same_tag(tag, ours)) {
                headers::set(headers, header::IF_MATCH, tag);
                headers.remove(header::IF_UNMODIFIED_SINCE);
                return true;
            }
            if !tags.any(|tag| tag == "*") {
                return false;
            }
        }
        // Objects without entity tags ignore `If-Match`, and `*` holds for every version.
        headers.remove(header::IF_MATCH);
        headers::set(headers, header::IF_UNMODIFIED_SINCE, &http_date_text(at));
        true
    }

    fn place(&self) -> String {
        let base = &self.base;
        let object = format!(
            "/services/data/{}/sobjects/{}",
            base.version.segment,
            base.native_object()
        );
        match (&base.kind, &base.values.record_id) {
            (Kind::Create, _) | (_, None) => object,
            (_, Some(id)) => format!("{object}/{}", encode(id)),
        }
    }
}

impl Candidate for SalesforceChange {
    fn views(&self) -> &Views {
        &self.views
    }

    fn patched(&self, patches: &[Patch]) -> Result<Arc<dyn Candidate>, PatchError> {
        Ok(Arc::new(self.with_patches(patches)?))
    }
}

impl NativeChange for SalesforceChange {
    fn outgoing(&self) -> Outgoing {
        let base = &self.base;
        let mut headers = base.headers.clone();
        let method = match base.kind {
            Kind::Create => Method::POST,
            Kind::Delete => Method::DELETE,
            _ => Method::PATCH,
        };
        let mut pinned_by_gate = false;
        match (base.kind, &base.key) {
            (Kind::Create, Some(key)) => {
                let place = format!("{}/{}", key.field, encode(&key.value));
                headers::set(&mut headers, CREATE_ONLY, &place);
                pinned_by_gate = true;
            }
            (Kind::Create, None) => {
                if let Some(key) = &base.generated {
                    let place = format!("{}/{}", key.field, key.value);
                    headers::set(&mut headers, OWN_KEY, &place);
                }
            }
            _ => pinned_by_gate = self.pin(&mut headers),
        }
        let body = self.body();
        if self.change.is_some() {
            let json = HeaderValue::from_static("application/json; charset=UTF-8");
            headers.insert(header::CONTENT_TYPE, json);
        }
        Outgoing {
            method,
            path_and_query: self.place(),
            headers,
            body,
            pinned_by_gate,
        }
    }

    fn summary(&self) -> Document {
        self.base
            .asked
            .clone()
            .map_or(Document::Null, Document::from)
    }

    fn patched_native(&self, patches: &[Patch]) -> Result<Arc<dyn NativeChange>, PatchError> {
        Ok(Arc::new(self.with_patches(patches)?))
    }

    fn changed_fields(&self) -> Vec<String> {
        let patched = self.patched_fields().into_iter().map(|(name, _)| name);
        let generated = self.base.generated.iter().map(|key| key.field.as_str());
        let all: BTreeSet<String> = patched.chain(generated).map(str::to_owned).collect();
        all.into_iter().collect()
    }

    fn object_map(&self) -> Option<&ObjectMap> {
        self.base.map()
    }

    fn native_fields(&self, field: &FieldRef) -> Vec<String> {
        native_names(self.base.map(), field)
    }

    fn reply(&self, response: NativeResponse) -> NativeResponse {
        self.answered(response)
    }

    fn confirmed(&self, record_id: Option<&str>) -> NativeResponse {
        self.confirmation(record_id)
    }

    fn read_back(&self, actor: Option<&str>) -> ReadBack {
        let base = &self.base;
        let expect = self.change.clone().unwrap_or_default();
        let locate = self.locate();
        let version = match locate {
            Locate::Nowhere => Some(unkeyed::since(base.at)),
            _ => base.row_version.clone(),
        };
        ReadBack {
            native_object: base.native_object().to_owned(),
            locate,
            deleted: base.kind == Kind::Delete,
            version,
            actor: actor.map(str::to_owned),
            join_key: self.join_key(&expect, actor),
            expect,
        }
    }
}

impl SalesforceChange {
    fn locate(&self) -> Locate {
        let base = &self.base;
        if let Some(id) = &base.values.record_id {
            return Locate::Id(id.clone());
        }
        // A unique external id that the client itself sent serves as well as a key of the gate's.
        let own = self
            .change
            .iter()
            .flat_map(Object::iter)
            .find_map(|(name, value)| {
                let field = base.values.describe.field(name)?;
                (field.unique && field.external_id).then_some(())?;
                Some(Key {
                    field: name.to_owned(),
                    value: value.as_str()?.to_owned(),
                })
            });
        let key = base
            .generated
            .as_ref()
            .or(base.key.as_ref())
            .or(own.as_ref());
        key.map_or(Locate::Nowhere, |key| Locate::Key {
            field: key.field.clone(),
            value: key.value.clone(),
        })
    }

    fn join_key(&self, expect: &Object, actor: Option<&str>) -> PayloadHash {
        let base = &self.base;
        let members: std::collections::BTreeMap<&str, &Document> = expect.iter().collect();
        let sorted: Object = members
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .collect();
        PayloadHash::of(&[
            base.connection.to_string().as_bytes(),
            actor.unwrap_or_default().as_bytes(),
            base.kind.as_str().as_bytes(),
            base.native_object().as_bytes(),
            base.values
                .record_id
                .as_deref()
                .unwrap_or_default()
                .as_bytes(),
            Document::from(sorted).to_json().as_bytes(),
        ])
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Entity tags come with `-gzip` at their end when an answer was compressed.
fn same_tag(theirs: &str, ours: &str) -> bool {
    let plain = |tag: &str| tag.trim().replace("-gzip", "");
    plain(ours) == plain(theirs)
}

fn http_date(text: &str) -> Option<jiff::Timestamp> {
    jiff::fmt::rfc2822::parse(text)
        .ok()
        .map(|at| at.timestamp())
}

fn http_date_text(at: jiff::Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
