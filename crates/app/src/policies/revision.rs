//! A revision that was in force, with what it was made of: decisions can be judged again by it.

use crmgate_domain::{RevisionId, Timestamp};
use serde::Serialize;

use super::Policies;
use crate::{Action, AppError, Principal, sources};

/// A revision with its sources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RevisionSources {
    /// Its name.
    pub revision: RevisionId,
    /// When it last came into force.
    pub at: Timestamp,
    /// Whether all of its sources are here, and not only those of connections that the caller
    /// sees.
    pub whole: bool,
    /// Its sources, as [`sources::write`] writes them.
    pub sources: String,
}

impl Policies {
    /// A revision that is or was in force, without the layers of connections that the caller does
    /// not see.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Unavailable`.
    pub async fn revision(
        &self,
        by: &Principal,
        revision: &RevisionId,
    ) -> Result<RevisionSources, AppError> {
        by.demand(Action::ReadPolicies)?;
        let stored = self.parts.store.revision(revision).await?;
        let stored = stored.ok_or_else(|| AppError::not_found("policy revision", revision))?;
        let unreadable = |error: sources::NotSources| AppError::Unavailable(error.to_string());
        let mut all = sources::read(&stored.sources).map_err(unreadable)?;
        let layers = all.connections.len();
        all.connections.retain(|name, _| by.sees(name));
        Ok(RevisionSources {
            revision: stored.revision,
            at: stored.at,
            whole: all.connections.len() == layers,
            sources: sources::write(&all).map_err(unreadable)?,
        })
    }
}
