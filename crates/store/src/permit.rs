//! The value without which no connector can write.

use crmgate_domain::{ConnectionName, DecisionId, OperationId, PayloadHash, RevisionId, Timestamp};
use serde::{Deserialize, Serialize};

/// Seconds a permit can be used after it was minted. Long enough for a slow CRM to accept a
/// connection, short enough that what was judged still holds.
pub const LIFETIME_SECONDS: i64 = 30;

/// What a permit rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Policies allowed it.
    Judged,
    /// The connection is in observe mode: it passes whatever the verdict.
    Observed,
    /// The connection is in observe mode and the gate does not understand the request.
    Opaque,
    /// No judgement could be made and the connection is configured to fail open.
    FailedOpen,
}

impl Basis {
    /// The word used in storage and output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Judged => "judged",
            Self::Observed => "observed",
            Self::Opaque => "opaque",
            Self::FailedOpen => "failed_open",
        }
    }
}

/// Leave to send one payload once. Not `Clone`, made only by [`Recorder`](crate::Recorder), spent
/// by [`Permit::admit`].
#[derive(Debug)]
#[must_use = "a permit that is dropped is a write that does not happen"]
pub struct Permit {
    pub(crate) decision: DecisionId,
    pub(crate) operation: OperationId,
    pub(crate) connection: ConnectionName,
    pub(crate) payload: PayloadHash,
    pub(crate) revision: Option<RevisionId>,
    pub(crate) basis: Basis,
    pub(crate) expires: Timestamp,
}

/// Proof, inside a connector, that a permit matched what is about to be sent.
#[derive(Debug)]
#[non_exhaustive]
pub struct Admitted {
    /// The decision it rests on.
    pub decision: DecisionId,
    /// The operation.
    pub operation: OperationId,
    /// The policies in force, for judged permits.
    pub revision: Option<RevisionId>,
    /// What it rests on.
    pub basis: Basis,
}

/// A permit that does not fit. Always a fault of this program, never of a caller.
#[derive(Debug, thiserror::Error)]
pub enum PermitError {
    /// It was minted for another connection.
    #[error("the permit is for connection `{permit}`, not `{asked}`")]
    OtherConnection {
        /// The permit's.
        permit: ConnectionName,
        /// The one that would write.
        asked: ConnectionName,
    },
    /// The payload is not the one that was judged.
    #[error("the payload is not the one that was judged")]
    OtherPayload,
    /// It was not used in time.
    #[error("the permit expired at {0}")]
    Expired(Timestamp),
}

impl Permit {
    /// The decision the permit rests on.
    #[must_use]
    pub const fn decision(&self) -> DecisionId {
        self.decision
    }

    /// What the permit rests on.
    #[must_use]
    pub const fn basis(&self) -> Basis {
        self.basis
    }

    /// Spends the permit on what is about to be sent.
    ///
    /// # Errors
    /// When connection or payload differ from what was recorded, or it is too late.
    pub fn admit(
        self,
        connection: &ConnectionName,
        payload: PayloadHash,
        now: Timestamp,
    ) -> Result<Admitted, PermitError> {
        if self.connection != *connection {
            let asked = connection.clone();
            return Err(PermitError::OtherConnection {
                permit: self.connection,
                asked,
            });
        }
        if self.payload != payload {
            return Err(PermitError::OtherPayload);
        }
        if now > self.expires {
            return Err(PermitError::Expired(self.expires));
        }
        Ok(Admitted {
            decision: self.decision,
            operation: self.operation,
            revision: self.revision,
            basis: self.basis,
        })
    }
}
