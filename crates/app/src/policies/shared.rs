//! Several processes, one revision: what comes into force in one comes into force in all.
//!
//! Every process reads sources of its own, and they may be at different states: while a new version
//! is rolled out, some have the new folder and some the old one. What counts is what came into
//! force last, and that is in the store, with all it was made of. A process whose sources were in
//! force once and were replaced since does not bring them back by starting; a change of its
//! sources, or a reload that somebody asked for, does.

use crmgate_domain::{RevisionId, Timestamp};
use crmgate_policy::{Active, Sources};

use super::apart::Loaded;
use super::{Deadly, Policies, PolicyParts, stored, try_out};
use crate::{AppError, meters};

/// Whether these sources were in force once and something else is now.
pub(super) async fn was_replaced(
    parts: &PolicyParts,
    loaded: &Loaded,
    last: Option<&(Sources, RevisionId)>,
) -> Result<bool, AppError> {
    let own = loaded.set.revision();
    match last {
        Some((_, latest)) if parts.shared && latest != own => {
            Ok(parts.store.revision(own).await?.is_some())
        }
        _ => Ok(false),
    }
}

/// Starts with what other processes have in force.
pub(super) async fn start(
    parts: &PolicyParts,
    last: Option<(Sources, RevisionId)>,
    now: Timestamp,
) -> Result<(Active, (Sources, Deadly)), AppError> {
    let (sources, revision) =
        last.ok_or_else(|| AppError::Unavailable("no policies are stored".to_owned()))?;
    let set = try_out(parts, sources.clone())
        .await
        .map_err(AppError::Policies)?;
    tracing::info!(
        revision = revision.short(),
        "the policies of other processes are newer than the sources here, and are in force"
    );
    Ok((Active::new(set, now), (sources, Deadly::new())))
}

impl Policies {
    /// Takes over what another process brought into force, if it did: whether it did.
    ///
    /// # Errors
    /// When the store cannot be read; `Policies` when this process cannot load what another could
    /// (an older version): then it keeps what it has and says so.
    pub async fn follow(&self) -> Result<bool, AppError> {
        if !self.parts.shared {
            return Ok(false);
        }
        let latest = self.parts.store.latest_revision_id().await?;
        if latest.is_none_or(|latest| latest == self.active.status().revision) {
            return Ok(false);
        }
        // A reload that is under way may be what is new.
        let mut accepted = self.accepted.lock().await;
        let Some((sources, revision)) = stored(&self.parts).await? else {
            return Ok(false);
        };
        // What this version cannot load it need not try again every second.
        let tried = self.unloadable.lock().await.as_ref() == Some(&revision);
        if tried || revision == self.active.status().revision {
            return Ok(false);
        }
        let set = match try_out(&self.parts, sources.clone()).await {
            Ok(set) => set,
            Err(errors) => {
                meters::reloaded("broken");
                self.active
                    .note_broken(errors.clone(), self.parts.ambient.now());
                *self.unloadable.lock().await = Some(revision);
                return Err(AppError::Policies(errors));
            }
        };
        tracing::info!(
            revision = revision.short(),
            "policies that another process brought into force are in force"
        );
        self.active.publish(&set, self.parts.ambient.now());
        *accepted = (sources, Deadly::new());
        meters::reloaded("followed");
        Ok(true)
    }

    /// The same again and again.
    pub async fn follow_always(&self, stop: tokio_util::sync::CancellationToken) {
        if !self.parts.shared {
            return;
        }
        let mut told: Option<String> = None;
        loop {
            tokio::select! {
                () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {}
                () = stop.cancelled() => return,
            }
            let problem = self.follow().await.err().map(|error| error.to_string());
            if let Some(problem) = problem.as_ref().filter(|now| told.as_ref() != Some(now)) {
                tracing::error!(
                    problem,
                    "the policies of other processes cannot be followed"
                );
            }
            told = problem;
        }
    }
}
