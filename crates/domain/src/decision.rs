//! What was decided, and why.

use serde::{Deserialize, Serialize};

use crate::approval::Granted;
use crate::{DecisionId, FieldRef, OperationId, Patch, RevisionId, Timestamp};

/// The result for one operation, strongest last in the order `allow < require_approval < error <
/// deny`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It may happen.
    Allow,
    /// It waits for people.
    RequireApproval,
    /// No judgement could be made: it does not pass, and may be tried again.
    Error,
    /// It may not happen.
    Deny,
}

impl Effect {
    /// The word used in headers, storage and output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::RequireApproval => "require_approval",
            Self::Error => "error",
            Self::Deny => "deny",
        }
    }
}

/// How strongly a package's voice counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// Its verdict counts.
    #[default]
    Enforce,
    /// Its refusals become warnings; redactions count; patches and scopes do not.
    Warn,
    /// It is only recorded.
    Dryrun,
    /// It is not evaluated and governs nothing.
    Off,
}

/// What a connection does with verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Everything passes; what `enforce` would have done is recorded.
    Observe,
    /// Verdicts are carried out.
    #[default]
    Enforce,
}

impl Mode {
    /// The word used in configuration, storage and output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Enforce => "enforce",
        }
    }
}

/// How bad a refusal is, as its package says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "a plain scale")]
pub enum Severity {
    Low,
    #[default]
    Medium,
    High,
    Critical,
}

/// One reason for a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The package that refused; `crmgate` for the engine's own (`scopes_unknown`,
    /// `patch_conflict`, `ungoverned`, …).
    pub package: String,
    /// A stable code; empty when the policy gave a bare string.
    pub code: String,
    /// What a person should read.
    pub message: String,
    /// The fields it is about.
    #[serde(default)]
    pub fields: Vec<FieldRef>,
    /// How bad.
    #[serde(default)]
    pub severity: Severity,
    /// What to do about it, from the package's metadata.
    pub remediation: Option<String>,
}

/// A warning: let through, told, recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// The package.
    pub package: String,
    /// A stable code, which is all that `Crmgate-Warning` carries.
    pub code: String,
    /// What a person should read.
    pub message: String,
    /// The fields it is about.
    #[serde(default)]
    pub fields: Vec<FieldRef>,
}

/// One agreement that people must give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRequest {
    /// The package that asks.
    pub package: String,
    /// A stable code; an approval is bound to it.
    pub code: String,
    /// Why, for the people asked.
    pub reason: String,
    /// User names who may answer.
    #[serde(default)]
    pub users: Vec<String>,
    /// Groups whose members may answer.
    #[serde(default)]
    pub groups: Vec<String>,
    /// How many people must agree.
    pub quorum: u32,
    /// Seconds until the hold expires.
    pub expires_in_seconds: u64,
    /// Whether a rejection must say why.
    pub reject_needs_reason: bool,
}

/// How a field is hidden, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedactionMode {
    /// Some characters remain.
    Partial,
    /// A keyed hash stands in its place.
    Hash,
    /// The field is left out.
    Drop,
}

/// One field to hide from what leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redaction {
    /// The field.
    pub field: FieldRef,
    /// How.
    pub mode: RedactionMode,
    /// The package that asked for it.
    pub package: String,
}

/// Whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// A lookup, a store, a spent time budget.
    Transient,
    /// The policy itself: it errs until it is mended.
    Policy,
}

/// Why no judgement could be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvaluationError {
    /// The package, or `crmgate`.
    pub package: String,
    /// Whether trying again can help.
    pub class: ErrorClass,
    /// What went wrong, with file and line where the policy is at fault.
    pub message: String,
}

/// What one governing package said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageVerdict {
    /// Its name: `crm.sales.discounts`.
    pub package: String,
    /// Its team, from the metadata.
    pub owner: String,
    /// Whether it is of the connection's own layer.
    pub layer: Layer,
    /// How strongly it counts.
    pub enforcement: Enforcement,
    /// What it alone would have decided.
    pub effect: Effect,
    /// Whether it asked for patches.
    pub patched: bool,
}

/// The layer a package belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// All connections.
    Global,
    /// One connection, which may only tighten.
    Connection,
}

/// The engine's verdict, before it has an id and is recorded. Pure data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The outcome.
    pub effect: Effect,
    /// Refusals, of the engine and of enforced packages.
    pub reasons: Vec<Reason>,
    /// Agreements that are needed.
    pub approvals: Vec<ApprovalRequest>,
    /// Agreements that were needed and are there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved: Vec<Granted>,
    /// Warnings, those of packages in `warn` included.
    pub warnings: Vec<Warning>,
    /// The patches in force, in the order they were applied; a final evaluation saw them applied.
    pub patches: Vec<Patch>,
    /// What to hide from what leaves.
    pub redactions: Vec<Redaction>,
    /// Evaluation errors of enforced packages; not empty when `effect` is `error`.
    pub errors: Vec<EvaluationError>,
    /// Every package that governed, the dry-run ones included.
    pub packages: Vec<PackageVerdict>,
    /// What dry-run packages would have said.
    pub dryrun: Vec<Reason>,
    /// Whether no enforced package governed the operation.
    pub ungoverned: bool,
    /// The policies in force.
    pub revision: RevisionId,
}

/// A judgement with a name and a time: what is recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Names the decision; callers get it in `Crmgate-Decision`.
    pub id: DecisionId,
    /// The operation it is about.
    pub operation: OperationId,
    /// When it was made.
    pub at: Timestamp,
    /// What the connection did with it.
    pub mode: Mode,
    /// The verdict.
    #[serde(flatten)]
    pub judgement: Judgement,
}
