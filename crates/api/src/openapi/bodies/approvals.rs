//! Of what people are asked.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{EndedBody, HeldFieldBody};

bodies! {
    /// What people are asked, as the caller may see it.
    AskedBody {
        /// Its id: the hold's.
        id: String,
        /// The connection.
        connection: String,
        /// `waiting`, `approved`, `rejected`, `expired`, `cancelled`, `superseded`, `spent`.
        status: String,
        /// `create`, `update`, ….
        kind: String,
        /// The object.
        object: String,
        /// The CRM's own name of it.
        native_object: String,
        /// The record; `null` for a create.
        record_id: Option<String>,
        /// An action's name.
        action: Option<String>,
        /// Who asks.
        requester: String,
        /// Why, as the caller stated it.
        purpose: Option<String>,
        /// What changes, field by field.
        fields: Vec<HeldFieldBody>,
        /// The change as asked, by native names; `null` where the caller may not see all of it.
        change: Value,
        /// Whether values are hidden from the caller that others see.
        hidden: bool,
        /// Who must agree to what.
        agreements: Vec<AgreementBody>,
        /// Who answered what, oldest first.
        votes: Vec<VoteBody>,
        /// Whether the caller can answer now.
        mine: bool,
        /// What an approval lets happen: `ticket` or `execution`.
        release: String,
        /// Under whose name it is written: `service`, or `user` with the CRM's id; `null` for the
        /// caller's own token.
        written_as: Option<Value>,
        /// Where the queued operation stands.
        operation_state: Option<OperationStateBody>,
        /// The decision that held it.
        decision: String,
        /// How many equal requests share it.
        requests: u64,
        /// When it was made.
        created_at: String,
        /// Until when it can be answered; once approved, until when it can be used.
        expires_at: String,
        /// How it ended.
        ended: Option<EndedBody>,
        /// The hold that it asks again for.
        replaces: Option<String>,
        /// The hold whose agreements still stand beside it.
        builds_on: Option<String>,
        /// The decision that it let pass.
        spent_by: Option<String>,
    }

    /// One agreement, and what is there of it.
    AgreementBody {
        /// The package that asks.
        package: String,
        /// Its code.
        code: String,
        /// Why it is asked.
        reason: String,
        /// Users who may answer.
        users: Vec<String>,
        /// Groups whose members may answer.
        groups: Vec<String>,
        /// How many people must agree.
        quorum: u32,
        /// Who has agreed.
        agreed: Vec<String>,
        /// How many more must.
        missing: u32,
        /// Whether a rejection must say why.
        reject_needs_reason: bool,
        /// Whether the caller is asked.
        asks_you: bool,
    }

    /// One answer.
    VoteBody {
        /// The person.
        person: String,
        /// `approve` or `reject`.
        choice: String,
        /// Why.
        reason: Option<String>,
        /// When.
        at: String,
        /// The way it came.
        channel: String,
        /// What it counts for: `package/code`.
        counts_for: Vec<String>,
    }

    /// Where a queued operation stands.
    OperationStateBody {
        /// Its id.
        id: String,
        /// Its state.
        state: String,
        /// Counts its moves.
        version: u64,
        /// Why it stands there: `code` and `message`.
        why: Value,
        /// The written record.
        record_id: Option<String>,
    }

    /// What became of an answer.
    VoteResultBody {
        /// `counted`: others are needed; `approved`, `rejected`: it ended it.
        result: String,
        /// How it stands now, with what became of the operation.
        approval: AskedBody,
    }

    /// One page of what people are asked.
    ApprovalPage {
        /// The newest first.
        items: Vec<AskedBody>,
        /// The next page's `cursor`; `null` at the end.
        next: Option<String>,
    }
}
