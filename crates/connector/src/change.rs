//! A native write on its way from request to judged payload.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use crmgate_domain::{
    Candidate, Document, FieldRef, Kind, Object, OperationId, Patch, PatchError, PayloadHash,
    Reads, RequestInfo,
};
use crmgate_store::ReadBack;
use http::{HeaderMap, Method};

use crate::mapping::ObjectMap;
use crate::{NativeResponse, RequestHead};

/// A parsed native write, not yet looked up.
#[derive(Debug, Clone)]
pub struct Draft {
    /// What was asked: create, update, upsert, delete, associate, disassociate, action.
    pub requested: Kind,
    /// Canonical object name, or the native one in lower case.
    pub object: String,
    /// The CRM's own name of the object, in its own spelling.
    pub native_object: String,
    /// The record, as far as the request tells: an id (normalized) or a key.
    pub target: Target,
    /// The change under native names, normalized spelling; `None` for a delete.
    pub change: Option<Object>,
    /// The body as received. Sent byte for byte when no patch touches it and no link was rewritten.
    pub raw: Bytes,
    /// The request it came by; for a draft in canonical form, a made-up one with the gate's URL.
    pub head: RequestHead,
    /// What policies see of the request; `None` off the gateway.
    pub request: Option<RequestInfo>,
    /// An action's name.
    pub action: Option<String>,
    /// An action's arguments.
    pub arguments: Option<Object>,
    /// The relation of an associate or disassociate, as the policy input has it.
    pub relation: Option<Document>,
    /// The operation that a create's key is derived from: equal seeds MUST give equal keys, so that
    /// a create that is judged again after a crash cannot become a second record. Without one, a
    /// key is drawn.
    pub seed: Option<OperationId>,
    /// Whatever else the connector parsed and needs again in `resolve`.
    pub detail: Option<Arc<dyn Any + Send + Sync + 'static>>,
}

/// Which record a draft is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A new one.
    New,
    /// The one of this normalized id.
    Id(String),
    /// The one of this key: native fields and values as text.
    Key(Vec<(String, String)>),
}

/// What the governing policies need to read, asked by the connector once it knows what the
/// operation really is (an upsert is read first).
pub trait Needs: Send + Sync {
    /// The reads of the packages that govern this kind of operation on this object.
    fn reads(&self, kind: Kind, object: &str, native_object: &str) -> Reads;
}

/// A draft after look-up: the resolved operation and the change to judge.
#[derive(Clone)]
pub struct Resolved {
    /// `Create`, `Update`, `Delete`, …; never `Upsert`.
    pub kind: Kind,
    /// The record's normalized id; `None` for a create.
    pub record_id: Option<String>,
    /// The change.
    pub change: Arc<dyn NativeChange>,
}

/// A change that can be judged, patched and sent.
pub trait NativeChange: Candidate {
    /// What would be sent. Calling it twice gives equal results.
    fn outgoing(&self) -> Outgoing;

    /// The change as asked, under native names with normalized values: shown to approvers.
    fn summary(&self) -> Document;

    /// A copy with patches applied; as [`Candidate::patched`], keeping the native side.
    ///
    /// # Errors
    /// When a patch names a field the object does not have or a value it cannot hold.
    fn patched_native(&self, patches: &[Patch]) -> Result<Arc<dyn NativeChange>, PatchError>;

    /// Native names of the fields in which the outgoing payload differs from the request's.
    fn changed_fields(&self) -> Vec<String>;

    /// The native names of a field as policies name it; empty where none is known. Connectors with
    /// a mapping answer for canonical names, too.
    fn native_fields(&self, field: &FieldRef) -> Vec<String> {
        field.native().map(str::to_owned).into_iter().collect()
    }

    /// How the object's fields map, and who each is about; `None` where no mapping names it.
    fn object_map(&self) -> Option<&ObjectMap> {
        None
    }

    /// Turns the CRM's answer to what was *sent* into the answer to what was *asked* (an upsert
    /// that went out as a create or a pinned update), links rewritten.
    fn reply(&self, response: NativeResponse) -> NativeResponse;

    /// The answer to what was asked for a write whose own answer was lost and which reading back
    /// found to have happened: what the CRM would have said, as far as it can be told.
    fn confirmed(&self, record_id: Option<&str>) -> NativeResponse;

    /// How to find out later whether it happened. `actor` is the CRM's id of who writes.
    fn read_back(&self, actor: Option<&str>) -> ReadBack;
}

/// The exact request that would be sent, without credentials.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Method.
    pub method: Method,
    /// Path and query below the CRM's host.
    pub path_and_query: String,
    /// Headers, the pin (`If-Match`, `If-Unmodified-Since`, `If-None-Match`) included.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// Whether the gate set the pin: then a mismatch is judged again and never shown. A client's
    /// own stale precondition keeps its own answer.
    pub pinned_by_gate: bool,
}

impl Outgoing {
    /// What a permit is bound to: method, path, preconditions, body.
    #[must_use]
    pub fn hash(&self) -> PayloadHash {
        let header = |name| {
            self.headers
                .get(name)
                .map_or(&[][..], |value: &http::HeaderValue| value.as_bytes())
        };
        PayloadHash::of(&[
            self.method.as_str().as_bytes(),
            self.path_and_query.as_bytes(),
            header("if-match"),
            header("if-none-match"),
            header("if-unmodified-since"),
            &self.body,
        ])
    }
}
