//! What a judgement is asked for, and what it gives back.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::Watch;
use crmgate_domain::approval::Approvers;
use crmgate_domain::{Candidate, Document, Judgement, Layer, Point};

/// What happens to an operation that no package governs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ungoverned {
    /// It passes, marked.
    Allow,
    /// It is refused.
    #[default]
    Deny,
}

/// What a judgement depends on beside the operation and the policies.
#[derive(Debug, Clone)]
pub struct JudgeOptions {
    /// What happens when no package governs; the connection's choice per object and kind.
    pub ungoverned: Ungoverned,
    /// Whether the point can change the record. A hook can't: there a patch refuses.
    pub can_patch: bool,
    /// Whether the point can hold the operation. A hook can't: there `require_approval` refuses.
    pub can_hold: bool,
    /// How long the whole judgement may take.
    pub time_limit: Duration,
    /// Valid approvals, as the input shows them.
    pub approvals: Vec<Document>,
    /// Who can agree to it, and what was agreed: an agreement that is there is not asked for, one
    /// that nobody can be found for refuses. `None` where nobody is looked for: a package's tests.
    pub approvers: Option<Arc<Approvers>>,
    /// Exceptions in force, as the input shows them.
    pub exceptions: Vec<Document>,
    /// Who follows the judgement.
    pub watch: Option<Arc<Watch>>,
}

impl Default for JudgeOptions {
    fn default() -> Self {
        Self {
            ungoverned: Ungoverned::Deny,
            can_patch: true,
            can_hold: true,
            time_limit: Duration::from_millis(50),
            approvals: Vec::new(),
            approvers: None,
            exceptions: Vec::new(),
            watch: None,
        }
    }
}

impl JudgeOptions {
    /// What the point itself can do; everything else as by default.
    #[must_use]
    pub fn at(point: Point) -> Self {
        let hook = point == Point::Hook;
        Self {
            can_patch: !hook,
            can_hold: !hook,
            ..Self::default()
        }
    }
}

/// A judgement and the record it is about.
#[derive(Clone)]
pub struct Judged {
    /// The verdict.
    pub judgement: Judgement,
    /// The candidate with the judgement's patches applied: what may be written.
    pub candidate: Arc<dyn Candidate>,
    /// What every governing package took, over all evaluations.
    pub took: Vec<Took>,
    /// Whether it was not over within its budget of time.
    pub overspent: bool,
}

/// The time that one package took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Took {
    /// The package.
    pub package: String,
    /// Whether it is of the connection's own layer.
    pub layer: Layer,
    /// How long, over all evaluations of one judgement.
    pub time: Duration,
}

impl fmt::Debug for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judged")
            .field("judgement", &self.judgement)
            .finish_non_exhaustive()
    }
}
