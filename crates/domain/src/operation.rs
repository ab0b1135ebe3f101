//! One normalized record operation.

use serde::{Deserialize, Serialize};

use crate::{Actor, ConnectionName, Document, Object, OperationId, Timestamp};

/// What an operation does. Policies see `Upsert` never: it is read first and becomes `Create` or
/// `Update` (`Operation::requested` remembers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the glossary's own words")]
pub enum Kind {
    Create,
    Update,
    Upsert,
    Delete,
    Associate,
    Disassociate,
    Action,
    Read,
    Event,
}

impl Kind {
    /// The word used in metadata, input and storage.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Upsert => "upsert",
            Self::Delete => "delete",
            Self::Associate => "associate",
            Self::Disassociate => "disassociate",
            Self::Action => "action",
            Self::Read => "read",
            Self::Event => "event",
        }
    }

    /// Whether the CRM's records change by it.
    #[must_use]
    pub const fn writes(self) -> bool {
        !matches!(self, Self::Read | Self::Event)
    }
}

/// Where an operation met crmgate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the glossary's own words")]
pub enum Point {
    Gateway,
    Queue,
    Hook,
    Validate,
    Scan,
    Event,
}

impl Point {
    /// The word used in metadata, input and storage.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Queue => "queue",
            Self::Hook => "hook",
            Self::Validate => "validate",
            Self::Scan => "scan",
            Self::Event => "event",
        }
    }

    /// Whether an operation can be written from here once it is judged.
    #[must_use]
    pub const fn may_write(self) -> bool {
        matches!(self, Self::Gateway | Self::Queue)
    }
}

/// The connection, as policies see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionRef {
    /// The configured name.
    pub name: ConnectionName,
    /// The kind of CRM: `salesforce`, `dynamics`, …
    pub system: String,
    /// The CRM's own id of the org, where it is known.
    pub org: Option<String>,
}

/// The native request an operation came by. Absent off the gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestInfo {
    /// The method in effect, after any override.
    pub method: String,
    /// The route's template below the API root: `/sobjects/{object}`.
    pub resource: String,
    /// The values of the template's parameters.
    pub path_parameters: std::collections::BTreeMap<String, String>,
    /// Decoded query parameters; the last of a repeated name wins.
    pub query_parameters: std::collections::BTreeMap<String, String>,
}

/// The place of an operation inside a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchInfo {
    /// One id for all operations of the batch.
    pub id: String,
    /// Zero-based place.
    pub index: usize,
    /// How many operations the batch has.
    pub size: usize,
    /// Whether they succeed or fail together.
    pub atomic: bool,
}

/// One normalized record operation: everything of the policy input but the record itself, which
/// a [`Candidate`](crate::Candidate) carries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// Names the operation through its whole life.
    pub id: OperationId,
    /// What it does, resolved.
    pub kind: Kind,
    /// What was asked for where that differs: an upsert.
    pub requested: Option<Kind>,
    /// Where it met crmgate.
    pub point: Point,
    /// When it was received; the only clock a policy has.
    pub at: Timestamp,
    /// The connection.
    pub connection: ConnectionRef,
    /// Canonical object name (`contact`), or the native one in lower case where no mapping exists.
    pub object: String,
    /// The CRM's own name (`Contact`, `account`).
    pub native_object: String,
    /// The record's id, normalized; `None` for a create.
    pub record_id: Option<String>,
    /// Who asks.
    pub actor: Actor,
    /// The native request, at the gateway.
    pub request: Option<RequestInfo>,
    /// Why, as the caller states it.
    pub purpose: Option<String>,
    /// The batch it is part of.
    pub batch: Option<BatchInfo>,
    /// The name of an action.
    pub name: Option<String>,
    /// The arguments of an action.
    pub arguments: Option<Object>,
    /// The relation of an associate or disassociate: `{"name", "target": {"type", "id"}}`.
    pub relation: Option<Document>,
}
