//! Writes that go in one call.
//!
//! A queue has many writes to make and few calls to make them with. A connector says which writes
//! its CRM takes together ([`Connector::form`](crate::Connector::form)) and sends them
//! ([`Connector::write_together`](crate::Connector::write_together)); each keeps a permit, an
//! outcome and a key of its own, as if it had gone alone.

use std::sync::Arc;

use crmgate_store::Permit;

use crate::{Failure, NativeChange, Outgoing, Written};

/// The batch form of a CRM by which a write can go.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Form {
    /// Writes of equal keys may share a call. Opaque.
    pub key: String,
    /// Most writes in one call.
    pub most: usize,
    /// Most bytes of bodies in one call.
    pub most_bytes: usize,
}

/// One write of a call.
pub struct Parcel {
    /// The leave to send it.
    pub permit: Permit,
    /// What would be sent if it went alone; the permit is bound to it.
    pub outgoing: Outgoing,
    /// The change.
    pub change: Arc<dyn NativeChange>,
}

/// What came of the writes of a call.
#[derive(Debug)]
pub struct Delivered {
    /// For each write, in their order, what [`Connector::write`](crate::Connector::write) would
    /// have given.
    pub results: Vec<Result<Written, Failure>>,
    /// How many calls to the CRM it took; sign-ins and metadata apart.
    pub calls: u32,
}

impl Delivered {
    /// One thing that happened to all of them.
    #[must_use]
    pub fn all(count: usize, calls: u32, failure: impl Fn() -> Failure) -> Self {
        Self {
            results: (0..count).map(|_| Err(failure())).collect(),
            calls,
        }
    }
}
