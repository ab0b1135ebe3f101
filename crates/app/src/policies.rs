//! The policies in force: loaded, reloaded, remembered.

use std::sync::Arc;

use async_trait::async_trait;
use crmgate_domain::{Ambient, RevisionId, Timestamp};
use crmgate_policy::{Active, LoadError, LoadErrors, PolicySet, Sources};
use crmgate_store::{Store, StoredRevision};
use serde::Serialize;
use tokio::sync::Mutex;

use crate::{Action, AppError, Principal, sources};

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
    /// One reload at a time, so that the last one to read is the last one to publish.
    reloading: Mutex<()>,
}

impl Policies {
    /// Loads the policies. When the sources are broken, the revision that was last in force is
    /// loaded instead, and [`Self::status`] says `degraded`.
    ///
    /// # Errors
    /// `Policies` when the sources are broken and no earlier revision is known: there is nothing
    /// to judge by, and the gate does not open.
    pub async fn start(parts: PolicyParts) -> Result<Self, AppError> {
        let now = parts.ambient.now();
        let active = match load(&parts).await {
            Ok((sources, set)) => {
                accept(&parts, &sources, &set).await?;
                Active::new(set, now)
            }
            Err(errors) => {
                let set = last_good(&parts, &errors).await?;
                tracing::error!(
                    revision = set.revision().short(),
                    "the policies are broken; the revision last in force is loaded instead:\n{errors}"
                );
                let active = Active::new(set, now);
                active.note_broken(errors, now);
                active
            }
        };
        Ok(Self {
            parts,
            active: Arc::new(active),
            reloading: Mutex::new(()),
        })
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
        let _alone = self.reloading.lock().await;
        let (sources, set) = match load(&self.parts).await {
            Ok(loaded) => loaded,
            Err(errors) => {
                tracing::error!("the changed policies are broken and not in force:\n{errors}");
                metrics::counter!("crmgate_policy_reloads_total", "result" => "broken")
                    .increment(1);
                let now = self.parts.ambient.now();
                self.active.note_broken(errors.clone(), now);
                return Err(AppError::Policies(errors));
            }
        };
        let revision = set.revision().clone();
        let changed = self.active.status().revision != revision;
        if changed {
            accept(&self.parts, &sources, &set).await?;
            tracing::info!(revision = revision.short(), "changed policies are in force");
        }
        self.active.publish(&set, self.parts.ambient.now());
        let result = if changed { "changed" } else { "same" };
        metrics::counter!("crmgate_policy_reloads_total", "result" => result).increment(1);
        Ok(Reloaded { revision, changed })
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

/// Reads, tries and loads the sources. Reading and loading take the time they take, off the
/// threads that answer requests.
async fn load(parts: &PolicyParts) -> Result<(Sources, Arc<PolicySet>), LoadErrors> {
    let source = Arc::clone(&parts.source);
    let sources = aside(move || source.read()).await?;
    let set = try_out(parts, sources.clone()).await?;
    Ok((sources, set))
}

async fn try_out(parts: &PolicyParts, sources: Sources) -> Result<Arc<PolicySet>, LoadErrors> {
    parts.checker.check(&sources).await?;
    aside(move || PolicySet::load_for(&sources, threads()))
        .await
        .map(Arc::new)
}

async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LoadErrors> + Send + 'static,
) -> Result<T, LoadErrors> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| {
            let message = format!("loading broke off: {error}");
            Err(LoadError::file("loader", "", message).into())
        })
}

/// How many threads judge at a time: each gets engines of its own.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// Stores an accepted revision with its sources, so that it can be loaded again.
async fn accept(parts: &PolicyParts, sources: &Sources, set: &PolicySet) -> Result<(), AppError> {
    let sources =
        sources::write(sources).map_err(|error| AppError::Unavailable(error.to_string()))?;
    let revision = StoredRevision {
        revision: set.revision().clone(),
        at: parts.ambient.now(),
        sources,
    };
    Ok(parts.store.accept_revision(revision).await?)
}

async fn last_good(parts: &PolicyParts, errors: &LoadErrors) -> Result<Arc<PolicySet>, AppError> {
    let broken = || AppError::Policies(errors.clone());
    let stored = parts.store.latest_revision().await?.ok_or_else(broken)?;
    let sources = sources::read(&stored.sources).map_err(|error| {
        tracing::error!(%error, "the stored policies cannot be read");
        broken()
    })?;
    let set = try_out(parts, sources).await.map_err(|error| {
        tracing::error!("the stored policies cannot be loaded by this version:\n{error}");
        broken()
    })?;
    if *set.revision() == stored.revision {
        Ok(set)
    } else {
        tracing::error!("the stored policies are not what their revision says");
        Err(broken())
    }
}

#[cfg(test)]
mod tests;
