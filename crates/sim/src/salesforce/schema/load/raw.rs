//! The data files as they are written.

use serde::Deserialize;
use serde_json::Value;

use crate::salesforce::schema::{Derived, Kind};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawObject {
    pub(super) name: String,
    pub(super) label: Option<String>,
    pub(super) plural: Option<String>,
    pub(super) prefix: String,
    #[serde(default)]
    pub(super) read_only: bool,
    #[serde(default = "yes")]
    pub(super) deletable: bool,
    #[serde(default)]
    pub(super) searchable: bool,
    /// Objects that can own a record; none: it has no owner.
    #[serde(default)]
    pub(super) owner: Vec<String>,
    #[serde(default)]
    pub(super) currency: bool,
    #[serde(default)]
    pub(super) addresses: Vec<String>,
    pub(super) state_field: Option<String>,
    pub(super) fields: Vec<RawField>,
    #[serde(default)]
    pub(super) rules: Vec<RawRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRule {
    pub(super) when: String,
    pub(super) message: String,
    pub(super) field: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawField {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    pub(super) label: Option<String>,
    pub(super) length: Option<usize>,
    pub(super) precision: Option<u32>,
    pub(super) scale: Option<u32>,
    #[serde(default)]
    pub(super) required: bool,
    #[serde(default)]
    pub(super) read_only: bool,
    #[serde(default)]
    pub(super) create_only: bool,
    #[serde(default)]
    pub(super) unique: bool,
    #[serde(default)]
    pub(super) external_id: bool,
    #[serde(default)]
    pub(super) id_lookup: bool,
    #[serde(default)]
    pub(super) case_sensitive: bool,
    #[serde(default)]
    pub(super) restricted: bool,
    #[serde(default)]
    pub(super) values: Vec<RawValue>,
    #[serde(default)]
    pub(super) to: Vec<String>,
    pub(super) relationship: Option<String>,
    pub(super) children: Option<String>,
    #[serde(default)]
    pub(super) cascade: bool,
    pub(super) default: Option<Value>,
    pub(super) derived: Option<Derived>,
    pub(super) part_of: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum RawValue {
    Plain(String),
    Full(FullValue),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FullValue {
    pub(super) value: String,
    #[serde(default)]
    pub(super) default: bool,
    #[serde(default)]
    pub(super) closed: bool,
    #[serde(default)]
    pub(super) won: bool,
    pub(super) probability: Option<f64>,
    pub(super) forecast: Option<String>,
}

pub(super) fn yes() -> bool {
    true
}
