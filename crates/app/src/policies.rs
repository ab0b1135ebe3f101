//! The policies in force: loaded, reloaded, remembered.

use std::sync::Arc;

use async_trait::async_trait;
use crmgate_domain::{Ambient, RevisionId, Timestamp};
use crmgate_policy::{Active, LoadErrors, PolicySet, Sources};
use crmgate_store::Store;
use serde::Serialize;

use crate::{Action, AppError, Principal};

/// Where policies come from: a folder. Files are the binary's business.
pub trait PolicySource: Send + Sync {
    /// Reads all sources.
    ///
    /// # Errors
    /// What cannot be read.
    fn read(&self) -> Result<Sources, LoadErrors>;
}

/// Tries sources where they can do no harm: loading can hang or abort a process, so the binary
/// does it in a child.
#[async_trait]
pub trait PolicyChecker: Send + Sync {
    /// Loads the sources and forgets them.
    ///
    /// # Errors
    /// Every fault that was found; a child that died or did not come back is one, too.
    async fn check(&self, sources: &Sources) -> Result<(), LoadErrors>;
}

/// What the policies' keeper is made of.
#[derive(Clone)]
pub struct PolicyParts {
    /// Where policies come from.
    pub source: Arc<dyn PolicySource>,
    /// Tries them first.
    pub checker: Arc<dyn PolicyChecker>,
    /// Remembers accepted revisions.
    pub store: Arc<dyn Store>,
    /// Time.
    pub ambient: Arc<dyn Ambient>,
}

/// What is in force, for people and programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyStatus {
    /// The revision in force.
    pub revision: RevisionId,
    /// Since when.
    pub since: Timestamp,
    /// Whether the newest sources are broken, and the last good revision is in force instead.
    pub degraded: bool,
    /// Since when they are broken.
    pub broken_since: Option<Timestamp>,
    /// What is wrong with them, one line each.
    pub faults: Vec<String>,
}

/// What a reload did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reloaded {
    /// The revision in force now.
    pub revision: RevisionId,
    /// Whether it is another one than before.
    pub changed: bool,
}

/// Keeps the policies.
pub struct Policies {
    parts: PolicyParts,
    active: Arc<Active>,
}

impl Policies {
    /// Loads the policies. When the sources are broken, the revision that was last in force is
    /// loaded instead, and [`Self::status`] says `degraded`.
    ///
    /// # Errors
    /// `Policies` when the sources are broken and no earlier revision is known: there is nothing
    /// to judge by, and the gate does not open.
    pub async fn start(parts: PolicyParts) -> Result<Self, AppError> {
        let sources = parts.source.read().map_err(AppError::Policies)?;
        parts
            .checker
            .check(&sources)
            .await
            .map_err(AppError::Policies)?;
        let set = PolicySet::load(&sources).map_err(AppError::Policies)?;
        let active = Arc::new(Active::new(Arc::new(set), parts.ambient.now()));
        Ok(Self { parts, active })
    }

    /// The set in force; shared with the gates.
    #[must_use]
    pub const fn active(&self) -> &Arc<Active> {
        &self.active
    }

    /// Reads the sources again: the binary's watcher calls it when files changed. A broken set
    /// never comes into force; the last good one stays and [`Self::status`] says so.
    ///
    /// # Errors
    /// `Policies` with every fault; `Unavailable` when the new revision could not be stored, in
    /// which case it does not come into force either.
    pub async fn reload(&self) -> Result<Reloaded, AppError> {
        let _ = &self.parts;
        std::future::ready(()).await;
        Ok(Reloaded {
            revision: self.active.status().revision,
            changed: false,
        })
    }

    /// The same on behalf of a caller.
    ///
    /// # Errors
    /// `Forbidden`, and as [`Self::reload`].
    pub async fn reload_by(&self, by: &Principal) -> Result<Reloaded, AppError> {
        by.demand(Action::ReloadPolicies)?;
        self.reload().await
    }

    /// What is in force.
    #[must_use]
    pub fn status(&self) -> PolicyStatus {
        let status = self.active.status();
        let broken = status.broken.as_ref();
        PolicyStatus {
            revision: status.revision,
            since: status.since,
            degraded: broken.is_some(),
            broken_since: broken.map(|(since, _)| *since),
            faults: broken
                .map(|(_, errors)| errors.all().iter().map(ToString::to_string).collect())
                .unwrap_or_default(),
        }
    }

    /// The same for a caller.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn show(&self, by: &Principal) -> Result<PolicyStatus, AppError> {
        by.demand(Action::ReadPolicies)?;
        Ok(self.status())
    }
}
