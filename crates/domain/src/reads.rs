//! What a set of policies reads of a record, found from their syntax trees.

use std::collections::BTreeSet;

use crate::FieldRef;

/// A set of fields that may be all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldSet {
    /// Every field: what a policy reads could not be told statically.
    All,
    /// Exactly these.
    Only(BTreeSet<FieldRef>),
}

impl Default for FieldSet {
    fn default() -> Self {
        Self::Only(BTreeSet::new())
    }
}

impl FieldSet {
    /// Whether `field` is in the set.
    #[must_use]
    pub fn contains(&self, field: &FieldRef) -> bool {
        match self {
            Self::All => true,
            Self::Only(fields) => fields.contains(field),
        }
    }

    /// Whether the set has no field at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Only(fields) if fields.is_empty())
    }

    /// Adds the fields of `other`.
    pub fn extend(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::All, _) => {}
            (_, Self::All) => *self = Self::All,
            (Self::Only(mine), Self::Only(theirs)) => mine.extend(theirs.iter().cloned()),
        }
    }
}

/// What the governing packages read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads {
    /// Fields of the record after the write, canonical and native.
    pub record: FieldSet,
    /// Fields of the record before the write: through `before`, `native_before`, or
    /// `changes[_].from`.
    pub before: FieldSet,
    /// Related records named by `needs` (`account`).
    pub related: BTreeSet<String>,
}

impl Reads {
    /// Adds what `other` reads.
    pub fn extend(&mut self, other: &Self) {
        self.record.extend(&other.record);
        self.before.extend(&other.before);
        self.related.extend(other.related.iter().cloned());
    }

    /// Every field read in either form.
    #[must_use]
    pub fn all_fields(&self) -> FieldSet {
        let mut fields = self.record.clone();
        fields.extend(&self.before);
        fields
    }
}
