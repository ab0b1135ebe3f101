//! How a CRM fails, and how a request can be no request.

use std::time::Duration;

use crate::NativeResponse;

/// The three failures: refused, safe to repeat, outcome unknown. They are told apart by the CRM's
/// error code first and by status only where there is no code.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The CRM understood and said no: permanent, nothing was written.
    #[error("the CRM refused: {code}: {message}")]
    Refused {
        /// The CRM's code.
        code: String,
        /// The CRM's message.
        message: String,
        /// The CRM's own answer, links rewritten, for the caller.
        response: Option<Box<NativeResponse>>,
    },
    /// Nothing was written and the same request may succeed later: not sent at all, throttled,
    /// locked, unavailable.
    #[error("the CRM cannot answer now: {reason}")]
    Repeatable {
        /// A stable word: `connect`, `throttled`, `locked`, `unavailable`, `sign_in`; `rolled_back`
        /// because of another write of its group; `failed` where the CRM failed at this one.
        code: String,
        /// What happened, for people; no secrets.
        reason: String,
        /// How long to wait, where the CRM said.
        retry_after: Option<Duration>,
        /// The CRM's own answer, where there was one.
        response: Option<Box<NativeResponse>>,
    },
    /// The pinned version no longer stands; nothing was written.
    #[error("the record changed since it was read")]
    VersionMismatch,
    /// It was sent and no answer came: it may have happened.
    #[error("the outcome is unknown: {reason}")]
    Unknown {
        /// What happened, for people; no secrets.
        reason: String,
    },
}

impl Failure {
    /// Something that was sent, and may have happened.
    #[must_use]
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self::Unknown {
            reason: reason.into(),
        }
    }

    /// Something that was never sent.
    #[must_use]
    pub fn not_sent(reason: impl Into<String>) -> Self {
        Self::Repeatable {
            code: "connect".into(),
            reason: reason.into(),
            retry_after: None,
            response: None,
        }
    }
}

/// A native request of a known route that the gate will not act on: nothing of it reached the CRM.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Malformed {
    /// A stable code of the gate: `invalid_json`, `duplicate_field`, `unsupported_media_type`,
    /// `not_understood`, `bypass_refused`, `invalid_id`, ….
    pub code: &'static str,
    /// What is wrong, where, and what was expected.
    pub message: String,
    /// The native fields it is about.
    pub fields: Vec<String>,
}

impl Malformed {
    /// A malformed request.
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            fields: Vec::new(),
        }
    }

    /// The same, about a field.
    #[must_use]
    pub fn field(code: &'static str, field: &str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            fields: vec![field.to_owned()],
        }
    }
}
