//! The fake connector's changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use crmgate_connector::{Draft, NativeChange, NativeResponse, Outgoing};
use crmgate_domain::{
    Candidate, Change, Document, FieldRef, FieldSet, Kind, Object, Patch, PatchError, PatchOp,
    PayloadHash, Reads, Views,
};
use crmgate_store::{Locate, ReadBack};
use http::{HeaderMap, Method};

use super::{canonical, json, native};
use crate::crm::Versioned;

/// A change that can be judged, patched and sent.
#[derive(Clone)]
pub(super) struct FakeChange {
    kind: Kind,
    object: String,
    id: String,
    stored: Option<Versioned>,
    /// Whether policies may see the stored record.
    shown: bool,
    unknown: Vec<FieldRef>,
    asked: Object,
    change: Object,
    raw: Bytes,
    views: Views,
}

fn by_canonical(fields: &Object) -> Object {
    let named = fields
        .iter()
        .filter_map(|(name, value)| Some((canonical(name)?, value.clone())));
    named.collect()
}

fn merged(stored: Option<&Object>, change: &Object) -> Object {
    let mut whole = stored.cloned().unwrap_or_default();
    for (name, value) in change.iter() {
        whole.set(name, value.clone());
    }
    whole
}

impl FakeChange {
    pub(super) fn new(
        draft: &Draft,
        kind: Kind,
        id: Option<String>,
        stored: Option<Versioned>,
        reads: &Reads,
        service: bool,
    ) -> Self {
        let change = draft.change.clone().unwrap_or_default();
        let missing = |field: &FieldRef| !change.contains(&native(&field.0));
        let unread: Vec<FieldRef> = match reads.all_fields() {
            FieldSet::All => vec![FieldRef("native.everything".to_owned())],
            FieldSet::Only(fields) => fields.into_iter().filter(missing).collect(),
        };
        let wanted = stored.is_some() && (!reads.before.is_empty() || !unread.is_empty());
        let mut made = Self {
            kind,
            object: draft.native_object.clone(),
            id: id.unwrap_or_default(),
            unknown: if wanted && !service {
                unread
            } else {
                Vec::new()
            },
            stored,
            shown: wanted && service,
            asked: change.clone(),
            change,
            raw: draft.raw.clone(),
            views: Views::default(),
        };
        made.views = made.view();
        made
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    fn view(&self) -> Views {
        let stored = self.stored.as_ref().filter(|_| self.shown).map(|s| &s.0);
        let after = (self.kind != Kind::Delete).then(|| merged(stored, &self.change));
        let changes: BTreeMap<String, Change> = self
            .change
            .iter()
            .filter_map(|(name, to)| {
                let from = stored.and_then(|s| s.get(name)).cloned();
                let shown = canonical(name).unwrap_or_else(|| format!("native.{name}"));
                let to = to.clone();
                (from.as_ref() != Some(&to)).then_some((shown, Change { from, to }))
            })
            .collect();
        Views {
            record: after.as_ref().map(by_canonical),
            native: after,
            before: stored.map(by_canonical),
            native_before: stored.cloned(),
            changes,
            related: Object::new(),
            unknown: self.unknown.iter().cloned().collect(),
            unknown_because: (!self.unknown.is_empty()).then(|| "no service credential".to_owned()),
        }
    }

    fn apply(&self, patches: &[Patch]) -> Result<Self, PatchError> {
        if self.kind == Kind::Delete {
            return Err(PatchError::NoRecord);
        }
        let mut patched = self.clone();
        for patch in patches {
            let name = native(&patch.field.0);
            if name == "Nonexistent" {
                return Err(PatchError::NoSuchField {
                    field: patch.field.clone(),
                    object: self.object.to_ascii_lowercase(),
                });
            }
            let stored = patched.stored.as_ref().filter(|_| patched.shown);
            let whole = merged(stored.map(|s| &s.0), &patched.change);
            let current = whole.get(&name);
            let value = match patch.op {
                PatchOp::Default if current.is_some_and(|value| !value.is_null()) => continue,
                PatchOp::Set | PatchOp::Default => patch.value.clone(),
                PatchOp::Clear => Document::Null,
            };
            if current != Some(&value) {
                patched.change.set(&name, value);
            }
        }
        patched.views = patched.view();
        Ok(patched)
    }
}

impl Candidate for FakeChange {
    fn views(&self) -> &Views {
        &self.views
    }

    fn patched(&self, patches: &[Patch]) -> Result<Arc<dyn Candidate>, PatchError> {
        Ok(Arc::new(self.apply(patches)?))
    }
}

impl NativeChange for FakeChange {
    fn outgoing(&self) -> Outgoing {
        let mut headers = HeaderMap::new();
        if let Some((_, version)) = &self.stored {
            headers.insert("if-match", version.to_string().parse().unwrap());
        }
        let body = if self.change == self.asked {
            self.raw.clone()
        } else {
            Document::Object(self.change.clone()).to_json().into()
        };
        Outgoing {
            method: match self.kind {
                Kind::Create => Method::PUT,
                Kind::Delete => Method::DELETE,
                _ => Method::PATCH,
            },
            path_and_query: format!("/records/{}/{}", self.object, self.id),
            pinned_by_gate: self.stored.is_some(),
            headers,
            body,
        }
    }

    fn summary(&self) -> Document {
        Document::Object(self.asked.clone())
    }

    fn patched_native(&self, patches: &[Patch]) -> Result<Arc<dyn NativeChange>, PatchError> {
        Ok(Arc::new(self.apply(patches)?))
    }

    fn changed_fields(&self) -> Vec<String> {
        let differs = |(name, value): &(&str, &Document)| self.asked.get(name) != Some(*value);
        let changed = self.change.iter().filter(differs);
        changed.map(|(name, _)| name.to_owned()).collect()
    }

    fn reply(&self, response: NativeResponse) -> NativeResponse {
        response
    }

    fn confirmed(&self, record_id: Option<&str>) -> NativeResponse {
        let id = record_id.unwrap_or(&self.id);
        let status = if self.kind == Kind::Create { 201 } else { 200 };
        json(status, format!(r#"{{"id":"{id}"}}"#))
    }

    fn read_back(&self, actor: Option<&str>) -> ReadBack {
        let change = Document::Object(self.asked.clone()).to_json();
        ReadBack {
            native_object: self.object.clone(),
            locate: Locate::Id(self.id.clone()),
            expect: self.change.clone(),
            deleted: self.kind == Kind::Delete,
            version: self.stored.as_ref().map(|(_, version)| version.to_string()),
            actor: actor.map(str::to_owned),
            join_key: PayloadHash::of(&[
                actor.unwrap_or_default().as_bytes(),
                self.object.as_bytes(),
                change.as_bytes(),
            ]),
        }
    }
}
