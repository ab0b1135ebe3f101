//! A decision in two parts: the envelope, which stays as long as its entry and holds no values and
//! no texts; and the payload, which holds the rest and can be erased.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crmgate_domain::approval::Granted;
use crmgate_domain::{
    Actor, ApprovalRequest, BatchInfo, ConnectionName, ConnectionRef, Decision, DecisionId,
    Document, Effect, ErrorClass, EvaluationError, FieldRef, HoldId, Judgement, Kind, Mode,
    Operation, OperationId, PackageVerdict, Patch, PatchOp, PayloadHash, Point, Reason, Redaction,
    RevisionId, Severity, Timestamp, Warning,
};
use serde::{Deserialize, Serialize};

use crate::{Basis, DecisionRecord, Payload, PayloadState, StoreError, TraceRef, WrittenAs};

type Text<'a> = Cow<'a, str>;

/// A reason without its words.
#[derive(Serialize, Deserialize)]
struct Said<'a> {
    #[serde(borrow)]
    package: Text<'a>,
    #[serde(borrow)]
    code: Text<'a>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    fields: Cow<'a, [FieldRef]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    severity: Option<Severity>,
    /// Of an approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quorum: Option<u32>,
}

#[derive(Serialize, Deserialize)]
struct Patched<'a> {
    op: PatchOp,
    field: Cow<'a, FieldRef>,
    #[serde(borrow)]
    package: Text<'a>,
}

#[derive(Serialize, Deserialize)]
struct Erred<'a> {
    #[serde(borrow)]
    package: Text<'a>,
    class: ErrorClass,
}

/// The operation, as far as it stays.
#[derive(Serialize, Deserialize)]
struct Asked<'a> {
    id: OperationId,
    kind: Kind,
    requested: Option<Kind>,
    point: Point,
    at: Timestamp,
    #[serde(borrow)]
    system: Text<'a>,
    #[serde(borrow)]
    org: Option<Text<'a>>,
    #[serde(borrow)]
    object: Text<'a>,
    #[serde(borrow)]
    native_object: Text<'a>,
    #[serde(borrow)]
    record_id: Option<Text<'a>>,
    #[serde(borrow)]
    actor: Text<'a>,
    #[serde(borrow)]
    client: Option<Text<'a>>,
    batch: Option<Cow<'a, BatchInfo>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
}

/// What stays of a decision.
#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    id: DecisionId,
    operation_id: OperationId,
    connection: ConnectionName,
    at: Timestamp,
    mode: Mode,
    effect: Effect,
    basis: Option<Basis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    written_as: Option<Cow<'a, WrittenAs>>,
    #[serde(borrow)]
    operation: Option<Asked<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    asked_by: Option<Text<'a>>,
    revision: RevisionId,
    ungoverned: bool,
    packages: Cow<'a, [PackageVerdict]>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", borrow)]
    reasons: Vec<Said<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", borrow)]
    approvals: Vec<Said<'a>>,
    /// Without the people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    approved: Vec<Granted>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", borrow)]
    warnings: Vec<Said<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", borrow)]
    patches: Vec<Patched<'a>>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    redactions: Cow<'a, [Redaction]>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", borrow)]
    errors: Vec<Erred<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", borrow)]
    dryrun: Vec<Said<'a>>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    changed: Cow<'a, [String]>,
    hold: Option<HoldId>,
    round: u32,
    payload: PayloadState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<Cow<'a, TraceRef>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    metrics: Cow<'a, BTreeMap<String, u64>>,
}

/// What can be erased of a decision. The policy input follows it, behind a line feed.
#[derive(Serialize, Deserialize)]
struct Erasable<'a> {
    operation: Option<Cow<'a, Operation>>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    reasons: Cow<'a, [Reason]>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    approvals: Cow<'a, [ApprovalRequest]>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    approved: Cow<'a, [Granted]>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    warnings: Cow<'a, [Warning]>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    patches: Cow<'a, [Patch]>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    errors: Cow<'a, [EvaluationError]>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    dryrun: Cow<'a, [Reason]>,
    opaque: Option<String>,
    input_hash: Option<PayloadHash>,
    payload_hash: Option<PayloadHash>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked: Option<PayloadHash>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    erased: Cow<'a, [String]>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    masked: Cow<'a, [String]>,
}

/// Parts a decision: the envelope and the payload, as they are stored and hashed.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn split(record: &DecisionRecord) -> Result<(String, String), StoreError> {
    let unwritable = |error: serde_json::Error| StoreError::Corrupt(format!("a decision: {error}"));
    let envelope = serde_json::to_string(&Envelope::of(record)).map_err(unwritable)?;
    let mut payload = serde_json::to_string(&Erasable::of(record)).map_err(unwritable)?;
    if let Some(input) = &record.payload.input {
        payload.push('\n');
        payload.push_str(input);
    }
    Ok((envelope, payload))
}

/// Joins the parts again. Without a payload the words and values are gone; `gone` says why.
///
/// # Errors
/// When a part is not one that [`split`] made.
pub fn join(
    envelope: &str,
    payload: Option<&str>,
    gone: PayloadState,
) -> Result<DecisionRecord, StoreError> {
    let unreadable = |error: serde_json::Error| StoreError::Corrupt(format!("a decision: {error}"));
    let envelope: Envelope<'_> = serde_json::from_str(envelope).map_err(unreadable)?;
    let Some(payload) = payload else {
        return Ok(envelope.alone(gone));
    };
    let (rest, input) = match payload.split_once('\n') {
        Some((rest, input)) => (rest, Some(input.to_owned())),
        None => (payload, None),
    };
    let rest: Erasable<'_> = serde_json::from_str(rest).map_err(unreadable)?;
    Ok(envelope.with(rest, input))
}

impl<'a> Said<'a> {
    fn of(package: &'a str, code: &'a str, fields: &'a [FieldRef]) -> Self {
        Self {
            package: Cow::Borrowed(package),
            code: Cow::Borrowed(code),
            fields: Cow::Borrowed(fields),
            severity: None,
            quorum: None,
        }
    }

    fn reason(reason: &'a Reason) -> Self {
        Self {
            severity: Some(reason.severity),
            ..Self::of(&reason.package, &reason.code, &reason.fields)
        }
    }

    fn into_reason(self) -> Reason {
        Reason {
            package: self.package.into_owned(),
            code: self.code.into_owned(),
            message: String::new(),
            fields: self.fields.into_owned(),
            severity: self.severity.unwrap_or_default(),
            remediation: None,
        }
    }

    fn into_warning(self) -> Warning {
        Warning {
            package: self.package.into_owned(),
            code: self.code.into_owned(),
            message: String::new(),
            fields: self.fields.into_owned(),
        }
    }

    fn into_approval(self) -> ApprovalRequest {
        ApprovalRequest {
            package: self.package.into_owned(),
            code: self.code.into_owned(),
            reason: String::new(),
            users: Vec::new(),
            groups: Vec::new(),
            quorum: self.quorum.unwrap_or(1),
            expires_in_seconds: 0,
            reject_needs_reason: false,
        }
    }
}

impl<'a> Asked<'a> {
    fn of(operation: &'a Operation) -> Self {
        Self {
            id: operation.id,
            kind: operation.kind,
            requested: operation.requested,
            point: operation.point,
            at: operation.at,
            system: Cow::Borrowed(&operation.connection.system),
            org: operation.connection.org.as_deref().map(Cow::Borrowed),
            object: Cow::Borrowed(&operation.object),
            native_object: Cow::Borrowed(&operation.native_object),
            record_id: operation.record_id.as_deref().map(Cow::Borrowed),
            actor: Cow::Borrowed(&operation.actor.id),
            client: operation.actor.client.as_deref().map(Cow::Borrowed),
            batch: operation.batch.as_ref().map(Cow::Borrowed),
            name: operation.name.as_deref().map(Cow::Borrowed),
        }
    }

    fn into_operation(self, connection: &ConnectionName) -> Operation {
        Operation {
            id: self.id,
            kind: self.kind,
            requested: self.requested,
            point: self.point,
            at: self.at,
            connection: ConnectionRef {
                name: connection.clone(),
                system: self.system.into_owned(),
                org: self.org.map(Cow::into_owned),
            },
            object: self.object.into_owned(),
            native_object: self.native_object.into_owned(),
            record_id: self.record_id.map(Cow::into_owned),
            actor: Actor {
                id: self.actor.into_owned(),
                client: self.client.map(Cow::into_owned),
                ..Actor::default()
            },
            request: None,
            purpose: None,
            batch: self.batch.map(Cow::into_owned),
            name: self.name.map(Cow::into_owned),
            arguments: None,
            relation: None,
        }
    }
}

impl<'a> Envelope<'a> {
    fn of(record: &'a DecisionRecord) -> Self {
        let decision = &record.decision;
        let judgement = &decision.judgement;
        Self {
            id: decision.id,
            operation_id: decision.operation,
            connection: record.connection.clone(),
            at: decision.at,
            mode: decision.mode,
            effect: judgement.effect,
            basis: record.basis,
            written_as: record.written_as.as_ref().map(Cow::Borrowed),
            operation: record.operation.as_ref().map(Asked::of),
            asked_by: record.asked_by.as_deref().map(Cow::Borrowed),
            revision: judgement.revision.clone(),
            ungoverned: judgement.ungoverned,
            packages: Cow::Borrowed(&judgement.packages),
            reasons: judgement.reasons.iter().map(Said::reason).collect(),
            approvals: approvals(&judgement.approvals),
            approved: nameless(&judgement.approved),
            warnings: warnings(&judgement.warnings),
            patches: patches(&judgement.patches),
            redactions: Cow::Borrowed(&judgement.redactions),
            errors: errors(&judgement.errors),
            dryrun: judgement.dryrun.iter().map(Said::reason).collect(),
            changed: Cow::Borrowed(&record.changed),
            hold: record.hold,
            round: record.round,
            payload: record.payload.state,
            trace: record.trace.as_ref().map(Cow::Borrowed),
            metrics: Cow::Borrowed(&record.metrics),
        }
    }

    fn with(self, rest: Erasable<'_>, input: Option<String>) -> DecisionRecord {
        let state = self.payload;
        let mut record = self.alone(state);
        let judgement = &mut record.decision.judgement;
        judgement.reasons = rest.reasons.into_owned();
        judgement.approvals = rest.approvals.into_owned();
        judgement.approved = rest.approved.into_owned();
        judgement.warnings = rest.warnings.into_owned();
        judgement.patches = rest.patches.into_owned();
        judgement.errors = rest.errors.into_owned();
        judgement.dryrun = rest.dryrun.into_owned();
        record.operation = rest.operation.map(Cow::into_owned);
        record.opaque = rest.opaque;
        record.input_hash = rest.input_hash;
        record.payload_hash = rest.payload_hash;
        record.asked = rest.asked;
        record.payload.input = input;
        record.payload.erased = rest.erased.into_owned();
        record.payload.masked = rest.masked.into_owned();
        record
    }

    /// The decision without its payload.
    fn alone(self, state: PayloadState) -> DecisionRecord {
        let connection = self.connection;
        let judgement = Judgement {
            effect: self.effect,
            reasons: self.reasons.into_iter().map(Said::into_reason).collect(),
            approvals: self
                .approvals
                .into_iter()
                .map(Said::into_approval)
                .collect(),
            approved: self.approved,
            warnings: self.warnings.into_iter().map(Said::into_warning).collect(),
            patches: self.patches.into_iter().map(Patched::into_patch).collect(),
            redactions: self.redactions.into_owned(),
            errors: self.errors.into_iter().map(Erred::into_error).collect(),
            packages: self.packages.into_owned(),
            dryrun: self.dryrun.into_iter().map(Said::into_reason).collect(),
            ungoverned: self.ungoverned,
            revision: self.revision,
        };
        DecisionRecord {
            operation: self.operation.map(|op| op.into_operation(&connection)),
            connection,
            decision: Decision {
                id: self.id,
                operation: self.operation_id,
                at: self.at,
                mode: self.mode,
                judgement,
            },
            input_hash: None,
            payload_hash: None,
            asked: None,
            basis: self.basis,
            written_as: self.written_as.map(Cow::into_owned),
            changed: self.changed.into_owned(),
            hold: self.hold,
            opaque: None,
            asked_by: self.asked_by.map(Cow::into_owned),
            read_back: None,
            round: self.round,
            payload: Payload {
                state,
                ..Payload::default()
            },
            trace: self.trace.map(Cow::into_owned),
            metrics: self.metrics.into_owned(),
        }
    }
}

impl<'a> Erasable<'a> {
    fn of(record: &'a DecisionRecord) -> Self {
        let judgement = &record.decision.judgement;
        Self {
            operation: record.operation.as_ref().map(Cow::Borrowed),
            reasons: Cow::Borrowed(&judgement.reasons),
            approvals: Cow::Borrowed(&judgement.approvals),
            approved: Cow::Borrowed(&judgement.approved),
            warnings: Cow::Borrowed(&judgement.warnings),
            patches: Cow::Borrowed(&judgement.patches),
            errors: Cow::Borrowed(&judgement.errors),
            dryrun: Cow::Borrowed(&judgement.dryrun),
            opaque: record.opaque.clone(),
            input_hash: record.input_hash,
            payload_hash: record.payload_hash,
            asked: record.asked,
            erased: Cow::Borrowed(&record.payload.erased),
            masked: Cow::Borrowed(&record.payload.masked),
        }
    }
}

impl Patched<'_> {
    fn into_patch(self) -> Patch {
        Patch {
            op: self.op,
            field: self.field.into_owned(),
            value: Document::Null,
            package: self.package.into_owned(),
        }
    }
}

impl Erred<'_> {
    fn into_error(self) -> EvaluationError {
        EvaluationError {
            package: self.package.into_owned(),
            class: self.class,
            message: String::new(),
        }
    }
}

fn approvals(all: &[ApprovalRequest]) -> Vec<Said<'_>> {
    let said = all.iter().map(|approval| Said {
        quorum: Some(approval.quorum),
        ..Said::of(&approval.package, &approval.code, &[])
    });
    said.collect()
}

fn nameless(all: &[Granted]) -> Vec<Granted> {
    let bare = all.iter().map(|granted| Granted {
        by: Vec::new(),
        ..granted.clone()
    });
    bare.collect()
}

fn warnings(all: &[Warning]) -> Vec<Said<'_>> {
    let said = all.iter();
    said.map(|warning| Said::of(&warning.package, &warning.code, &warning.fields))
        .collect()
}

fn patches(all: &[Patch]) -> Vec<Patched<'_>> {
    let patched = all.iter().map(|patch| Patched {
        op: patch.op,
        field: Cow::Borrowed(&patch.field),
        package: Cow::Borrowed(&patch.package),
    });
    patched.collect()
}

fn errors(all: &[EvaluationError]) -> Vec<Erred<'_>> {
    let erred = all.iter().map(|error| Erred {
        package: Cow::Borrowed(&error.package),
        class: error.class,
    });
    erred.collect()
}
