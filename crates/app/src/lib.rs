//! Use cases, one module each.
//!
//! [`App`] bundles them for the gateway and the control API, which translate and decide nothing.
//! Who may do what is one table: [`access`].

pub mod access;
pub mod app;
pub mod approvals;
pub mod bundles;
pub mod connections;
pub mod decide_write;
pub mod decisions;
pub mod error;
pub mod health;
pub mod holds;
pub mod identify;
pub mod leader;
mod meters;
pub mod operations;
pub mod pass;
pub mod policies;
pub mod presence;
pub mod record;
pub mod report;
pub mod sightings;
pub mod sign_in;
pub mod sources;
pub mod tokens;
pub mod validate;

pub use access::{Action, Principal};
pub use app::{App, AppParts, ProcessParts};
pub use approvals::{ApprovalView, Approvals, VoteResult};
pub use bundles::{BundleStatus, BundleTrouble};
pub use connections::{Connection, ConnectionParts, ConnectionStatus, Connections, IdentityMode};
pub use decisions::Decisions;
pub use error::AppError;
pub use health::{Check, Health, Looker, Readiness, State};
pub use holds::Holds;
pub use identify::{Identities, IdentityCache, IdentitySettings};
pub use leader::{Leader, Leading};
pub use operations::form::{CanonicalForm, NativeForm};
pub use operations::{OperationParts, Operations};
pub use policies::{
    BrokenLayer, Policies, PolicyChecker, PolicyParts, PolicySource, PolicyStatus, Reloaded,
};
pub use presence::{Presence, Present};
pub use record::{CheckpointKey, CheckpointSink, Keep, Record, RecordParts, RecordSettings};
pub use report::{Obstacle, Report, ReportRow};
pub use sightings::Sightings;
pub use tokens::{CreatedToken, TokenRequest, Tokens};
pub use validate::{ValidateRequest, Validated};
