//! What came of writes.

use crmgate_domain::{DecisionId, Effect, PayloadHash, Point, Timestamp};
use jiff::ToSpan as _;

use super::Ticking;
use super::samples::{full_record, name, outcome, read_back, record, start};
use crate::{DecisionRecord, OutcomeKind, Store};

pub(super) async fn outcomes_end_writes(store: &impl Store) {
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
    let mut queued = full_record(&ambient);
    if let Some(operation) = &mut queued.operation {
        operation.point = Point::Queue;
    }
    store.append_decision(queued).await.unwrap();
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

    unknown_then_final(store, &written).await;
    assert_eq!(open(store.unfinished(later, 10).await.unwrap()), all[2..]);
}

async fn unknown_then_final(store: &impl Store, written: &[DecisionRecord]) {
    let later = start() + 1.hour();
    let all: Vec<DecisionId> = written.iter().map(|r| r.decision.id).collect();
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
}

pub(super) async fn twins_are_found(store: &impl Store) {
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
