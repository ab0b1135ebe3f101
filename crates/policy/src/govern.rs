//! Which packages govern an operation.

use crmgate_domain::{ConnectionName, Kind, Operation, Point, Reads};

/// What must be known of an operation to tell which packages govern it.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The connection.
    pub connection: &'a ConnectionName,
    /// The object by its canonical name.
    pub object: &'a str,
    /// The object by the CRM's name, in any case.
    pub native_object: &'a str,
    /// The resolved kind.
    pub kind: Kind,
    /// Where it met crmgate.
    pub point: Point,
}

impl<'a> From<&'a Operation> for Target<'a> {
    fn from(operation: &'a Operation) -> Self {
        Self {
            connection: &operation.connection.name,
            object: &operation.object,
            native_object: &operation.native_object,
            kind: operation.kind,
            point: operation.point,
        }
    }
}

/// The packages that govern an operation, and what they read of its record together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Governing {
    /// Names, global layer first, each layer sorted.
    pub packages: Vec<String>,
    /// What must be known of the record. Found from the syntax trees.
    pub reads: Reads,
    /// Whether one that is enforced can ask for people.
    pub asks: bool,
}

impl Governing {
    /// Whether no package governs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty()
    }
}
