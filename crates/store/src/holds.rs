//! Held operations.

use std::collections::BTreeMap;

use async_trait::async_trait;
use crmgate_domain::{
    ApprovalRequest, ConnectionName, DecisionId, Document, HoldId, Operation, PayloadHash,
    Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{DecisionRecord, Page, StoreError};

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

/// Which holds to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each narrows by the hold's field of that name")]
pub struct HoldFilter {
    pub connection: Option<ConnectionName>,
    pub actor: Option<String>,
    /// Only these connections may be seen (the caller's scope); `None` is all.
    pub visible: Option<Vec<ConnectionName>>,
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

    /// As [`Self::hold`], and appends the decision that holds, its `hold` set to the one in force,
    /// in one transaction: neither is there without the other.
    ///
    /// # Errors
    /// When it is not certainly on disk.
    async fn hold_decided(&self, hold: Hold, record: DecisionRecord) -> Result<Hold, StoreError>;

    /// One hold.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn held(&self, id: HoldId) -> Result<Option<Hold>, StoreError>;

    /// How many holds wait for people, by connection; those past their end do not.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn holds_waiting(
        &self,
        now: Timestamp,
    ) -> Result<BTreeMap<ConnectionName, u64>, StoreError>;

    /// Holds, newest first.
    ///
    /// # Errors
    /// When the store cannot be read or the cursor is not one of its own.
    async fn holds(
        &self,
        filter: &HoldFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Hold>, StoreError>;
}
