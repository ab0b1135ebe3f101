//! How tables hang together.

use std::sync::Arc;

use serde::Deserialize;

/// What becomes of a row when the row that it points at is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cascade {
    /// It stays, and points at nothing.
    #[default]
    RemoveLink,
    /// It is deleted too.
    Delete,
    /// It stands in the way.
    Restrict,
}

/// A lookup, seen as a 1:N relationship.
#[derive(Debug)]
pub(crate) struct Relation {
    pub(crate) name: String,
    /// The table with the lookup.
    pub(crate) from: Arc<str>,
    /// The lookup.
    pub(crate) column: String,
    /// The navigation property beside the lookup.
    pub(crate) nav: String,
    /// The table that it points at.
    pub(crate) to: Arc<str>,
    pub(crate) cascade: Cascade,
}

/// An N:N relationship.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Link {
    pub(crate) name: String,
    pub(crate) intersect: String,
    pub(crate) left: Arc<str>,
    /// The collection on the left table.
    pub(crate) left_nav: String,
    pub(crate) right: Arc<str>,
    /// The collection on the right table.
    pub(crate) right_nav: String,
}

/// Where a navigation property leads.
#[derive(Clone, Debug)]
pub(crate) enum Nav {
    /// To the one row that a lookup points at, in one of these tables.
    One {
        column: String,
        targets: Vec<Arc<str>>,
    },
    /// To the rows whose lookup points here.
    Many(Arc<Relation>),
    /// To the rows linked with this one.
    Linked(Arc<Link>),
}

impl Link {
    /// The table on the other side of `table`.
    pub(crate) fn other(&self, table: &str) -> &Arc<str> {
        if *self.left == *table {
            &self.right
        } else {
            &self.left
        }
    }
}
