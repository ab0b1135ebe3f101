//! A loaded set of policies.

use std::sync::Arc;

use crmgate_domain::{Candidate, Operation, RevisionId};

use crate::{Governing, JudgeOptions, Judged, LoadError, LoadErrors, Sources, Target};

/// Policies that were checked, prepared and named by a revision. Shared between threads.
#[derive(Debug)]
pub struct PolicySet {
    revision: RevisionId,
}

impl PolicySet {
    /// Checks the sources and prepares their engines.
    ///
    /// # Errors
    /// Every fault that was found, with file, line and remedy.
    pub fn load(_sources: &Sources) -> Result<Self, LoadErrors> {
        Err(LoadError::file("loader", "", "not built").into())
    }

    /// Names the sources this set was made of.
    #[must_use]
    pub const fn revision(&self) -> &RevisionId {
        &self.revision
    }

    /// The packages that govern the target, and what they read.
    #[must_use]
    pub fn governing(&self, _target: &Target<'_>) -> Governing {
        Governing::default()
    }

    /// Evaluates the governing packages and combines what they say.
    #[must_use]
    pub fn judge(
        &self,
        operation: &Operation,
        candidate: &Arc<dyn Candidate>,
        options: &JudgeOptions,
    ) -> Judged {
        use crmgate_domain::{Effect, Judgement};
        let _ = (operation, options);
        Judged {
            judgement: Judgement {
                effect: Effect::Error,
                reasons: Vec::new(),
                approvals: Vec::new(),
                warnings: Vec::new(),
                patches: Vec::new(),
                redactions: Vec::new(),
                errors: Vec::new(),
                packages: Vec::new(),
                dryrun: Vec::new(),
                ungoverned: true,
                revision: self.revision.clone(),
            },
            candidate: Arc::clone(candidate),
        }
    }
}
