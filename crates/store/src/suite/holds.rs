//! Held operations.

use std::collections::BTreeSet;

use crmgate_domain::{Ambient, Document, Effect, HoldId, PayloadHash};
use jiff::ToSpan as _;

use super::Ticking;
use super::samples::{name, record};
use crate::{Hold, HoldFilter, HoldStatus, Store, StoreError};

pub(super) fn hold(ambient: &dyn Ambient, actor: &str, payload: &str) -> Hold {
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
        release: crate::Release::Ticket,
        queued: None,
        written_as: None,
        requester: vec![actor.to_owned()],
        fields: Vec::new(),
        bound: None,
        replaces: None,
        builds_on: None,
        version: 0,
        ended: None,
        spent_by: None,
    }
}

pub(super) async fn equal_requests_share_a_hold(store: &impl Store) {
    let ambient = Ticking::default();
    let first = hold(&ambient, "u1", "p");
    assert_eq!(store.hold(first.clone()).await.unwrap(), first);
    let joined = store.hold(hold(&ambient, "u1", "p")).await.unwrap();
    assert_eq!(
        joined,
        Hold {
            requests: 2,
            version: 1,
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
    let waiting = store.holds_waiting(first.created_at).await.unwrap();
    assert_eq!(waiting, [(name("a"), 3)].into());
    let later = store
        .holds_waiting(first.expires_at + 1.minute())
        .await
        .unwrap();
    assert_eq!(
        later,
        [(name("a"), 1)].into(),
        "what is past its end does not wait"
    );

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

pub(super) async fn holds_and_their_decisions_go_together(store: &impl Store) {
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
