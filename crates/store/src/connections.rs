//! What was seen at a connection, and how its mode changed.

use async_trait::async_trait;
use crmgate_domain::{ConnectionName, Mode, Timestamp};
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// What is counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SightingKey {
    /// The client, by its own name or its user agent's product.
    pub client: String,
    /// The route's id, or the method and shortened path of one that is not understood.
    pub route: String,
    /// `read`, `write`, `sign_in`, `open`, `unknown`.
    pub class: String,
    /// What `enforce` does: `pass`, `refuse`, `hold`, `cannot_judge`.
    pub enforced: String,
    /// Why, when it does not pass: the first reason's package and code, or why the route is not
    /// understood.
    pub why: String,
}

/// How often something was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// What.
    #[serde(flatten)]
    pub key: SightingKey,
    /// How often.
    pub count: u64,
    /// First time.
    pub first_at: Timestamp,
    /// Last time.
    pub last_at: Timestamp,
}

/// A connection's mode from some moment on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeChange {
    /// From when.
    pub at: Timestamp,
    /// Which mode.
    pub mode: Mode,
    /// Who or what changed it: a token's name, `configuration`.
    pub by: String,
}

/// The memory of connections.
#[async_trait]
pub trait ConnectionLog {
    /// Adds to the counts of what was seen.
    ///
    /// # Errors
    /// When the store cannot be written; the counts may then be lost, never a request.
    async fn add_sightings(
        &self,
        connection: &ConnectionName,
        seen: Vec<Sighting>,
    ) -> Result<(), StoreError>;

    /// All that was seen since `since`, counts of one key summed up. Counting goes by the hour:
    /// an hour is in the sum when its last sighting is not before `since`.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn sightings(
        &self,
        connection: &ConnectionName,
        since: Option<Timestamp>,
    ) -> Result<Vec<Sighting>, StoreError>;

    /// Records a change of mode.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    async fn append_mode(
        &self,
        connection: &ConnectionName,
        change: ModeChange,
    ) -> Result<(), StoreError>;

    /// The changes of mode, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn modes(&self, connection: &ConnectionName) -> Result<Vec<ModeChange>, StoreError>;
}
