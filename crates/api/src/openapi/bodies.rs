//! The JSON of requests and answers, field by field.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Declares types that only describe JSON: nothing reads their fields but a test.
macro_rules! bodies {
    ($($(#[$about:meta])* $name:ident { $($(#[$of_field:meta])* $field:ident : $kind:ty),* $(,)? })*) => {
        $(
            $(#[$about])*
            #[derive(Debug, Serialize, Deserialize, ToSchema)]
            #[serde(deny_unknown_fields)]
            pub(crate) struct $name { $($(#[$of_field])* pub(crate) $field: $kind,)* }
        )*
    };
}
pub(super) use bodies;

mod approvals;

pub(crate) use approvals::*;

bodies! {
    /// An operation to be judged. Exactly one of `operation` and `request` is given.
    ValidateBody {
        /// At which connection.
        connection: String,
        /// Who would do it; the caller's own token, where not given. Only an admin, an operator
        /// or an author may speak for others.
        actor: Option<ActorBody>,
        /// Why.
        purpose: Option<String>,
        /// The operation by canonical names.
        operation: Option<CanonicalBody>,
        /// The operation as a client would send it to the gateway.
        request: Option<NativeBody>,
    }

    /// An operation by canonical names.
    CanonicalBody {
        /// `create`, `update`, `delete`, ….
        kind: String,
        /// The object, by canonical or native name.
        object: String,
        /// The record's id, for all but a create.
        id: Option<String>,
        /// The fields it would write, by canonical or `native.X` name; none for a delete.
        record: Option<BTreeMap<String, Value>>,
    }

    /// An operation as a native request.
    NativeBody {
        /// The method.
        method: String,
        /// Path and query.
        path: String,
        /// Headers; `content-type` is JSON where not given.
        headers: Option<BTreeMap<String, String>>,
        /// The body: a string is sent as it is, anything else as JSON.
        body: Option<Value>,
    }

    /// What was decided about an operation that was not written.
    ValidatedBody {
        /// Whether it would pass as it is judged.
        allowed: bool,
        /// Why not, for people.
        messages: Vec<String>,
        /// The recorded decision.
        decision: VerdictBody,
        /// The connection's mode: in `observe` the gateway would let it pass all the same.
        mode: String,
        /// The record after the write, patches applied, by canonical names; `null` for a delete.
        record: Option<BTreeMap<String, Value>>,
        /// The same by native names.
        native: Option<BTreeMap<String, Value>>,
        /// Native names of the fields that patches change.
        changed: Vec<String>,
    }

    /// Who asks.
    ActorBody {
        /// The CRM's id of the user, or the id of a crmgate token.
        id: String,
        /// Login name.
        username: Option<String>,
        /// E-mail address.
        email: Option<String>,
        /// Profile, permission sets or security roles, by name.
        #[serde(default)]
        roles: Vec<String>,
        /// Groups or teams, by name.
        #[serde(default)]
        groups: Vec<String>,
        /// OAuth scopes; `null` when no source could tell them.
        scopes: Option<Vec<String>>,
        /// The client program.
        client: Option<String>,
        /// The user on whose behalf the actor says it acts.
        on_behalf_of: Option<String>,
    }

    /// A decision.
    VerdictBody {
        /// Names the decision; callers of the gateway get it in `Crmgate-Decision`.
        id: String,
        /// Names the operation.
        operation: String,
        /// When, RFC 3339.
        at: String,
        /// `enforce` or `observe`.
        mode: String,
        /// `allow`, `deny`, `require_approval`, `error`.
        effect: String,
        /// Refusals.
        reasons: Vec<ReasonBody>,
        /// Agreements that are needed.
        approvals: Vec<ApprovalBody>,
        /// Warnings.
        warnings: Vec<WarningBody>,
        /// Patches in force, in the order they were applied.
        patches: Vec<PatchBody>,
        /// What to hide from what leaves.
        redactions: Vec<RedactionBody>,
        /// Why no judgement could be made.
        errors: Vec<EvaluationErrorBody>,
        /// Every package that governed, dry-run ones included.
        packages: Vec<PackageBody>,
        /// What dry-run packages would have said.
        dryrun: Vec<ReasonBody>,
        /// Whether no enforced package governed.
        ungoverned: bool,
        /// The policies in force.
        revision: String,
    }

    /// One reason for a refusal.
    ReasonBody {
        /// The package; `crmgate` for the engine's own.
        package: String,
        /// A stable code; empty when the policy gave a bare text.
        code: String,
        /// What a person should read.
        message: String,
        /// The fields it is about.
        fields: Vec<String>,
        /// `low`, `medium`, `high`, `critical`.
        severity: String,
        /// What to do about it.
        remediation: Option<String>,
    }

    /// A warning.
    WarningBody {
        /// The package.
        package: String,
        /// A stable code.
        code: String,
        /// What a person should read.
        message: String,
        /// The fields it is about.
        fields: Vec<String>,
    }

    /// One agreement that people must give.
    ApprovalBody {
        /// The package that asks.
        package: String,
        /// A stable code.
        code: String,
        /// Why.
        reason: String,
        /// User names who may answer.
        users: Vec<String>,
        /// Groups whose members may answer.
        groups: Vec<String>,
        /// How many must agree.
        quorum: u32,
        /// Seconds until the hold expires.
        expires_in_seconds: u64,
        /// Whether a rejection must say why.
        reject_needs_reason: bool,
    }

    /// One change that a policy makes.
    PatchBody {
        /// `set`, `default`, `clear`.
        op: String,
        /// The field.
        field: String,
        /// Its value.
        value: Value,
        /// The package that asked for it.
        package: String,
    }

    /// One field to hide.
    RedactionBody {
        /// The field.
        field: String,
        /// `partial`, `hash`, `drop`.
        mode: String,
        /// The package that asked for it.
        package: String,
    }

    /// Why a package could not be evaluated.
    EvaluationErrorBody {
        /// The package, or `crmgate`.
        package: String,
        /// `transient` or `policy`.
        class: String,
        /// What went wrong.
        message: String,
    }

    /// What one governing package said.
    PackageBody {
        /// Its name.
        package: String,
        /// Its team.
        owner: String,
        /// `global` or `connection`.
        layer: String,
        /// `enforce`, `warn`, `dryrun`.
        enforcement: String,
        /// What it alone would have decided.
        effect: String,
        /// Whether it asked for patches.
        patched: bool,
    }

    /// A recorded decision with what came of it.
    DecisionBody {
        /// Its place in the record, from 1.
        sequence: u64,
        /// What was asked, without the record's values.
        operation: Option<Value>,
        /// The connection.
        connection: String,
        /// The decision.
        decision: VerdictBody,
        /// SHA-256 over the policy input; gone when the payload is.
        input_hash: Option<String>,
        /// SHA-256 over what would be sent.
        payload_hash: Option<String>,
        /// What let it pass: `judged`, `observed`, `opaque`, `failed_open`.
        basis: Option<String>,
        /// Native names of the fields that patches changed.
        changed: Vec<String>,
        /// Under whose name it is written: `service`, or `user` with the CRM's id; not there for
        /// the caller's own token.
        written_as: Option<Value>,
        /// The hold it made or joined.
        hold: Option<String>,
        /// Method and path of a request that was not understood.
        opaque: Option<String>,
        /// The actor's id, where there is no operation to tell it.
        asked_by: Option<String>,
        /// How often the operation had been judged before, because its record changed.
        round: u32,
        /// What came of the write.
        outcome: Option<OutcomeBody>,
        /// Where it stands in the record's chain: `chain`, `link`, `hash`.
        chained: Option<Value>,
        /// What was judged, masked: `state`, `input`, `erased`, `masked`.
        payload: Value,
        /// The trace it belongs to.
        trace: Option<Value>,
        /// How long its stages took, in nanoseconds.
        metrics: BTreeMap<String, u64>,
    }

    /// What came of a write.
    OutcomeBody {
        /// The decision that allowed it.
        decision: String,
        /// When it was learned.
        at: String,
        /// `succeeded`, `refused`, `not_written`, `version_mismatch`, `unknown`, `uncertain`.
        kind: String,
        /// The CRM's HTTP status.
        status: Option<u16>,
        /// The CRM's error code.
        code: Option<String>,
        /// The id of the written record.
        record_id: Option<String>,
    }

    /// One page of decisions.
    DecisionPage {
        /// The decisions, newest first.
        items: Vec<DecisionBody>,
        /// The next page's `cursor`; `null` at the end.
        next: Option<String>,
    }

    /// A held operation.
    HoldBody {
        /// Its id.
        id: String,
        /// The decision that held it.
        decision: String,
        /// The connection.
        connection: String,
        /// What was asked, without the record's values.
        operation: Value,
        /// The change as asked, by native names.
        change: Value,
        /// SHA-256 over the payload.
        payload_hash: String,
        /// Who must agree to what.
        approvals: Vec<ApprovalBody>,
        /// `waiting`, `approved`, `rejected`, `expired`, `cancelled`, `superseded`, `spent`.
        status: String,
        /// When it was made.
        created_at: String,
        /// When it ends unanswered.
        expires_at: String,
        /// How many equal requests share it.
        requests: u64,
        /// What an approval lets happen: `ticket` or `execution`.
        release: String,
        /// The queued operation that waits in it.
        queued: Option<String>,
        /// Under whose name it is written: `service`, or `user` with the CRM's id; not there for
        /// the caller's own token.
        written_as: Option<Value>,
        /// All accounts of whoever asked.
        requester: Vec<String>,
        /// What changes, field by field.
        fields: Vec<HeldFieldBody>,
        /// The stored values that agreeing is bound to: names, and a hash.
        bound: Value,
        /// The hold that it asks again for.
        replaces: Option<String>,
        /// The hold whose agreements still stand beside it.
        builds_on: Option<String>,
        /// Counts its changes.
        version: u64,
        /// How it ended.
        ended: Option<EndedBody>,
        /// The decision that it let pass.
        spent_by: Option<String>,
    }

    /// One field of what people are asked about.
    HeldFieldBody {
        /// The field, as policies name it.
        field: String,
        /// The stored value.
        from: Value,
        /// The value after the write.
        to: Value,
        /// Whether it is about a person.
        confidential: bool,
    }

    /// How something ended.
    EndedBody {
        /// `approved`, `rejected`, `expired`, `cancelled`, `superseded`.
        how: String,
        /// Who ended it; `null` when time did.
        by: Option<String>,
        /// When.
        at: String,
    }

    /// One page of held operations.
    HoldPage {
        /// The holds, newest first.
        items: Vec<HoldBody>,
        /// The next page's `cursor`; `null` at the end.
        next: Option<String>,
    }
}
