//! Changes that policies make to a record.

use serde::{Deserialize, Serialize};

use crate::Document;

/// A field as policies name it: canonical (`email`), or `native.X` for the CRM's own API name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FieldRef(pub String);

impl FieldRef {
    /// The native name, when this is one.
    #[must_use]
    pub fn native(&self) -> Option<&str> {
        self.0.strip_prefix("native.")
    }

    /// The canonical name, when this is one.
    #[must_use]
    pub fn canonical(&self) -> Option<&str> {
        if self.0.starts_with("native.") {
            None
        } else {
            Some(&self.0)
        }
    }
}

impl std::fmt::Display for FieldRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a patch changes its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PatchOp {
    /// Give the field this value.
    Set,
    /// Give the field this value if the record, after the write, would have none (absent or null).
    Default,
    /// Make the field null.
    Clear,
}

/// One change that a policy makes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Patch {
    /// How.
    pub op: PatchOp,
    /// Which field.
    pub field: FieldRef,
    /// The value, canonical for a canonical field; `Null` for `clear`.
    pub value: Document,
    /// The package that asked for it.
    pub package: String,
}
