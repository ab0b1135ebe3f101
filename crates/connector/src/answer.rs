//! What the gate has to tell a caller, before a connector puts it into the CRM's own shape.

use std::time::Duration;

use crmgate_domain::{DecisionId, HoldId, OperationId};

use crate::Malformed;

/// An answer of the gate's own. The connector renders it so that real clients show it to people
/// and neither loop nor retry nor swallow it (see each fact on status codes in the connector).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A policy said no: permanent.
    Denied {
        /// The decision.
        decision: DecisionId,
        /// All reasons in one text: the policies' messages, remediation included.
        message: String,
        /// Native names of the fields it is about.
        fields: Vec<String>,
        /// Whether it is about who asks (scopes, roles) rather than about the record.
        about_actor: bool,
    },
    /// People must agree first.
    Held {
        /// The decision.
        decision: DecisionId,
        /// The hold.
        hold: HoldId,
        /// The operation by which the gate writes it once people agree: the answer is 202, without
        /// a word of success. `None`: the same request may be sent again then, and the answer is a
        /// refusal.
        operation: Option<OperationId>,
        /// Why, and what comes next.
        message: String,
    },
    /// No judgement could be made, or the CRM cannot be asked: try again.
    Inability {
        /// The decision, where one was recorded.
        decision: Option<DecisionId>,
        /// What happened, for people; no secrets.
        message: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// The gate does not understand this route, method or form, and refuses what it does not
    /// understand.
    NotUnderstood {
        /// What was not understood, and what would be.
        message: String,
    },
    /// The request is of an understood route but wrong.
    Malformed(Malformed),
    /// The body is over the limit.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// No valid credential: the client should sign in.
    Unauthenticated {
        /// What was wrong with it; never the credential.
        message: String,
    },
    /// The caller is known but may not use this connection.
    Forbidden {
        /// Why.
        message: String,
    },
    /// The client's own precondition does not hold.
    PreconditionFailed {
        /// Which.
        message: String,
    },
}
