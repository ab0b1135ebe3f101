//! A resolved write: judged by its views, patched, sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use crmgate_connector::assemble::native_names;
use crmgate_connector::mapping::ObjectMap;
use crmgate_connector::unkeyed;
use crmgate_connector::{Body, NativeChange, NativeResponse, Outgoing, Target};
use crmgate_domain::{
    Candidate, Document, FieldRef, Kind, Object, Patch, PatchError, PayloadHash, Views,
};
use crmgate_store::ReadBack;
use crmgate_store::attempt::Locate;
use http::header::{CONTENT_TYPE, HeaderValue, IF_MATCH, IF_NONE_MATCH, LOCATION};
use http::{HeaderMap, HeaderName, Method, StatusCode};

use crate::draft::Form;
use crate::frame::{Frame, Precondition};
use crate::write::{OWN_ID, STALE};
use crate::{body, headers, key, links};

pub(crate) const ENTITY_ID: HeaderName = HeaderName::from_static("odata-entityid");

/// A write that could happen.
pub(crate) struct DynamicsChange {
    frame: Arc<Frame>,
    change: Option<Object>,
    views: Views,
}

impl DynamicsChange {
    pub(crate) fn new(frame: Arc<Frame>, change: Option<Object>) -> Self {
        let mut views = frame.parts(change.as_ref()).views();
        views.related = frame.related.clone();
        views.unknown.extend(frame.unknown.iter().cloned());
        views.unknown_because.clone_from(&frame.unknown_because);
        Self {
            frame,
            change,
            views,
        }
    }

    /// Columns whose value differs from what the request says.
    fn patched_columns(&self) -> Vec<&str> {
        let change = self.change.iter().flat_map(Object::iter);
        change
            .filter(|(name, value)| self.frame.baseline.get(name) != Some(value))
            .map(|(name, _)| name)
            .collect()
    }

    /// The primary key that the change itself says, of a new record.
    fn chosen_id(&self) -> Option<&str> {
        let primary_id = &self.frame.detail.table.primary_id;
        self.change.as_ref()?.get(primary_id)?.as_str()
    }

    /// The gate's own key for a new record, unless the change says one.
    fn own_id(&self) -> Option<&str> {
        let own = self.frame.detail.own_id.as_deref();
        own.filter(|_| self.chosen_id().is_none())
    }

    fn body(&self) -> Bytes {
        let frame = &self.frame;
        if frame.kind == Kind::Delete {
            return Bytes::new();
        }
        let patched = self.patched_columns();
        let own_id = self.own_id();
        if patched.is_empty() && own_id.is_none() && !frame.rewritten {
            return frame.raw.clone();
        }
        let mut members = frame.members.clone();
        for column in patched {
            if let Some(member) = frame.member_of.get(column) {
                members.remove(member);
                members.remove(&format!("{member}@odata.type"));
            }
            let value = self.change.as_ref().and_then(|change| change.get(column));
            let value = value.unwrap_or(&Document::Null);
            let detail = &frame.detail;
            let (member, value) = body::member(&detail.table, &detail.directory, column, value);
            members.set(&member, value);
        }
        if let Some(id) = own_id {
            members.set(&frame.detail.table.primary_id, id.into());
        }
        Document::from(members).to_json().into()
    }

    fn join_key(&self, actor: Option<&str>) -> PayloadHash {
        let frame = &self.frame;
        let path = frame
            .head
            .uri
            .path_and_query()
            .map_or("", |path| path.as_str());
        let change = self.summary().to_json();
        PayloadHash::of(&[
            frame.kind.as_str().as_bytes(),
            frame.head.method.as_str().as_bytes(),
            path.as_bytes(),
            change.as_bytes(),
            actor.unwrap_or_default().as_bytes(),
        ])
    }

    fn locate(&self) -> Locate {
        let frame = &self.frame;
        let table = &frame.detail.table;
        if let Some(id) = self.own_id() {
            return Locate::Id(id.to_owned());
        }
        let chosen = self.chosen_id();
        match (&frame.sent, chosen) {
            // A key that the client chose proves nothing by itself: another may have taken it.
            (Target::New, Some(id)) => Locate::Key {
                field: table.primary_id.clone(),
                value: id.to_owned(),
            },
            (Target::New, None) => Locate::Nowhere,
            (Target::Id(id), _) if frame.kind == Kind::Create => Locate::Key {
                field: table.primary_id.clone(),
                value: id.clone(),
            },
            (Target::Id(id), _) => Locate::Id(id.clone()),
            (Target::Key(values), _) => {
                let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
                Locate::Key {
                    field: names.join(","),
                    value: key::render(table, &frame.sent),
                }
            }
        }
    }

    /// For an update it is what was demanded of the record, so that it is never empty; a create
    /// without a key is looked for by its time.
    fn version(&self, locate: &Locate) -> Option<String> {
        match &self.frame.precondition {
            Precondition::IfMatch(etag) if etag == "*" => Some(unkeyed::since(self.frame.at)),
            Precondition::IfMatch(etag) | Precondition::Stale(etag) => Some(etag.clone()),
            Precondition::None if *locate == Locate::Nowhere => Some(unkeyed::since(self.frame.at)),
            Precondition::None | Precondition::IfNoneMatch => None,
        }
    }

    fn headers(&self) -> HeaderMap {
        let frame = &self.frame;
        let mut headers = headers::forwarded(&frame.head.headers);
        headers.remove(IF_MATCH);
        headers.remove(IF_NONE_MATCH);
        headers.remove(CONTENT_TYPE);
        if frame.kind != Kind::Delete {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(id) = self.own_id()
            && let Ok(id) = HeaderValue::from_str(id)
        {
            headers.insert(OWN_ID, id);
        }
        if matches!(frame.precondition, Precondition::Stale(_)) {
            headers.insert(STALE, HeaderValue::from_static("1"));
        }
        match &frame.precondition {
            Precondition::None => {}
            Precondition::IfNoneMatch => {
                headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
            }
            Precondition::IfMatch(etag) | Precondition::Stale(etag) => {
                // An ETag came in a header or in an answer and is plain text.
                let value = HeaderValue::from_str(etag);
                headers.insert(IF_MATCH, value.unwrap_or(HeaderValue::from_static("\"\"")));
            }
        }
        headers
    }
}

impl Candidate for DynamicsChange {
    fn views(&self) -> &Views {
        &self.views
    }

    fn patched(&self, patches: &[Patch]) -> Result<Arc<dyn Candidate>, PatchError> {
        Ok(Arc::new(self.with_patches(patches)?))
    }
}

impl DynamicsChange {
    fn with_patches(&self, patches: &[Patch]) -> Result<Self, PatchError> {
        let parts = self.frame.parts(self.change.as_ref());
        let change = parts.patched(self.frame.object_name(), patches)?;
        let touched = crate::values::touches_names(Some(&change));
        if touched == self.frame.values.names_change {
            return Ok(Self::new(Arc::clone(&self.frame), Some(change)));
        }
        let mut frame = Frame::clone(&self.frame);
        frame.values.names_change = touched;
        Ok(Self::new(Arc::new(frame), Some(change)))
    }
}

impl NativeChange for DynamicsChange {
    fn outgoing(&self) -> Outgoing {
        let frame = &self.frame;
        let detail = &frame.detail;
        let (method, place) = match (frame.kind, &frame.sent) {
            (Kind::Create, Target::New) => (Method::POST, String::new()),
            (Kind::Delete, target) => (Method::DELETE, key::render(&detail.table, target)),
            (_, target) => (Method::PATCH, key::render(&detail.table, target)),
        };
        let place = if place.is_empty() {
            place
        } else {
            format!("({place})")
        };
        let (version, set) = (&detail.version, &detail.table.set);
        Outgoing {
            method,
            path_and_query: format!("/api/data/{version}/{set}{place}{}", detail.query),
            headers: self.headers(),
            body: self.body(),
            pinned_by_gate: frame.pinned_by_gate,
        }
    }

    fn summary(&self) -> Document {
        let change = self.change.clone().unwrap_or_default();
        let sorted: BTreeMap<String, Document> = change.into_iter().collect();
        Document::Object(sorted.into_iter().collect())
    }

    fn patched_native(&self, patches: &[Patch]) -> Result<Arc<dyn NativeChange>, PatchError> {
        Ok(Arc::new(self.with_patches(patches)?))
    }

    fn object_map(&self) -> Option<&ObjectMap> {
        self.frame.map()
    }

    fn native_fields(&self, field: &FieldRef) -> Vec<String> {
        native_names(self.frame.map(), field)
    }

    fn changed_fields(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .patched_columns()
            .into_iter()
            .map(str::to_owned)
            .collect();
        names.sort();
        names
    }

    fn reply(&self, mut response: NativeResponse) -> NativeResponse {
        let frame = &self.frame;
        let links = frame.links();
        links.headers(&mut response.headers, &[ENTITY_ID, LOCATION]);
        headers::stay_at(&mut response.headers, &frame.head.gate);
        response.body = links.body(response.body, links::KEYS);
        if response.status.is_success() {
            if frame.detail.form == Form::Property {
                response.headers.remove(ENTITY_ID);
            } else if frame.asked != frame.sent
                && response.headers.contains_key(ENTITY_ID)
                && let Some(address) = frame.address_at_gate(&frame.asked)
            {
                response.headers.insert(ENTITY_ID, address);
            }
        }
        response
    }

    fn confirmed(&self, record_id: Option<&str>) -> NativeResponse {
        let frame = &self.frame;
        let mut response = NativeResponse::empty(StatusCode::NO_CONTENT);
        let version = HeaderValue::from_static("4.0");
        response.headers.insert("odata-version", version);
        let target = match (&frame.asked, record_id) {
            (Target::New, Some(id)) => Target::Id(id.to_owned()),
            (asked, _) => asked.clone(),
        };
        let told = !matches!(frame.detail.form, Form::Delete | Form::Property);
        if told
            && target != Target::New
            && let Some(address) = frame.address_at_gate(&target)
        {
            if frame.asked == Target::New {
                response.headers.insert(LOCATION, address.clone());
            }
            response.headers.insert(ENTITY_ID, address);
        }
        response
    }

    fn read_back(&self, actor: Option<&str>) -> ReadBack {
        let frame = &self.frame;
        let table = &frame.detail.table;
        let expect = self
            .change
            .iter()
            .flat_map(Object::iter)
            .filter(|(name, _)| table.column(name).is_some_and(|column| column.readable));
        let locate = self.locate();
        ReadBack {
            native_object: table.name.clone(),
            version: self.version(&locate),
            locate,
            expect: expect
                .map(|(name, value)| (name.to_owned(), value.clone()))
                .collect(),
            deleted: frame.kind == Kind::Delete,
            actor: actor.map(str::to_owned),
            join_key: self.join_key(actor),
        }
    }
}

/// An answer without links, for what the gate says itself.
pub(crate) fn json_answer(status: StatusCode, body: &Object) -> NativeResponse {
    let mut response = NativeResponse::empty(status);
    let kind = HeaderValue::from_static("application/json; odata.metadata=minimal");
    response.headers.insert(CONTENT_TYPE, kind);
    response
        .headers
        .insert("odata-version", HeaderValue::from_static("4.0"));
    response.body = Body::Full(Document::from(body.clone()).to_json().into());
    response
}
