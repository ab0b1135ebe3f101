//! The policies in force: loaded, reloaded, remembered.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use crmgate_domain::{Ambient, ConnectionName, RevisionId, Timestamp};
use crmgate_policy::{Active, LoadError, LoadErrors, PolicySet, Sources};
use crmgate_store::{Store, StoredRevision};
use serde::Serialize;
use tokio::sync::Mutex;

use crate::{Action, AppError, BundleStatus, Principal, meters, sources};

pub use revision::RevisionSources;

/// Where policies come from: a folder, bundles. Files are the binary's business.
pub trait PolicySource: Send + Sync {
    /// Reads all sources.
    ///
    /// # Errors
    /// What cannot be read.
    fn read(&self) -> Result<Sources, LoadErrors>;

    /// How the bundles among the sources stand.
    fn bundles(&self) -> Vec<BundleStatus> {
        Vec::new()
    }
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
    /// Whether other processes bring revisions into force, too: see [`Policies::follow`].
    pub shared: bool,
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
    /// Connections whose own layer is broken, while what the others changed is in force.
    pub connections: Vec<BrokenLayer>,
    /// The bundles that policies come from.
    pub bundles: Vec<BundleStatus>,
}

/// A connection whose newest layer is not in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BrokenLayer {
    /// The connection.
    pub connection: ConnectionName,
    /// Since when its layer is broken.
    pub since: Timestamp,
    /// Whether nothing is judged for it: its writes are in error, because it has no earlier layer
    /// that could stand in. Else its last good one is in force.
    pub shut: bool,
    /// What is wrong with it, one line each.
    pub faults: Vec<String>,
}

/// What a reload did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reloaded {
    /// The revision in force now.
    pub revision: RevisionId,
    /// Whether it is another one than before.
    pub changed: bool,
    /// Connections whose own layer is broken and did not come into force.
    pub without: Vec<ConnectionName>,
}

/// Keeps the policies.
pub struct Policies {
    parts: PolicyParts,
    active: Arc<Active>,
    /// What is in force, and what need not be tried again. One reload at a time, so that the last
    /// one to read is the last one to publish.
    accepted: Mutex<(Sources, Deadly)>,
    /// A revision of another process that this one cannot load.
    unloadable: Mutex<Option<RevisionId>>,
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
        let last = stored(&parts).await?;
        let sources = last.as_ref().map(|(sources, _)| sources);
        let (active, accepted) = match apart::load(&parts, sources, &Deadly::new()).await {
            Ok(loaded) if shared::was_replaced(&parts, &loaded, last.as_ref()).await? => {
                shared::start(&parts, last, now).await?
            }
            Ok(loaded) => {
                let known = last.as_ref().map(|(_, revision)| revision);
                if !parts.shared || known != Some(loaded.set.revision()) {
                    accept(&parts, &loaded.sources, &loaded.set).await?;
                }
                tell(&loaded.without, &loaded.set);
                let active = Active::new(Arc::clone(&loaded.set), now);
                active.publish_without(&loaded.set, loaded.without, now);
                (active, (loaded.sources, loaded.deadly))
            }
            Err(errors) => {
                let last = last.ok_or_else(|| AppError::Policies(errors.clone()))?;
                let set = last_good(&parts, &last, &errors).await?;
                tracing::error!(
                    revision = set.revision().short(),
                    "the policies are broken; the revision last in force is loaded instead:\n{errors}"
                );
                let active = Active::new(set, now);
                active.note_broken(errors, now);
                (active, (last.0, Deadly::new()))
            }
        };
        Ok(Self {
            parts,
            active: Arc::new(active),
            accepted: Mutex::new(accepted),
            unloadable: Mutex::default(),
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
        let mut accepted = self.accepted.lock().await;
        let loaded = match apart::load(&self.parts, Some(&accepted.0), &accepted.1).await {
            Ok(loaded) => loaded,
            Err(errors) => {
                tracing::error!("the changed policies are broken and not in force:\n{errors}");
                meters::reloaded("broken");
                let now = self.parts.ambient.now();
                self.active.note_broken(errors.clone(), now);
                return Err(AppError::Policies(errors));
            }
        };
        let revision = loaded.set.revision().clone();
        let changed = self.active.status().revision != revision;
        if changed {
            accept(&self.parts, &loaded.sources, &loaded.set).await?;
            tracing::info!(revision = revision.short(), "changed policies are in force");
        }
        tell(&loaded.without, &loaded.set);
        let result = match (loaded.without.is_empty(), changed) {
            (false, _) => "partly",
            (true, true) => "changed",
            (true, false) => "same",
        };
        let without = loaded.without.keys().cloned().collect();
        let now = self.parts.ambient.now();
        self.active
            .publish_without(&loaded.set, loaded.without, now);
        *accepted = (loaded.sources, loaded.deadly);
        meters::reloaded(result);
        Ok(Reloaded {
            revision,
            changed,
            without,
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
        let lines = |errors: &LoadErrors| errors.all().iter().map(ToString::to_string).collect();
        let connections = status.apart.iter().map(|(name, apart)| BrokenLayer {
            connection: name.clone(),
            since: apart.since,
            shut: apart.shut,
            faults: lines(&apart.errors),
        });
        PolicyStatus {
            revision: status.revision,
            since: status.since,
            degraded: broken.is_some() || !status.apart.is_empty(),
            broken_since: broken.map(|(since, _)| *since),
            faults: broken.map_or_else(Vec::new, |(_, errors)| lines(errors)),
            connections: connections.collect(),
            bundles: self.parts.source.bundles(),
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

/// Says aloud whose layer is not in force.
fn tell(without: &BTreeMap<ConnectionName, LoadErrors>, set: &PolicySet) {
    for (name, errors) in without {
        let instead = if set.is_shut(name) {
            "nothing is judged for it"
        } else {
            "its last good policies stay in force"
        };
        tracing::error!(connection = %name, "the connection's policies are broken; {instead}:\n{errors}");
    }
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

/// The sources that were in force last, with their revision.
async fn stored(parts: &PolicyParts) -> Result<Option<(Sources, RevisionId)>, AppError> {
    let Some(stored) = parts.store.latest_revision().await? else {
        return Ok(None);
    };
    match sources::read(&stored.sources) {
        Ok(sources) => Ok(Some((sources, stored.revision))),
        Err(error) => {
            tracing::error!(%error, "the stored policies cannot be read");
            Ok(None)
        }
    }
}

async fn last_good(
    parts: &PolicyParts,
    (sources, revision): &(Sources, RevisionId),
    errors: &LoadErrors,
) -> Result<Arc<PolicySet>, AppError> {
    let broken = || AppError::Policies(errors.clone());
    let set = try_out(parts, sources.clone()).await.map_err(|error| {
        tracing::error!("the stored policies cannot be loaded by this version:\n{error}");
        broken()
    })?;
    if set.revision() == revision {
        Ok(set)
    } else {
        tracing::error!("the stored policies are not what their revision says");
        Err(broken())
    }
}

mod apart;
mod shared;

use apart::Deadly;
mod revision;
#[cfg(test)]
mod tests;
