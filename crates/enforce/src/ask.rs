//! What is asked of a gate.

use std::time::Duration;

use crmgate_connector::{Credential, Draft};
use crmgate_domain::{Actor, Point, Timestamp};

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
}
