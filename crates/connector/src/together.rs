//! Writes that go in one call.
//!
//! A queue has many writes to make and few calls to make them with. A connector says which writes
//! its CRM takes together ([`Connector::form`](crate::Connector::form)) and sends them
//! ([`Connector::write_together`](crate::Connector::write_together)); each keeps a permit, an
//! outcome and a key of its own, as if it had gone alone.

use std::sync::Arc;
use std::time::Duration;

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

/// The code of what was undone because of another write of its group.
const ROLLED_BACK: &str = "rolled_back";

impl Failure {
    /// Nothing was written, because of another write of its group.
    #[must_use]
    pub fn rolled_back(reason: impl Into<String>, retry_after: Option<Duration>) -> Self {
        Self::Repeatable {
            code: ROLLED_BACK.to_owned(),
            reason: reason.into(),
            retry_after,
            response: None,
        }
    }

    /// Whether another write of its group is why nothing was written.
    #[must_use]
    pub fn is_rolled_back(&self) -> bool {
        matches!(self, Self::Repeatable { code, .. } if code == ROLLED_BACK)
    }

    /// What happened to a call, as it happened to one of its writes: without the CRM's own answer.
    #[must_use]
    pub fn of_one(&self) -> Self {
        match self {
            Self::Refused { code, message, .. } => Self::Refused {
                code: code.clone(),
                message: message.clone(),
                response: None,
            },
            Self::Repeatable {
                code,
                reason,
                retry_after,
                ..
            } => Self::Repeatable {
                code: code.clone(),
                reason: reason.clone(),
                retry_after: *retry_after,
                response: None,
            },
            Self::VersionMismatch => Self::VersionMismatch,
            Self::Unknown { reason } => Self::unknown(reason),
        }
    }
}

/// Where the results of writes are put in their order, whatever order they come in.
#[derive(Debug)]
pub struct Desk {
    results: Vec<Option<Result<Written, Failure>>>,
    /// Calls made so far.
    pub calls: u32,
}

impl Desk {
    /// Results of so many writes are to come.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self {
            results: (0..count).map(|_| None).collect(),
            calls: 0,
        }
    }

    /// What came of the write of this number.
    pub fn put(&mut self, index: usize, result: Result<Written, Failure>) {
        if let Some(place) = self.results.get_mut(index) {
            *place = Some(result);
        }
    }

    /// One thing that happened to all of these.
    pub fn put_all(
        &mut self,
        indices: impl IntoIterator<Item = usize>,
        failure: impl Fn() -> Failure,
    ) {
        for index in indices {
            self.put(index, Err(failure()));
        }
    }

    /// What came of the write of this number, where that is known.
    #[must_use]
    pub fn result(&self, index: usize) -> Option<&Result<Written, Failure>> {
        self.results.get(index)?.as_ref()
    }

    /// One of a group was done before, or may have been: that the others were rolled back says only
    /// that nothing was done of them now.
    pub fn doubt_the_rolled_back(&mut self) {
        for result in self.results.iter_mut().flatten() {
            if result.as_ref().is_err_and(Failure::is_rolled_back) {
                *result = Err(Failure::unknown(
                    "another write of its group was done before, or may have been",
                ));
            }
        }
    }

    /// All of them. A write of which nothing was said may have happened.
    #[must_use]
    pub fn delivered(self) -> Delivered {
        let told = |result: Option<_>| {
            result.unwrap_or_else(|| Err(Failure::unknown("nothing was said about this write")))
        };
        Delivered {
            results: self.results.into_iter().map(told).collect(),
            calls: self.calls,
        }
    }
}
