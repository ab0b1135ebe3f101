//! Policies that come as OPA bundles, from files and servers: fetched, checked, kept, followed.
//!
//! INVARIANT: what is wrong with a bundle's newest state, wherever it shows (the server, the
//! archive, the signature, the policies in it), leaves its last good state in force.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use crmgate_app::{AppError, BundleStatus, BundleTrouble, Policies, PolicySource};
use crmgate_bundle::{Bundle, BundleError, Limits, Placed, Trust, combine, open};
use crmgate_domain::{Ambient, Timestamp};
use crmgate_outbound::{BuildError, Client};
use crmgate_policy::{LoadError, LoadErrors, Sources};

use super::policies::FolderSource;
use crate::config::{BundleSource, Config, Keys, Origin};

mod copies;
mod fetch;
mod follow;
#[cfg(test)]
mod tests;
mod told;

use copies::Copies;
use fetch::Fetched;

/// The folder with the bundles.
pub(crate) struct CombinedSource {
    pub(crate) folder: FolderSource,
    pub(crate) bundles: Arc<Bundles>,
}

impl PolicySource for CombinedSource {
    fn read(&self) -> Result<Sources, LoadErrors> {
        self.bundles.add_to(self.folder.read()?)
    }

    fn bundles(&self) -> Vec<BundleStatus> {
        self.bundles.all.iter().map(Slot::status).collect()
    }
}

/// All configured bundles.
pub(crate) struct Bundles {
    all: Vec<Slot>,
    keys: Keys,
    client: Client,
    copies: Copies,
    ambient: Arc<dyn Ambient>,
    /// One bundle is tried at a time, so that a fault is known to be its own.
    trying: tokio::sync::Mutex<()>,
}

/// What a bundle is when nothing runs yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefer {
    /// The copy kept from the last run; asked for only where there is none. What is newer comes
    /// right after the start, the way every change comes.
    Copy,
    /// What its source has now.
    Fresh,
    /// Only what is on this machine.
    Offline,
}

/// One bundle and what is known of it.
struct Slot {
    name: String,
    source: BundleSource,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    active: Option<Arc<Held>>,
    /// What is being tried in its place.
    candidate: Option<Arc<Held>>,
    from_copy: bool,
    last_success: Option<Timestamp>,
    since: Option<Timestamp>,
    trouble: Option<BundleTrouble>,
    /// Whether its server can wait for something new.
    long_poll: bool,
    /// The archive of what a start found, until it is known to be in force and kept.
    unsaved: Option<Bytes>,
}

/// A bundle that was checked.
struct Held {
    bundle: Bundle,
    etag: Option<String>,
}

/// Why a bundle's newest state is not in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Trouble {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl From<BundleError> for Trouble {
    fn from(error: BundleError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl Bundles {
    /// The configured bundles; nothing is read yet.
    ///
    /// # Errors
    /// When `upstream` makes no client.
    pub(crate) fn new(config: &Config, ambient: &Arc<dyn Ambient>) -> Result<Self, BuildError> {
        told::describe();
        let all = config.policies.bundles.all.iter();
        let all = all
            .inspect(|(name, _)| told::begin(name))
            .map(|(name, source)| Slot {
                name: name.clone(),
                source: source.clone(),
                state: Mutex::default(),
            });
        Ok(Self {
            all: all.collect(),
            keys: config.policies.bundles.keys.clone(),
            client: Client::new(config.upstream.0.clone())?,
            copies: Copies::new(config.data_dir.join("bundles")),
            ambient: Arc::clone(ambient),
            trying: tokio::sync::Mutex::new(()),
        })
    }

    /// Gets every bundle from somewhere, as far as that goes. What is missing then is told by
    /// [`PolicySource::read`].
    pub(crate) async fn prepare(&self, prefer: Prefer) {
        let prepared = self.all.iter().map(|slot| self.prepare_one(slot, prefer));
        futures::future::join_all(prepared).await;
    }

    async fn prepare_one(&self, slot: &Slot, prefer: Prefer) {
        if prefer != Prefer::Fresh && self.take_copy(slot).await {
            return;
        }
        let fetched = match (&slot.source.origin, prefer) {
            (Origin::Http(_), Prefer::Offline) => Err(Trouble::new(
                "unreachable",
                "there is no copy of it, and nothing is asked for (offline)",
            )),
            _ => self.fetch(slot, None).await,
        };
        let held = match fetched {
            Ok(Fetched::New { archive, etag, .. }) => {
                let held = self.check(slot, &archive, etag).await;
                held.map(|held| (held, archive))
            }
            // Nothing was asked that could be the same.
            Ok(Fetched::Same) => Err(Trouble::new("status", "the server sent nothing")),
            Err(trouble) => Err(trouble),
        };
        match held {
            Ok((held, archive)) => {
                let now = self.ambient.now();
                let mut state = slot.state();
                state.active = Some(Arc::new(held));
                state.last_success = Some(now);
                state.unsaved = Some(archive);
            }
            Err(trouble) => {
                if prefer == Prefer::Fresh {
                    self.take_copy(slot).await;
                }
                told::trouble(slot, &trouble, self.ambient.now());
            }
        }
    }

    /// Takes the copy of the last run, if there is a sound one.
    async fn take_copy(&self, slot: &Slot) -> bool {
        if !matches!(slot.source.origin, Origin::Http(_)) {
            return false;
        }
        let Some((archive, etag)) = self.copies.read(&slot.name, &slot.shown_source()).await else {
            return false;
        };
        match self.check(slot, &archive, etag).await {
            Ok(held) => {
                let mut state = slot.state();
                state.active = Some(Arc::new(held));
                state.from_copy = true;
                true
            }
            Err(trouble) => {
                tracing::warn!(
                    bundle = slot.name,
                    code = trouble.code,
                    "the kept copy of a bundle can't be used: {}",
                    trouble.message
                );
                false
            }
        }
    }

    /// Opens an archive by the keys as they are now.
    async fn check(
        &self,
        slot: &Slot,
        archive: &Bytes,
        etag: Option<String>,
    ) -> Result<Held, Trouble> {
        let verification = if self.keys.is_empty() {
            None
        } else {
            Some(self.keys.verification(&slot.source)?)
        };
        let bytes = archive.clone();
        let opened = tokio::task::spawn_blocking(move || {
            let trust = verification.as_ref().map_or(Trust::Unsigned, Trust::Signed);
            open(&bytes, trust, &Limits::default())
        });
        let bundle = opened.await.map_err(|error| {
            Trouble::new("no_archive", format!("opening it broke off: {error}"))
        })??;
        for warning in &bundle.warnings {
            tracing::warn!(bundle = slot.name, "{warning}");
        }
        Ok(Held { bundle, etag })
    }

    /// Puts the newest state into force, or leaves the last good one there.
    async fn offer(
        &self,
        slot: &Slot,
        held: Held,
        archive: &Bytes,
        policies: &Policies,
    ) -> Result<(), Trouble> {
        let held = Arc::new(held);
        let _alone = self.trying.lock().await;
        slot.state().candidate = Some(Arc::clone(&held));
        let refused = match policies.reload().await {
            Ok(_) => slot.refused_for_its_connection(policies),
            Err(AppError::Policies(errors)) => Some(Trouble::new("not_loaded", shown(&errors))),
            Err(error) => Some(Trouble::new("not_loaded", error.to_string())),
        };
        let Some(refused) = refused else {
            let now = self.ambient.now();
            {
                let mut state = slot.state();
                state.candidate = None;
                state.active = Some(Arc::clone(&held));
                state.from_copy = false;
                state.since = Some(now);
            }
            told::in_force(slot, &held);
            self.keep(slot, &held, archive).await;
            return Ok(());
        };
        slot.state().candidate = None;
        told::refused(slot);
        // What the folder and the other bundles changed meanwhile comes into force without it. The
        // use case tells of everything that goes wrong there.
        policies.reload().await.ok();
        Err(refused)
    }

    /// Keeps a copy of what is in force for a start without the server.
    async fn keep(&self, slot: &Slot, held: &Held, archive: &Bytes) {
        if !matches!(slot.source.origin, Origin::Http(_)) {
            return;
        }
        let source = slot.shown_source();
        let kept = self
            .copies
            .write(&slot.name, &source, archive, held.etag.as_deref());
        if let Err(error) = kept.await {
            tracing::warn!(bundle = slot.name, %error, "no copy of the bundle could be kept");
        }
    }

    fn add_to(&self, mut sources: Sources) -> Result<Sources, LoadErrors> {
        let held: Vec<(&Slot, Option<Arc<Held>>)> =
            self.all.iter().map(|slot| (slot, slot.held())).collect();
        let mut missing = Vec::new();
        let mut placed = Vec::new();
        for (slot, held) in &held {
            if let Some(held) = held {
                placed.push(Placed {
                    name: &slot.name,
                    connection: slot.source.connection.as_ref(),
                    bundle: &held.bundle,
                });
                continue;
            }
            let fault = slot.missing();
            match &slot.source.connection {
                None => missing.push(fault),
                Some(name) => {
                    let own = sources.connections.entry(name.clone()).or_default();
                    own.faults.push(fault.of(name));
                }
            }
        }
        match LoadErrors::new(missing) {
            Some(errors) => Err(errors),
            None => combine(sources, &placed),
        }
    }
}

/// The first faults, and how many there are.
fn shown(errors: &LoadErrors) -> String {
    const SHOWN: usize = 3;
    let lines: Vec<String> = errors
        .all()
        .iter()
        .take(SHOWN)
        .map(ToString::to_string)
        .collect();
    let more = errors.all().len().saturating_sub(SHOWN);
    let more = if more == 0 {
        String::new()
    } else {
        format!("; and {more} more")
    };
    format!("its policies do not load: {}{more}", lines.join("; "))
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> Option<Arc<Held>> {
        let state = self.state();
        state.candidate.as_ref().or(state.active.as_ref()).cloned()
    }

    fn missing(&self) -> LoadError {
        let trouble = self.state().trouble.clone();
        let why = trouble.map_or_else(|| "nothing is known of it".to_owned(), |t| t.message);
        let message = format!(
            "the bundle could not be had from `{}`: {why}",
            self.shown_source()
        );
        LoadError::file("bundle", &format!("{}:/", self.name), message)
    }

    /// Where it comes from, without what could be a secret: signed addresses carry theirs in the
    /// query.
    fn shown_source(&self) -> String {
        match &self.source.origin {
            Origin::File(file) => file.display().to_string(),
            Origin::Http(http) => {
                format!(
                    "{}{}",
                    http.url.origin().ascii_serialization(),
                    http.url.path()
                )
            }
        }
    }

    /// A set comes into force without a connection's broken layer; then the bundle is not.
    fn refused_for_its_connection(&self, policies: &Policies) -> Option<Trouble> {
        let mine = self.source.connection.as_ref()?;
        let broken = policies.status().connections;
        let layer = broken.into_iter().find(|layer| layer.connection == *mine)?;
        let faults = layer.faults.join("; ");
        Some(Trouble::new(
            "not_loaded",
            format!("its policies do not load: {faults}"),
        ))
    }

    fn status(&self) -> BundleStatus {
        let state = self.state();
        let held = state.active.as_ref();
        let bundle = held.map(|held| &held.bundle);
        BundleStatus {
            name: self.name.clone(),
            connection: self.source.connection.clone(),
            source: self.shown_source(),
            revision: bundle.map(|bundle| bundle.manifest.revision.clone()),
            etag: held.and_then(|held| held.etag.clone()),
            signed_by: bundle.and_then(|bundle| bundle.signed_by.clone()),
            from_copy: state.from_copy,
            last_success: state.last_success,
            since: state.since,
            trouble: state.trouble.clone(),
            warnings: bundle.map_or_else(Vec::new, |bundle| bundle.warnings.clone()),
        }
    }
}
