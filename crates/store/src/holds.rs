//! Held operations.

use async_trait::async_trait;
use crmgate_domain::{
    ApprovalRequest, ConnectionName, DecisionId, Document, HoldId, Operation, PayloadHash,
    Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{Page, StoreError};

/// Where a hold stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldStatus {
    /// People have not agreed yet.
    Waiting,
    /// Nobody answered in time.
    Expired,
}

/// One held operation. Equal requests (connection, actor, object, record, payload) share it while
/// it waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// Its id; the caller is told.
    pub id: HoldId,
    /// The decision that first held it.
    pub decision: DecisionId,
    /// The connection.
    pub connection: ConnectionName,
    /// What was asked.
    pub operation: Operation,
    /// The change as asked, under native names; what the approvers will see.
    pub change: Document,
    /// Hash of the payload.
    pub payload_hash: PayloadHash,
    /// Who must agree to what.
    pub approvals: Vec<ApprovalRequest>,
    /// Where it stands.
    pub status: HoldStatus,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends unanswered.
    pub expires_at: Timestamp,
    /// How many equal requests share it.
    pub requests: u64,
}

/// The store of held operations.
#[async_trait]
pub trait HoldLog {
    /// Stores the hold, or joins the waiting one of an equal request: gives the one in force. A
    /// waiting hold past its end is expired first and not joined.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    async fn hold(&self, hold: Hold) -> Result<Hold, StoreError>;

    /// One hold.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn held(&self, id: HoldId) -> Result<Option<Hold>, StoreError>;

    /// Holds, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn holds(
        &self,
        connection: Option<&ConnectionName>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Hold>, StoreError>;
}
