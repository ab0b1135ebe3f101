//! A write that could happen, as policies see it and as patches change it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Document, FieldRef, Object, Patch};

/// One changed field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The stored value; `None` when the record did not exist or has no such field.
    pub from: Option<Document>,
    /// The value after the write.
    pub to: Document,
}

/// The record, in the forms the policy input has. All maps hold canonical values under canonical
/// names, except the two `native` ones, which hold normalized values under the CRM's API names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Views {
    /// The record after the write: the stored one merged with the change. `None` for a delete.
    pub record: Option<Object>,
    /// The same under native names. `None` for a delete.
    pub native: Option<Object>,
    /// The record as stored. `None` for a create, or when no governing package needs it.
    pub before: Option<Object>,
    /// The stored record under native names.
    pub native_before: Option<Object>,
    /// What the write changes, by canonical name; fields without one appear as `native.X`.
    pub changes: BTreeMap<String, Change>,
    /// Related records that packages asked for with `needs`, by relation name.
    pub related: Object,
    /// Fields whose value could not be had. A package that reads one of them is in error.
    pub unknown: BTreeSet<FieldRef>,
    /// Why fields are unknown, for the error's message: `no service credential`.
    pub unknown_because: Option<String>,
}

/// A patch that cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// The object has no such field.
    #[error("object `{object}` has no field `{field}`")]
    NoSuchField {
        /// The field as the policy named it.
        field: FieldRef,
        /// The object, by its canonical name.
        object: String,
    },
    /// The value does not fit the field's type or its value table.
    #[error("field `{field}` cannot hold this value: {expected}")]
    WrongValue {
        /// The field as the policy named it.
        field: FieldRef,
        /// What would fit.
        expected: String,
    },
    /// The patch is a default, and the stored value that decides about it was not read.
    #[error("the stored value of field `{field}` is not known, so no default can be given to it")]
    NotRead {
        /// The field as the policy named it.
        field: FieldRef,
    },
    /// The operation carries no record, as a delete.
    #[error("a delete has no record to patch")]
    NoRecord,
}

/// A write that could happen.
///
/// The connector makes it out of a native request (or a canonical one), holding whatever it needs
/// to send it; the policy engine only reads its [`Views`] and asks for patched copies.
pub trait Candidate: Send + Sync {
    /// The record as policies see it.
    fn views(&self) -> &Views;

    /// A copy with the patches applied in order, views recomputed (`changes` and `native`
    /// included). Patches that change nothing give an equal copy.
    ///
    /// # Errors
    /// When a patch names a field the object does not have or a value it cannot hold.
    fn patched(&self, patches: &[Patch]) -> Result<Arc<dyn Candidate>, PatchError>;
}

/// A candidate of canonical fields only, bound to no CRM: data cases and tests use it.
#[derive(Debug, Clone, Default)]
pub struct PlainCandidate {
    views: Views,
}

impl PlainCandidate {
    /// Wraps views as they are.
    #[must_use]
    pub const fn new(views: Views) -> Self {
        Self { views }
    }
}

impl Candidate for PlainCandidate {
    fn views(&self) -> &Views {
        &self.views
    }

    fn patched(&self, patches: &[Patch]) -> Result<Arc<dyn Candidate>, PatchError> {
        let mut views = self.views.clone();
        for patch in patches {
            let (name, map) = match (patch.field.native(), &mut views) {
                (
                    Some(name),
                    Views {
                        native: Some(map), ..
                    },
                ) => (name, map),
                (
                    None,
                    Views {
                        record: Some(map), ..
                    },
                ) => (patch.field.0.as_str(), map),
                _ => return Err(PatchError::NoRecord),
            };
            map.set(name, patch.value.clone());
            let from = views
                .before
                .as_ref()
                .and_then(|before| before.get(name))
                .cloned();
            if from.as_ref() == Some(&patch.value) {
                views.changes.remove(&patch.field.0);
            } else {
                let change = Change {
                    from,
                    to: patch.value.clone(),
                };
                views.changes.insert(patch.field.0.clone(), change);
            }
        }
        Ok(Arc::new(Self { views }))
    }
}
