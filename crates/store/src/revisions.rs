//! Policy revisions that were in force.

use async_trait::async_trait;
use crmgate_domain::{RevisionId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// A revision with all that it was made of, so that it can be loaded again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRevision {
    /// Its name.
    pub revision: RevisionId,
    /// When it last came into force.
    pub at: Timestamp,
    /// Its sources, in the form of whoever stores them.
    pub sources: String,
}

/// The memory of policy revisions.
#[async_trait]
pub trait RevisionLog: Sync {
    /// Stores a revision that came into force. One that is known already only gets the new date.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    async fn accept_revision(&self, revision: StoredRevision) -> Result<(), StoreError>;

    /// The one that came into force last.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn latest_revision(&self) -> Result<Option<StoredRevision>, StoreError>;

    /// The name of the one that came into force last: asked often.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn latest_revision_id(&self) -> Result<Option<RevisionId>, StoreError> {
        let latest = self.latest_revision().await?;
        Ok(latest.map(|stored| stored.revision))
    }

    /// One by its name.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn revision(&self, revision: &RevisionId) -> Result<Option<StoredRevision>, StoreError>;
}

/// Whether the store can be written.
#[async_trait]
pub trait Pulse {
    /// Writes something of no meaning, all the way to the disk.
    ///
    /// # Errors
    /// When that does not succeed.
    async fn beat(&self, at: Timestamp) -> Result<(), StoreError>;
}
