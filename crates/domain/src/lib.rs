//! The words of crmgate as types.
//!
//! Values in, values out: this crate does no I/O, knows no clock and no CRM. Everything above it
//! speaks in these types; `DESIGN`'s glossary and the names here are the same on purpose.

pub mod actor;
pub mod ambient;
pub mod approval;
pub mod candidate;
pub mod decision;
pub mod document;
pub mod ids;
pub mod lifecycle;
pub mod operation;
pub mod patch;
pub mod reads;

pub use actor::Actor;
pub use ambient::Ambient;
pub use candidate::{Candidate, Change, PatchError, Views};
pub use decision::{
    ApprovalRequest, Decision, Effect, Enforcement, ErrorClass, EvaluationError, Judgement, Layer,
    Mode, PackageVerdict, Reason, Redaction, RedactionMode, Severity, Warning,
};
pub use document::{Document, Number, Object, ParseError};
pub use ids::{
    ChainId, ConnectionName, DecisionId, HoldId, OperationId, PayloadHash, ProcessId, RevisionId,
    SubmissionId,
};
pub use lifecycle::State;
pub use operation::{BatchInfo, ConnectionRef, Kind, Operation, Point, RequestInfo};
pub use patch::{FieldRef, Patch, PatchOp};
pub use reads::{FieldSet, Reads};

/// The moment type used everywhere: UTC, nanosecond grain, RFC 3339 when written.
pub type Timestamp = jiff::Timestamp;
