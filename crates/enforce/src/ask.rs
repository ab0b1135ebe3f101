//! What is asked of a gate.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crmgate_connector::{Credential, Draft, Malformed};
use crmgate_domain::{Actor, Point, Timestamp};
use crmgate_store::OperationLog;

/// Who asks, and whose credential goes upstream.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who asks, as policies see it.
    pub actor: Actor,
    /// The CRM's own id of the org, where identification told it.
    pub org: Option<String>,
    /// What goes upstream: the caller's own token, or the connection's credential.
    pub credential: Credential,
}

impl Caller {
    /// Somebody unknown who acts with this credential: observe mode passes them, too.
    #[must_use]
    pub fn unknown(credential: Credential) -> Self {
        Self {
            actor: Actor::default(),
            org: None,
            credential,
        }
    }
}

/// One write that somebody wants.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The parsed write.
    pub draft: Draft,
    /// Who asks.
    pub caller: Caller,
    /// Where it met crmgate.
    pub point: Point,
    /// When it was received.
    pub at: Timestamp,
    /// Why, as the caller states it.
    pub purpose: Option<String>,
    /// How long it took to parse it.
    pub parsing: Duration,
    /// Where it can wait for people without the caller; `None` where the caller comes again.
    pub later: Option<Arc<Later>>,
}

/// What it takes to ask the same again without the caller.
pub struct Later {
    /// Where it waits.
    pub operations: Arc<dyn OperationLog>,
    /// What is stored of the request: it makes the same draft again. Given the CRM's user on whose
    /// behalf it is to be written.
    pub request: Box<Request>,
}

/// Makes what is stored of a request, or says why that cannot be.
pub type Request = dyn Fn(Option<&str>) -> Result<String, Malformed> + Send + Sync;

impl fmt::Debug for Later {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Later").finish_non_exhaustive()
    }
}
