//! The objects and fields that policies can know of: the canonical vocabulary, and how each kind
//! of CRM and each connection maps it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// What a canonical field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names of the vocabulary, explained there")]
pub enum FieldKind {
    Text,
    LongText,
    Email,
    Phone,
    Url,
    Boolean,
    Integer,
    Decimal,
    Percent,
    Money,
    Date,
    Datetime,
    Choice,
    Choices,
    Lookup,
}

/// One canonical field of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// What it holds.
    pub kind: FieldKind,
    /// Whether it is about a person.
    pub personal: bool,
    /// The stable names of a choice.
    pub values: BTreeSet<String>,
    /// The objects that a lookup can point to.
    pub to: BTreeSet<String>,
    /// The kinds of CRM, or connections, that have it, each with its own name for it.
    pub systems: BTreeMap<String, String>,
}

/// One canonical object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object {
    /// Its fields by canonical name.
    pub fields: BTreeMap<String, Field>,
    /// What the kinds of CRM call it.
    pub natives: BTreeMap<String, String>,
}

/// All objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// By canonical name.
    pub objects: BTreeMap<String, Object>,
    /// The kinds of CRM whose mapping is in here.
    pub systems: BTreeSet<String>,
    /// The connections that are configured; empty where that is not known.
    pub connections: BTreeSet<String>,
}

impl Catalogue {
    /// The canonical object of a canonical or native name, in any case.
    #[must_use]
    pub fn canonical(&self, name: &str) -> Option<&str> {
        let is = |(canonical, object): &(&String, &Object)| {
            canonical.eq_ignore_ascii_case(name)
                || object
                    .natives
                    .values()
                    .any(|native| native.eq_ignore_ascii_case(name))
        };
        self.objects.iter().find(is).map(|(name, _)| name.as_str())
    }

    /// Every name of an object.
    pub(crate) fn object_names(&self) -> impl Iterator<Item = &str> {
        self.objects.iter().flat_map(|(name, object)| {
            std::iter::once(name.as_str()).chain(object.natives.values().map(String::as_str))
        })
    }
}
