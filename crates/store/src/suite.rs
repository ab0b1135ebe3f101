//! The behaviour that every store must show. An implementation's tests call [`run`] with a way to
//! make an empty store; a failure panics with what was expected.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a suite fails the test that runs it"
)]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use crmgate_domain::{
    Actor, Ambient, ApprovalRequest, ConnectionName, ConnectionRef, Decision, DecisionId, Document,
    Effect, Enforcement, ErrorClass, EvaluationError, FieldRef, HoldId, Judgement, Kind, Layer,
    Mode, Object, Operation, OperationId, PackageVerdict, Patch, PatchOp, PayloadHash, Point,
    Reason, RevisionId, Severity, Timestamp, Warning,
};
use jiff::ToSpan as _;

use crate::{
    Basis, DecisionFilter, DecisionRecord, Hold, HoldFilter, HoldStatus, Locate, ModeChange,
    NewToken, Outcome, OutcomeKind, ReadBack, Role, Sighting, SightingKey, Store, StoreError,
    StoredDecision, StoredRevision, TokenInfo,
};

/// A clock that goes one millisecond with every look, and numbers that do not repeat.
#[derive(Debug, Default)]
pub struct Ticking(AtomicU64);

impl Ambient for Ticking {
    fn now(&self) -> Timestamp {
        let ticks = self.0.fetch_add(1, Ordering::SeqCst).cast_signed();
        start() + ticks.milliseconds()
    }

    fn random(&self) -> [u8; 16] {
        let drawn = self.0.fetch_add(1, Ordering::SeqCst);
        let mut bytes = [7; 16];
        bytes[..8].copy_from_slice(&drawn.to_be_bytes());
        bytes
    }
}

fn start() -> Timestamp {
    "2026-03-01T12:00:00.000000123Z".parse().unwrap()
}

fn name(text: &str) -> ConnectionName {
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
        input_hash: PayloadHash::of(&[b"input"]),
        payload_hash: Some(PayloadHash::of(&[b"payload"])),
        basis: Some(Basis::Judged),
        changed: vec!["Amount".to_owned()],
        hold: Some(HoldId::fresh(ambient)),
        opaque: None,
        read_back: Some(read_back("twin", &["x"])),
        round: 2,
    }
}

fn full_judgement(field: FieldRef) -> Judgement {
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

fn read_back(join: &str, expected: &[&str]) -> ReadBack {
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
fn record(
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

fn outcome(decision: DecisionId, kind: OutcomeKind) -> Outcome {
    Outcome {
        decision,
        at: start() + 1.minute(),
        kind,
        status: Some(201),
        code: None,
        record_id: Some("006".to_owned()),
    }
}

/// Runs all of it, each part on a store of its own.
///
/// # Panics
/// When the store does not do what a store must.
pub async fn run<S: Store, F: Future<Output = S>>(make: impl Fn() -> F) {
    records_come_back_whole(&make().await).await;
    listings_filter_and_page(&make().await).await;
    outcomes_end_writes(&make().await).await;
    twins_are_found(&make().await).await;
    equal_requests_share_a_hold(&make().await).await;
    holds_and_their_decisions_go_together(&make().await).await;
    tokens_are_kept(&make().await).await;
    connections_are_remembered(&make().await).await;
    revisions_are_remembered(&make().await).await;
    make().await.beat(start()).await.unwrap();
}

async fn records_come_back_whole(store: &impl Store) {
    let ambient = Ticking::default();
    let whole = full_record(&ambient);
    let mut opaque = full_record(&ambient);
    opaque.operation = None;
    opaque.opaque = Some("POST /odd".to_owned());
    opaque.basis = Some(Basis::Opaque);
    opaque.read_back = None;
    opaque.hold = None;
    for (record, sequence) in [(whole, 1), (opaque, 2)] {
        let id = record.decision.id;
        let given = store.append_decision(record.clone()).await.unwrap();
        assert_eq!(given, sequence, "sequences count from 1 without gaps");
        let found = store.decision(id).await.unwrap().unwrap();
        assert_eq!(
            found,
            StoredDecision {
                sequence,
                record,
                outcome: None
            }
        );
    }
    let none = DecisionId::fresh(&ambient);
    assert_eq!(store.decision(none).await.unwrap(), None);
}

async fn listings_filter_and_page(store: &impl Store) {
    let ambient = Ticking::default();
    let mut all = Vec::new();
    for turn in 0..12 {
        let connection = ["a", "b"][turn % 2];
        let object = ["contact", "lead", "case"][turn % 3];
        let actor = ["u1", "u2"][turn / 6];
        let effect = [Effect::Allow, Effect::Deny, Effect::Error][turn % 3];
        let record = record(&ambient, connection, (object, actor), effect);
        store.append_decision(record.clone()).await.unwrap();
        all.push(record);
    }
    let none = DecisionFilter::default;
    let at = |index: usize| all[index].decision.at;
    let cases: Vec<(DecisionFilter, Vec<usize>)> = vec![
        (none(), (0..12).rev().collect()),
        (
            DecisionFilter {
                connection: Some(name("a")),
                ..none()
            },
            vec![10, 8, 6, 4, 2, 0],
        ),
        (
            DecisionFilter {
                object: Some("lead".into()),
                ..none()
            },
            vec![10, 7, 4, 1],
        ),
        (
            DecisionFilter {
                record_id: Some("case-1".into()),
                ..none()
            },
            vec![11, 8, 5, 2],
        ),
        (
            DecisionFilter {
                actor: Some("u1".into()),
                ..none()
            },
            vec![5, 4, 3, 2, 1, 0],
        ),
        (
            DecisionFilter {
                effect: Some(Effect::Allow),
                ..none()
            },
            vec![9, 6, 3, 0],
        ),
        (
            DecisionFilter {
                effect: Some(Effect::Deny),
                ..none()
            },
            vec![10, 7, 4, 1],
        ),
        (
            DecisionFilter {
                package: Some("crm.sales.broken".into()),
                ..none()
            },
            vec![11, 10, 8, 7, 5, 4, 2, 1],
        ),
        (
            DecisionFilter {
                package: Some("crm.sales".into()),
                ..none()
            },
            vec![],
        ),
        (
            DecisionFilter {
                reason: Some("too_high".into()),
                ..none()
            },
            vec![11, 10, 8, 7, 5, 4, 2, 1],
        ),
        (
            DecisionFilter {
                since: Some(at(9)),
                ..none()
            },
            vec![11, 10, 9],
        ),
        (
            DecisionFilter {
                until: Some(at(2)),
                ..none()
            },
            vec![1, 0],
        ),
        (
            DecisionFilter {
                visible: Some(vec![name("b"), name("c")]),
                ..none()
            },
            vec![11, 9, 7, 5, 3, 1],
        ),
        (
            DecisionFilter {
                visible: Some(vec![]),
                ..none()
            },
            vec![],
        ),
        (
            DecisionFilter {
                connection: Some(name("a")),
                visible: Some(vec![name("b")]),
                ..none()
            },
            vec![],
        ),
        (
            DecisionFilter {
                connection: Some(name("a")),
                effect: Some(Effect::Deny),
                actor: Some("u2".into()),
                ..none()
            },
            vec![10],
        ),
    ];
    for (filter, expected) in cases {
        let expected: Vec<DecisionId> = expected.iter().map(|i| all[*i].decision.id).collect();
        for size in [1, 2, 5, 50] {
            assert_eq!(
                ids(store, &filter, size).await,
                expected,
                "{filter:?} by {size}"
            );
        }
    }
    let page = store.decisions(&none(), None, 3).await.unwrap();
    let cursor = page.next.unwrap();
    let newer = record(&ambient, "a", ("contact", "u1"), Effect::Allow);
    store.append_decision(newer).await.unwrap();
    let second = store.decisions(&none(), Some(&cursor), 1).await.unwrap();
    assert_eq!(
        second.items[0].record.decision.id, all[8].decision.id,
        "a cursor stays in its place"
    );
    for wrong in ["", "x", "1;DROP TABLE decisions", "h1"] {
        let refused = store.decisions(&none(), Some(wrong), 1).await;
        assert!(matches!(refused, Err(StoreError::BadCursor)), "{wrong}");
    }
}

/// All pages of a listing.
async fn ids(store: &impl Store, filter: &DecisionFilter, size: usize) -> Vec<DecisionId> {
    let mut found = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = store
            .decisions(filter, cursor.as_deref(), size)
            .await
            .unwrap();
        assert!(page.items.len() <= size);
        found.extend(page.items.iter().map(|item| item.record.decision.id));
        match page.next {
            Some(next) => cursor = Some(next),
            None => return found,
        }
    }
}

async fn outcomes_end_writes(store: &impl Store) {
    let ambient = Ticking::default();
    let mut written = Vec::new();
    for _ in 0..3 {
        let record = full_record(&ambient);
        store.append_decision(record.clone()).await.unwrap();
        written.push(record);
    }
    let mut denied = full_record(&ambient);
    denied.read_back = None;
    denied.basis = None;
    store.append_decision(denied).await.unwrap();
    let later = start() + 1.hour();
    let open = |found: Vec<crate::Unfinished>| -> Vec<DecisionId> {
        found.iter().map(|write| write.decision).collect()
    };
    let all: Vec<DecisionId> = written.iter().map(|r| r.decision.id).collect();
    assert_eq!(
        open(store.unfinished(later, 10).await.unwrap()),
        all,
        "oldest first"
    );
    assert_eq!(open(store.unfinished(later, 2).await.unwrap()), all[..2]);
    let second = written[1].decision.at;
    assert_eq!(open(store.unfinished(second, 10).await.unwrap()), all[..1]);

    let unknown = outcome(all[0], OutcomeKind::Unknown);
    store.append_outcome(unknown.clone()).await.unwrap();
    let found = store.unfinished(later, 10).await.unwrap();
    assert_eq!(found.len(), 3, "an unknown outcome ends nothing");
    assert_eq!(found[0].read_back, written[0].read_back.clone().unwrap());
    assert_eq!(found[0].at, written[0].decision.at);
    assert_eq!(found[0].connection, written[0].connection);
    let stored = store.decision(all[0]).await.unwrap().unwrap();
    assert_eq!(stored.outcome, Some(unknown));
    assert!(stored.record.read_back.is_some());

    for (id, kind) in [
        (all[0], OutcomeKind::Succeeded),
        (all[1], OutcomeKind::Uncertain),
    ] {
        store.append_outcome(outcome(id, kind)).await.unwrap();
        let stored = store.decision(id).await.unwrap().unwrap();
        assert_eq!(stored.outcome, Some(outcome(id, kind)), "the newest holds");
        assert_eq!(
            stored.record.read_back, None,
            "dropped with the final outcome"
        );
    }
    assert_eq!(open(store.unfinished(later, 10).await.unwrap()), all[2..]);
}

async fn twins_are_found(store: &impl Store) {
    let ambient = Ticking::default();
    let mut made = Vec::new();
    for (connection, join) in [("a", "k"), ("a", "k"), ("a", "other"), ("b", "k")] {
        let mut record = record(&ambient, connection, ("contact", "u1"), Effect::Allow);
        record.read_back = Some(read_back(join, &[]));
        store.append_decision(record.clone()).await.unwrap();
        made.push(record);
    }
    let key = PayloadHash::of(&[b"k"]);
    let twin = |connection: &str, since: Timestamp| {
        let connection = name(connection);
        async move {
            let found = store
                .unfinished_twin(&connection, key, since)
                .await
                .unwrap();
            found.map(|twin| twin.decision)
        }
    };
    let ids: Vec<DecisionId> = made.iter().map(|r| r.decision.id).collect();
    assert_eq!(twin("a", start()).await, Some(ids[1]), "the newest");
    assert_eq!(twin("b", start()).await, Some(ids[3]), "of the connection");
    assert_eq!(twin("c", start()).await, None);
    assert_eq!(twin("a", made[2].decision.at).await, None, "since then");
    store
        .append_outcome(outcome(ids[1], OutcomeKind::Refused))
        .await
        .unwrap();
    assert_eq!(
        twin("a", start()).await,
        Some(ids[0]),
        "without a final outcome"
    );
}

fn hold(ambient: &dyn Ambient, actor: &str, payload: &str) -> Hold {
    let record = record(ambient, "a", ("contact", actor), Effect::RequireApproval);
    let created_at = ambient.now();
    Hold {
        id: HoldId::fresh(ambient),
        decision: record.decision.id,
        connection: record.connection,
        operation: record.operation.unwrap(),
        change: Document::parse(br#"{"Email": null, "N": 0.10}"#).unwrap(),
        payload_hash: PayloadHash::of(&[payload.as_bytes()]),
        approvals: record.decision.judgement.approvals,
        status: HoldStatus::Waiting,
        created_at,
        expires_at: created_at + 1.hour(),
        requests: 1,
    }
}

async fn equal_requests_share_a_hold(store: &impl Store) {
    let ambient = Ticking::default();
    let first = hold(&ambient, "u1", "p");
    assert_eq!(store.hold(first.clone()).await.unwrap(), first);
    let joined = store.hold(hold(&ambient, "u1", "p")).await.unwrap();
    assert_eq!(
        joined,
        Hold {
            requests: 2,
            ..first.clone()
        }
    );
    assert_eq!(store.held(first.id).await.unwrap(), Some(joined));
    for (actor, payload) in [("u2", "p"), ("u1", "q")] {
        let other = hold(&ambient, actor, payload);
        assert_eq!(store.hold(other.clone()).await.unwrap(), other, "its own");
    }
    let mut late = hold(&ambient, "u1", "p");
    late.created_at = first.expires_at;
    late.expires_at = first.expires_at + 1.hour();
    assert_eq!(
        store.hold(late.clone()).await.unwrap(),
        late,
        "an expired one is not joined"
    );
    let ended = store.held(first.id).await.unwrap().unwrap();
    assert_eq!(ended.status, HoldStatus::Expired);

    let mine = HoldFilter {
        actor: Some("u1".to_owned()),
        ..HoldFilter::default()
    };
    let page = store.holds(&mine, None, 2).await.unwrap();
    let ids: Vec<HoldId> = page.items.iter().map(|h| h.id).collect();
    assert_eq!(ids[0], late.id, "newest first");
    let rest = store.holds(&mine, page.next.as_deref(), 2).await.unwrap();
    assert_eq!(
        (rest.items[0].id, rest.items.len(), rest.next),
        (first.id, 1, None)
    );
    let hidden = HoldFilter {
        visible: Some(vec![name("b")]),
        ..HoldFilter::default()
    };
    assert!(
        store
            .holds(&hidden, None, 9)
            .await
            .unwrap()
            .items
            .is_empty()
    );
    let of_a = HoldFilter {
        connection: Some(name("a")),
        visible: Some(vec![name("a")]),
        ..HoldFilter::default()
    };
    assert_eq!(store.holds(&of_a, None, 9).await.unwrap().items.len(), 4);
    let wrong = store.holds(&of_a, Some("d1x"), 9).await;
    assert!(matches!(wrong, Err(StoreError::BadCursor)));
}

async fn holds_and_their_decisions_go_together(store: &impl Store) {
    let ambient = Ticking::default();
    let mut ids = BTreeSet::new();
    for _ in 0..2 {
        let mut record = record(&ambient, "a", ("contact", "u1"), Effect::RequireApproval);
        record.basis = None;
        record.read_back = None;
        record.hold = None;
        let in_force = store
            .hold_decided(hold(&ambient, "u1", "p"), record.clone())
            .await
            .unwrap();
        let stored = store.decision(record.decision.id).await.unwrap().unwrap();
        assert_eq!(stored.record.hold, Some(in_force.id));
        ids.insert(in_force.id);
    }
    assert_eq!(ids.len(), 1, "two decisions, one hold");
}

async fn tokens_are_kept(store: &impl Store) {
    let info = |id: &str| TokenInfo {
        id: id.to_owned(),
        name: format!("token {id}"),
        roles: vec![Role::Client, Role::Auditor],
        connections: vec![name("a")],
        team: None,
        scopes: vec!["api".to_owned()],
        created_at: start(),
        expires_at: Some(start() + 1.hour()),
        revoked_at: None,
    };
    let token = |id: &str| NewToken {
        info: info(id),
        secret_hash: format!("hash {id}"),
    };
    store.add_token(token("t1")).await.unwrap();
    store.add_token(token("t2")).await.unwrap();
    let again = store.add_token(token("t1")).await;
    assert!(matches!(again, Err(StoreError::Exists(_))));
    let found = store.token("t1").await.unwrap().unwrap();
    assert_eq!(
        (found.info, found.secret_hash),
        (info("t1"), "hash t1".to_owned())
    );
    assert!(store.token("t3").await.unwrap().is_none());
    assert_eq!(store.tokens().await.unwrap(), [info("t2"), info("t1")]);
    let at = start() + 5.minutes();
    assert!(store.revoke_token("t1", at).await.unwrap());
    assert!(
        !store
            .revoke_token("t1", start() + 6.minutes())
            .await
            .unwrap(),
        "once"
    );
    assert!(!store.revoke_token("t3", at).await.unwrap());
    let revoked = store.token("t1").await.unwrap().unwrap().info;
    assert_eq!(
        revoked,
        TokenInfo {
            revoked_at: Some(at),
            ..info("t1")
        }
    );
}

async fn connections_are_remembered(store: &impl Store) {
    let sighting = |client: &str, count: u64, hours: i64| {
        let first_at = start() + hours.hours();
        Sighting {
            key: SightingKey {
                client: client.to_owned(),
                route: "create".to_owned(),
                class: "write".to_owned(),
                enforced: "refuse".to_owned(),
                why: "crm.a/b".to_owned(),
            },
            count,
            first_at,
            last_at: first_at + 1.minute(),
        }
    };
    let a = name("a");
    store
        .add_sightings(&a, vec![sighting("x", 2, 0), sighting("y", 1, 0)])
        .await
        .unwrap();
    store
        .add_sightings(&a, vec![sighting("x", 3, 0), sighting("x", 4, 2)])
        .await
        .unwrap();
    store
        .add_sightings(&name("b"), vec![sighting("x", 100, 0)])
        .await
        .unwrap();
    let mut all = store.sightings(&a, None).await.unwrap();
    all.sort_by(|one, other| one.key.cmp(&other.key));
    let whole = Sighting {
        last_at: start() + 121.minutes(),
        ..sighting("x", 9, 0)
    };
    assert_eq!(all, [whole, sighting("y", 1, 0)]);
    let late = store.sightings(&a, Some(start() + 1.hour())).await.unwrap();
    assert_eq!(late, [sighting("x", 4, 2)]);

    for (mode, by) in [(Mode::Observe, "configuration"), (Mode::Enforce, "ada")] {
        let change = ModeChange {
            at: start(),
            mode,
            by: by.to_owned(),
        };
        store.append_mode(&a, change).await.unwrap();
    }
    let modes = store.modes(&a).await.unwrap();
    let by: Vec<&str> = modes.iter().map(|change| change.by.as_str()).collect();
    assert_eq!(by, ["ada", "configuration"], "newest first");
    assert!(store.modes(&name("b")).await.unwrap().is_empty());
}

async fn revisions_are_remembered(store: &impl Store) {
    let revision = |id: &str, minutes: i64| StoredRevision {
        revision: RevisionId::new(id),
        at: start() + minutes.minutes(),
        sources: format!("{{\"global\":\"{id}\"}}"),
    };
    assert_eq!(store.latest_revision().await.unwrap(), None);
    for (id, minutes) in [("one", 0), ("two", 1), ("one", 2)] {
        store.accept_revision(revision(id, minutes)).await.unwrap();
    }
    assert_eq!(
        store.latest_revision().await.unwrap(),
        Some(revision("one", 2))
    );
    let two = RevisionId::new("two");
    assert_eq!(
        store.revision(&two).await.unwrap(),
        Some(revision("two", 1))
    );
    assert_eq!(
        store.revision(&RevisionId::new("three")).await.unwrap(),
        None
    );
}
