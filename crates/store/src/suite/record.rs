//! The record as entries: chained, fed, erased, pruned.

use crmgate_domain::{Ambient, Effect};
use jiff::ToSpan as _;

use super::Ticking;
use super::holds::hold;
use super::samples::{full_record, name, outcome, record, start};
use crate::checkpoint::Checkpoint;
use crate::verify::{Report, Verification};
use crate::{
    Cutoffs, DecisionFilter, DecisionRecord, EraseFilter, Erased, Erasure, FeedItem, OutcomeKind,
    PayloadState, RawEntry, Store, StoreError, StoredCheckpoint, StoredRevision,
};

async fn all(store: &impl Store) -> Vec<RawEntry> {
    let mut all: Vec<RawEntry> = Vec::new();
    loop {
        let after = all.last().map_or(0, |raw| raw.entry.position);
        let page = store.entries(after, 3).await.unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

pub(super) async fn verify(store: &impl Store) -> Report {
    let mut check = Verification::new(Vec::new());
    for raw in all(store).await {
        check.take(&raw);
    }
    check.finish()
}

/// A decision with everything, a judged input included.
fn whole(ambient: &dyn Ambient) -> DecisionRecord {
    let mut record = full_record(ambient);
    record.payload.state = PayloadState::Kept;
    record.payload.input = Some(r#"{"record":{"email":"ada@example.com"}}"#.to_owned());
    record.payload.masked = vec!["/input/record/phone".to_owned()];
    record
}

pub(super) async fn everything_is_chained(store: &impl Store) {
    let ambient = Ticking::default();
    let decided = whole(&ambient);
    let id = decided.decision.id;
    store.append_decision(decided).await.unwrap();
    store
        .append_outcome(outcome(id, OutcomeKind::Succeeded))
        .await
        .unwrap();
    let mut held = record(&ambient, "a", ("contact", "u1"), Effect::RequireApproval);
    held.basis = None;
    held.read_back = None;
    let asked = hold(&ambient, "u1", "p");
    store.hold_decided(asked, held).await.unwrap();
    let mode = crate::ModeChange {
        at: ambient.now(),
        mode: crmgate_domain::Mode::Observe,
        by: "configuration".to_owned(),
    };
    store.append_mode(&name("a"), mode).await.unwrap();
    let revision = StoredRevision {
        revision: crmgate_domain::RevisionId::new("abc"),
        at: ambient.now(),
        sources: "{}".to_owned(),
    };
    store.accept_revision(revision).await.unwrap();
    let kinds: Vec<String> = all(store)
        .await
        .iter()
        .map(|raw| raw.entry.kind.to_string())
        .collect();
    assert_eq!(
        kinds,
        [
            "start", "decision", "outcome", "decision", "mode", "revision"
        ]
    );
    let report = verify(store).await;
    assert!(report.whole, "{report:#?}");
    assert_eq!((report.chains.len(), report.payloads.kept), (1, 2));
    let extent = store.extent().await.unwrap();
    assert_eq!(extent.heads, [report.chains[0].head]);
    assert_eq!((extent.first, extent.last), (1, 6));
}

pub(super) async fn the_feed_tells_all_in_order(store: &impl Store) {
    let ambient = Ticking::default();
    assert_eq!(store.feed_end().await.unwrap(), 0);
    let mut expected = Vec::new();
    for turn in 0..6 {
        let decided = whole(&ambient);
        let id = decided.decision.id;
        expected.push((id, false));
        store.append_decision(decided).await.unwrap();
        if turn % 2 == 0 {
            let ended = outcome(id, OutcomeKind::Succeeded);
            store.append_outcome(ended).await.unwrap();
            expected.push((id, true));
        }
    }
    let mut told = Vec::new();
    let mut after = 0;
    loop {
        let page = store.feed(after, 2).await.unwrap();
        if page.is_empty() {
            break;
        }
        for entry in page {
            assert!(entry.position > after);
            after = entry.position;
            told.push(match entry.item {
                FeedItem::Decision(record) => {
                    assert!(record.payload.input.is_some() && record.read_back.is_none());
                    (record.decision.id, false)
                }
                FeedItem::Outcome {
                    outcome,
                    connection,
                } => {
                    assert_eq!(connection, Some(name("acme-sf")));
                    (outcome.decision, true)
                }
            });
        }
    }
    assert_eq!(told, expected);
    assert_eq!(store.feed_end().await.unwrap(), after);
    assert_eq!(store.sink_position("file").await.unwrap(), 0);
    store.set_sink_position("file", 3).await.unwrap();
    store.set_sink_position("file", 5).await.unwrap();
    store.set_sink_position("http", 1).await.unwrap();
    assert_eq!(store.sink_position("file").await.unwrap(), 5);
    store.forget_sink("http").await.unwrap();
    let known = [("file".to_owned(), 5)];
    assert_eq!(store.sink_positions().await.unwrap(), known.into());
}

pub(super) async fn checkpoints_are_kept(store: &impl Store) {
    assert_eq!(store.last_checkpoint().await.unwrap(), None);
    let made = |number: u64| StoredCheckpoint {
        number,
        at: start() + number.cast_signed().minutes(),
        jws: format!("jws {number}"),
    };
    for number in 1..=3 {
        store.add_checkpoint(made(number)).await.unwrap();
    }
    let again = store.add_checkpoint(made(2)).await;
    assert!(matches!(again, Err(StoreError::Exists(_))), "{again:?}");
    assert_eq!(store.checkpoints(1, 9).await.unwrap(), [made(2), made(3)]);
    assert_eq!(store.checkpoints(0, 1).await.unwrap(), [made(1)]);
    assert_eq!(store.last_checkpoint().await.unwrap(), Some(made(3)));
}

fn erasure(ambient: &dyn Ambient) -> Erasure {
    Erasure {
        by: "privacy".to_owned(),
        at: ambient.now(),
        reason: "asked for".to_owned(),
    }
}

pub(super) async fn what_is_erased_is_gone_and_the_record_whole(store: &impl Store) {
    let ambient = Ticking::default();
    let mut ids = Vec::new();
    // A create, whose record is known by its outcome only, of an actor of its own.
    let mut create = whole(&ambient);
    if let Some(operation) = &mut create.operation {
        operation.record_id = None;
        operation.actor.id = "creator".to_owned();
    }
    ids.push(create.decision.id);
    store.append_decision(create).await.unwrap();
    for _ in 0..3 {
        let decided = whole(&ambient);
        ids.push(decided.decision.id);
        store.append_decision(decided).await.unwrap();
    }
    for id in &ids[..2] {
        store
            .append_outcome(outcome(*id, OutcomeKind::Succeeded))
            .await
            .unwrap();
    }
    let asked = hold(&ambient, "creator", "p");
    store.hold(asked.clone()).await.unwrap();
    let nothing = EraseFilter::default();
    let by = erasure(&ambient);
    let none = store.erase(&nothing, &by).await.unwrap();
    assert_eq!(none, Erased::default(), "no filter is not everything");
    assert_eq!(store.erasable(&nothing).await.unwrap(), none);

    let creator = EraseFilter {
        actor: Some("creator".to_owned()),
        ..EraseFilter::default()
    };
    let reach = store.erasable(&creator).await.unwrap();
    let expected = Erased {
        decisions: 1,
        read_backs: 0,
        holds: 1,
        operations: 0,
    };
    assert_eq!(reach, expected);
    assert_eq!(store.erase(&creator, &by).await.unwrap(), expected);
    let emptied = store.held(asked.id).await.unwrap().unwrap();
    assert_eq!(emptied.change, crmgate_domain::Document::Null);
    assert_eq!(emptied.status, crate::HoldStatus::Expired);
    gone(store, ids[0]).await;

    let about = EraseFilter {
        record_id: Some("006".to_owned()),
        ..EraseFilter::default()
    };
    let erased = store.erase(&about, &by).await.unwrap();
    assert_eq!((erased.decisions, erased.read_backs), (3, 2), "the others");
    assert!(
        store
            .unfinished(start() + 1.hour(), 9)
            .await
            .unwrap()
            .is_empty()
    );
    let open = store.decision(ids[3]).await.unwrap().unwrap();
    let ended = open.outcome.unwrap();
    assert_eq!(
        (ended.kind, ended.code.as_deref()),
        (OutcomeKind::Uncertain, Some("erased"))
    );
    assert_eq!(store.erase(&about, &by).await.unwrap(), Erased::default());
    let found = DecisionFilter {
        record_id: Some("006".to_owned()),
        ..DecisionFilter::default()
    };
    let listed = store.decisions(&found, None, 9).await.unwrap();
    assert_eq!(listed.items.len(), 4, "its envelope still names the record");
    let report = verify(store).await;
    assert!(report.whole, "{report:#?}");
    assert_eq!(
        (report.payloads.kept, report.payloads.erased),
        (0, 4),
        "{report:#?}"
    );
}

async fn gone(store: &impl Store, id: crmgate_domain::DecisionId) {
    let left = store.decision(id).await.unwrap().unwrap();
    assert_eq!(left.record.payload.state, PayloadState::Erased);
    let text = serde_json::to_string(&left).unwrap();
    for value in ["ada@example.com", "over the limit", "quarter end", "12.50"] {
        assert!(!text.contains(value), "`{value}` is left: {text}");
    }
    let judgement = &left.record.decision.judgement;
    assert_eq!(judgement.reasons[0].code, "too_high", "codes stay");
    assert_eq!(judgement.packages.len(), 2);
    assert_eq!(left.record.input_hash, None);
}

pub(super) async fn what_is_old_goes(store: &impl Store) {
    let ambient = Ticking::default();
    let mut ids = Vec::new();
    for _ in 0..4 {
        let decided = whole(&ambient);
        let id = decided.decision.id;
        ids.push(id);
        store.append_decision(decided).await.unwrap();
        let ended = crate::Outcome {
            at: ambient.now(),
            ..outcome(id, OutcomeKind::Succeeded)
        };
        store.append_outcome(ended).await.unwrap();
    }
    let third = store.decision(ids[2]).await.unwrap().unwrap();
    let extent = store.extent().await.unwrap();
    let checkpoint = Checkpoint::next(None, extent, ambient.now());
    let cutoffs = Cutoffs {
        payloads: Some(third.record.decision.at),
        ..Cutoffs::default()
    };
    let pruned = store.prune(&cutoffs, ambient.now()).await.unwrap();
    assert_eq!((pruned.payloads, pruned.entries), (2, 0));
    let first = store.decision(ids[0]).await.unwrap().unwrap();
    assert_eq!(first.record.payload.state, PayloadState::Expired);
    assert!(verify(store).await.whole);

    let cutoffs = Cutoffs {
        entries: Some(third.record.decision.at),
        ..Cutoffs::default()
    };
    let pruned = store.prune(&cutoffs, ambient.now()).await.unwrap();
    assert_eq!(pruned.entries, 5, "the start, two decisions, two outcomes");
    assert_eq!(store.decision(ids[0]).await.unwrap(), None);
    assert!(store.decision(ids[2]).await.unwrap().is_some());
    let again = store.prune(&cutoffs, ambient.now()).await.unwrap();
    assert_eq!(again.entries, 0);
    let mut check = Verification::new(vec![checkpoint]);
    for raw in all(store).await {
        check.take(&raw);
    }
    let report = check.finish();
    assert!(report.whole, "{report:#?}");
    assert_eq!(report.pruned_up_to, 5);
}
