//! Held operations.

use std::collections::BTreeMap;

use async_trait::async_trait;
use crmgate_domain::approval::{End, Ended};
use crmgate_domain::{
    Actor, ApprovalRequest, ConnectionName, DecisionId, Document, FieldRef, HoldId, Operation,
    OperationId, PayloadHash, Point, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{DecisionRecord, Page, StoreError, WrittenAs};

/// Where a hold stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldStatus {
    /// People have not agreed yet.
    Waiting,
    /// People agreed, and it has not been used yet.
    Approved,
    /// A person refused.
    Rejected,
    /// Nobody answered in time, or nobody came for what was agreed to.
    Expired,
    /// The operation was taken back.
    Cancelled,
    /// What was agreed to had changed: another hold asks again.
    Superseded,
    /// A decision rests on it: it is used up, unless that write is proven not to have happened.
    Spent,
}

impl HoldStatus {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Waiting,
        Self::Approved,
        Self::Rejected,
        Self::Expired,
        Self::Cancelled,
        Self::Superseded,
        Self::Spent,
    ];

    /// The word used in storage, output and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
            Self::Spent => "spent",
        }
    }

    /// The status of that word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

impl From<End> for HoldStatus {
    fn from(end: End) -> Self {
        match end {
            End::Approved => Self::Approved,
            End::Rejected => Self::Rejected,
            End::Expired => Self::Expired,
            End::Cancelled => Self::Cancelled,
            End::Superseded => Self::Superseded,
        }
    }
}

/// What an approval lets happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Release {
    /// The caller's identical retry passes once, under its own token.
    #[default]
    Ticket,
    /// A worker writes it.
    Execution,
}

impl Release {
    /// The word used in configuration and output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ticket => "ticket",
            Self::Execution => "execution",
        }
    }
}

/// One field of what people are asked about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldField {
    /// The field, as policies name it.
    pub field: FieldRef,
    /// The stored value; `None` where there is none.
    pub from: Option<Document>,
    /// The value after the write.
    pub to: Document,
    /// Whether it is about a person: only those who must decide, and whoever asked, see it.
    #[serde(default)]
    pub confidential: bool,
}

/// The stored values an approval is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// The fields, sorted.
    pub fields: Vec<FieldRef>,
    /// SHA-256 over their stored values.
    pub stored: PayloadHash,
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
    /// What an approval lets happen.
    #[serde(default)]
    pub release: Release,
    /// The queued operation that waits in it.
    #[serde(default)]
    pub queued: Option<OperationId>,
    /// Under whose name it will be written; `None` for the caller's own token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_as: Option<WrittenAs>,
    /// All accounts of whoever asked: none of them decides.
    #[serde(default)]
    pub requester: Vec<String>,
    /// What changes, field by field, as people may see it.
    #[serde(default)]
    pub fields: Vec<HeldField>,
    /// The stored values that agreeing is bound to.
    #[serde(default)]
    pub bound: Option<Bound>,
    /// The hold that it asks again for: what was agreed to there had changed.
    #[serde(default)]
    pub replaces: Option<HoldId>,
    /// The hold whose agreements still stand, where this one asks for others.
    #[serde(default)]
    pub builds_on: Option<HoldId>,
    /// Counts its changes; votes and ends are made from the version that was seen.
    #[serde(default)]
    pub version: u64,
    /// How it ended, once it has.
    #[serde(default)]
    pub ended: Option<Ended>,
    /// The decision that it let pass.
    #[serde(default)]
    pub spent_by: Option<DecisionId>,
}

impl Hold {
    /// What makes requests equal: connection, actor, object, record and payload; what came by the
    /// queue equals nothing but itself.
    #[must_use]
    pub fn request_key(&self) -> String {
        let by_queue = self.operation.point == Point::Queue;
        request_key(
            &self.connection,
            &self.operation,
            self.payload_hash,
            self.queued.filter(|_| by_queue),
        )
    }
}

/// [`Hold::request_key`] of a hold to be.
#[must_use]
pub fn request_key(
    connection: &ConnectionName,
    operation: &Operation,
    payload: PayloadHash,
    queued: Option<OperationId>,
) -> String {
    let record = operation.record_id.as_deref().unwrap_or_default();
    let payload = payload.to_hex();
    let queued = queued.map(|id| id.to_string());
    let mut parts = vec![
        connection.as_str().as_bytes(),
        operation.actor.id.as_bytes(),
        operation.native_object.as_bytes(),
        record.as_bytes(),
        payload.as_bytes(),
    ];
    parts.extend(queued.as_ref().map(String::as_bytes));
    PayloadHash::of(&parts).to_hex()
}

impl Hold {
    /// The hold, with what names it and nothing of what it held.
    #[must_use]
    pub fn emptied(mut self) -> Self {
        self.change = Document::Null;
        self.fields.clear();
        self.bound = None;
        self.ended = self.ended.map(|ended| Ended { by: None, ..ended });
        let operation = &mut self.operation;
        operation.request = None;
        operation.purpose = None;
        operation.arguments = None;
        operation.relation = None;
        operation.actor = Actor {
            id: std::mem::take(&mut operation.actor.id),
            client: operation.actor.client.take(),
            ..Actor::default()
        };
        self.requester = vec![operation.actor.id.clone()];
        for approval in &mut self.approvals {
            approval.reason.clear();
        }
        self
    }
}

/// Which holds to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each narrows by the hold's field of that name")]
pub struct HoldFilter {
    pub connection: Option<ConnectionName>,
    pub actor: Option<String>,
    /// Any of these.
    #[serde(default)]
    pub statuses: Vec<HoldStatus>,
    /// Only these connections may be seen (the caller's scope); `None` is all.
    pub visible: Option<Vec<ConnectionName>>,
}

/// The store of held operations.
#[async_trait]
pub trait HoldLog {
    /// Stores the hold, or joins the waiting one of an equal request: gives the one in force. A
    /// waiting hold past its end is expired first and not joined; the one that it replaces is
    /// superseded first.
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

    /// The newest hold of equal requests, however it stands.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn last_asked(&self, request_key: &str) -> Result<Option<Hold>, StoreError>;

    /// How many holds wait for people, by connection; those past their end do not.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn holds_waiting(
        &self,
        now: Timestamp,
    ) -> Result<BTreeMap<ConnectionName, u64>, StoreError>;

    /// Since when the oldest hold waits for people, by connection; those past their end do not.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn holds_waiting_since(
        &self,
        now: Timestamp,
    ) -> Result<BTreeMap<ConnectionName, Timestamp>, StoreError>;

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
