//! What parsing leaves for resolving.

use std::sync::Arc;

use crmgate_connector::{Draft, Malformed};
use crmgate_domain::Object;
use http::HeaderMap;

use crate::metadata::Describe;

/// The API version of a request.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    /// `v66.0`.
    pub(crate) segment: String,
    /// 660.
    pub(crate) number: u32,
}

/// A lookup given by a key of the record it points to: `"Account": {"Ext__c": "X"}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NestedLookup {
    /// The member of the body.
    pub(crate) member: String,
    /// The lookup field it stands for.
    pub(crate) field: String,
    /// The object it points to.
    pub(crate) object: String,
    /// The key field there.
    pub(crate) key_field: String,
    /// The key.
    pub(crate) key: String,
}

/// The parsed request, beyond what every connector's draft has.
#[derive(Debug)]
pub(crate) struct Detail {
    pub(crate) describe: Arc<Describe>,
    pub(crate) version: Version,
    /// The body's members as received.
    pub(crate) body: Object,
    /// Members of the body that stand for a lookup field: the write goes out with the field.
    pub(crate) nested: Vec<(String, String)>,
    /// Headers that go along.
    pub(crate) headers: HeaderMap,
    /// An upsert that must not create.
    pub(crate) update_only: bool,
}

impl Detail {
    /// The detail of one of this connector's drafts.
    pub(crate) fn of(draft: &Draft) -> Result<Arc<Self>, Malformed> {
        draft
            .detail
            .clone()
            .and_then(|detail| detail.downcast::<Self>().ok())
            .ok_or_else(|| Malformed::new("not_understood", "the draft is of another connector"))
    }
}
