//! Records to store.

use crmgate_domain::{
    Actor, Ambient, ApprovalRequest, ConnectionName, ConnectionRef, Decision, DecisionId, Document,
    Effect, Enforcement, ErrorClass, EvaluationError, FieldRef, HoldId, Judgement, Kind, Layer,
    Mode, Object, Operation, OperationId, PackageVerdict, Patch, PatchOp, PayloadHash, Point,
    Reason, RevisionId, Severity, Timestamp, Warning,
};
use jiff::ToSpan as _;

use crate::{Basis, DecisionRecord, Locate, Outcome, OutcomeKind, ReadBack};

pub(super) fn start() -> Timestamp {
    "2026-03-01T12:00:00.000000123Z".parse().unwrap()
}

pub(super) fn name(text: &str) -> ConnectionName {
    text.parse().unwrap()
}

/// A record with everything in it that a record can have.
#[must_use]
pub fn full_record(ambient: &dyn Ambient) -> DecisionRecord {
    let at = ambient.now();
    let operation = OperationId::fresh(ambient);
    let field = FieldRef("amount".to_owned());
    let mut arguments = Object::new();
    arguments.set("Quantity", Document::parse(b"12.50").unwrap());
    DecisionRecord {
        operation: Some(Operation {
            id: operation,
            kind: Kind::Update,
            requested: Some(Kind::Upsert),
            point: Point::Gateway,
            at,
            connection: ConnectionRef {
                name: name("acme-sf"),
                system: "fake".to_owned(),
                org: Some("org".to_owned()),
            },
            object: "opportunity".to_owned(),
            native_object: "Opportunity".to_owned(),
            record_id: Some("006".to_owned()),
            actor: Actor {
                id: "005".to_owned(),
                scopes: Some(vec!["api".to_owned()]),
                ..Actor::default()
            },
            request: None,
            purpose: Some("quarter end".to_owned()),
            batch: None,
            name: Some("Win".to_owned()),
            arguments: Some(arguments),
            relation: Document::parse(br#"{"name": "x", "n": 1e400}"#).ok(),
        }),
        connection: name("acme-sf"),
        decision: Decision {
            id: DecisionId::fresh(ambient),
            operation,
            at,
            mode: Mode::Enforce,
            judgement: full_judgement(field),
        },
        input_hash: Some(PayloadHash::of(&[b"input"])),
        payload_hash: Some(PayloadHash::of(&[b"payload"])),
        asked: Some(PayloadHash::of(&[b"asked"])),
        basis: Some(Basis::Judged),
        written_as: Some(crate::WrittenAs::User("005-real".to_owned())),
        changed: vec!["Amount".to_owned()],
        hold: Some(HoldId::fresh(ambient)),
        opaque: None,
        asked_by: None,
        read_back: Some(read_back("twin", &["x"])),
        round: 2,
        payload: crate::Payload::default(),
        trace: None,
        metrics: std::collections::BTreeMap::new(),
    }
}

pub(super) fn full_judgement(field: FieldRef) -> Judgement {
    Judgement {
        effect: Effect::Deny,
        reasons: vec![Reason {
            package: "crm.sales.limits".to_owned(),
            code: "too_high".to_owned(),
            message: "over the limit of \"5\" 💶".to_owned(),
            fields: vec![field.clone()],
            severity: Severity::High,
            remediation: Some("ask".to_owned()),
        }],
        approvals: vec![ApprovalRequest {
            package: "crm.sales.limits".to_owned(),
            code: "discount".to_owned(),
            reason: "a big one".to_owned(),
            users: vec!["ada".to_owned()],
            groups: Vec::new(),
            quorum: 2,
            expires_in_seconds: 3_600,
            reject_needs_reason: true,
        }],
        approved: vec![crmgate_domain::approval::Granted {
            package: "crm.sales.limits".to_owned(),
            code: "exception".to_owned(),
            hold: "0197a1b2-0000-7000-8000-000000000009".parse().unwrap(),
            by: vec!["ada@example.com".to_owned()],
        }],
        warnings: vec![Warning {
            package: "crm.sales.limits".to_owned(),
            code: "close".to_owned(),
            message: "close to it".to_owned(),
            fields: Vec::new(),
        }],
        patches: vec![Patch {
            op: PatchOp::Set,
            field,
            value: Document::parse(br#"[100000000000000000000.10, null, "x"]"#).unwrap(),
            package: "crm.sales.limits".to_owned(),
        }],
        redactions: Vec::new(),
        errors: vec![EvaluationError {
            package: "crm.sales.broken".to_owned(),
            class: ErrorClass::Policy,
            message: "no".to_owned(),
        }],
        packages: ["crm.sales.limits", "crm.sales.broken"]
            .map(|package| PackageVerdict {
                package: package.to_owned(),
                owner: "sales".to_owned(),
                layer: Layer::Global,
                enforcement: Enforcement::Enforce,
                effect: Effect::Deny,
                patched: true,
            })
            .to_vec(),
        dryrun: Vec::new(),
        ungoverned: false,
        revision: RevisionId::new("abcdef"),
    }
}

pub(super) fn read_back(join: &str, expected: &[&str]) -> ReadBack {
    let members = expected.iter();
    ReadBack {
        native_object: "Opportunity".to_owned(),
        locate: Locate::Key {
            field: "Key__c".to_owned(),
            value: "k".to_owned(),
        },
        expect: members
            .map(|n| ((*n).to_owned(), Document::from(1)))
            .collect(),
        deleted: false,
        version: Some("7".to_owned()),
        actor: None,
        join_key: PayloadHash::of(&[join.as_bytes()]),
    }
}

/// A plain record of one connection, object, actor and effect.
pub(super) fn record(
    ambient: &dyn Ambient,
    connection: &str,
    (object, actor): (&str, &str),
    effect: Effect,
) -> DecisionRecord {
    let mut record = full_record(ambient);
    record.connection = name(connection);
    record.decision.judgement.effect = effect;
    if effect == Effect::Allow {
        record.decision.judgement.reasons.clear();
        record.decision.judgement.packages.truncate(1);
    }
    if let Some(operation) = &mut record.operation {
        operation.object = object.to_owned();
        operation.actor.id = actor.to_owned();
        operation.record_id = Some(format!("{object}-1"));
    }
    record
}

pub(super) fn outcome(decision: DecisionId, kind: OutcomeKind) -> Outcome {
    Outcome {
        decision,
        at: start() + 1.minute(),
        kind,
        status: Some(201),
        code: None,
        record_id: Some("006".to_owned()),
    }
}
