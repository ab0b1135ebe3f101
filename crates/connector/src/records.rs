//! Stored records, read with the connection's own credential.

use std::collections::BTreeSet;

use crmgate_domain::Object;

/// Which native fields to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fields {
    /// Every readable field.
    All,
    /// These, by native name.
    Only(BTreeSet<String>),
}

/// Which record to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Locator {
    /// By normalized id.
    Id(String),
    /// By key: native fields and values as text.
    Key(Vec<(String, String)>),
}

/// A record as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRecord {
    /// Normalized id.
    pub id: String,
    /// Native names, normalized values.
    pub fields: Object,
    /// What pins a write to this state of the record: ETag or modification time, opaque.
    pub version: Option<String>,
}

/// A page of a query's rows.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryPage {
    /// The rows: native names, normalized values.
    pub rows: Vec<Object>,
    /// Opaque cursor of the next page.
    pub next: Option<String>,
    /// Total where the CRM says it.
    pub total: Option<u64>,
}
