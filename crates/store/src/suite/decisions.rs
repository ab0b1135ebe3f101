//! The record of decisions.

use crmgate_domain::{DecisionId, Effect, Mode};

use super::Ticking;
use super::samples::{full_record, name, outcome, record};
use crate::{
    Basis, DecisionFilter, DecisionRecord, OutcomeKind, Store, StoreError, StoredDecision,
};

pub(super) async fn records_come_back_whole(store: &impl Store) {
    let ambient = Ticking::default();
    let whole = full_record(&ambient);
    let mut opaque = full_record(&ambient);
    opaque.operation = None;
    opaque.opaque = Some("POST /odd".to_owned());
    opaque.basis = Some(Basis::Opaque);
    opaque.read_back = None;
    opaque.hold = None;
    let mut before = 0;
    for record in [whole, opaque] {
        let id = record.decision.id;
        let sequence = store.append_decision(record.clone()).await.unwrap();
        assert!(sequence > before, "sequences go up");
        before = sequence;
        let found = store.decision(id).await.unwrap().unwrap();
        let chained = found.chained;
        assert!(chained.is_some(), "it stands in a chain");
        assert_eq!(
            found,
            StoredDecision {
                sequence,
                record,
                outcome: None,
                chained,
            }
        );
    }
    let none = DecisionId::fresh(&ambient);
    assert_eq!(store.decision(none).await.unwrap(), None);
}

pub(super) async fn listings_filter_and_page(store: &impl Store) {
    let ambient = Ticking::default();
    let mut all = Vec::new();
    let mut sequences = Vec::new();
    for turn in 0..12 {
        let connection = ["a", "b"][turn % 2];
        let object = ["contact", "lead", "case"][turn % 3];
        let actor = ["u1", "u2"][turn / 6];
        let effect = [Effect::Allow, Effect::Deny, Effect::Error][turn % 3];
        let record = record(&ambient, connection, (object, actor), effect);
        sequences.push(store.append_decision(record.clone()).await.unwrap());
        all.push(record);
    }
    for kind in [OutcomeKind::Unknown, OutcomeKind::Refused] {
        let ended = outcome(all[0].decision.id, kind);
        store.append_outcome(ended).await.unwrap();
    }
    for (filter, expected) in cases(&all, &sequences) {
        let expected: Vec<DecisionId> = expected.iter().map(|i| all[*i].decision.id).collect();
        for size in [1, 2, 5, 50] {
            assert_eq!(
                ids(store, &filter, size).await,
                expected,
                "{filter:?} by {size}"
            );
        }
    }
    let all_of_them = DecisionFilter::default();
    let page = store.decisions(&all_of_them, None, 3).await.unwrap();
    let cursor = page.next.unwrap();
    let newer = record(&ambient, "a", ("contact", "u1"), Effect::Allow);
    store.append_decision(newer).await.unwrap();
    let second = store
        .decisions(&all_of_them, Some(&cursor), 1)
        .await
        .unwrap();
    assert_eq!(
        second.items[0].record.decision.id, all[8].decision.id,
        "a cursor stays in its place"
    );
    for wrong in ["", "x", "1;DROP TABLE decisions", "h1"] {
        let refused = store.decisions(&all_of_them, Some(wrong), 1).await;
        assert!(matches!(refused, Err(StoreError::BadCursor)), "{wrong}");
    }
}

/// Filters, and the places of what they find.
fn cases(all: &[DecisionRecord], sequences: &[u64]) -> Vec<(DecisionFilter, Vec<usize>)> {
    let at = |index: usize| Some(all[index].decision.at);
    let text = |text: &str| Some(text.to_owned());
    let case = |places: &[usize], narrow: &dyn Fn(&mut DecisionFilter)| {
        let mut filter = DecisionFilter::default();
        narrow(&mut filter);
        (filter, places.to_vec())
    };
    let refused = [11, 10, 8, 7, 5, 4, 2, 1];
    vec![
        case(&[11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0], &|_| {}),
        case(&[10, 8, 6, 4, 2, 0], &|f| f.connection = Some(name("a"))),
        case(&[10, 7, 4, 1], &|f| f.object = text("lead")),
        case(&[11, 8, 5, 2], &|f| f.record_id = text("case-1")),
        case(&[5, 4, 3, 2, 1, 0], &|f| f.actor = text("u1")),
        case(&[9, 6, 3, 0], &|f| f.effect = Some(Effect::Allow)),
        case(&[10, 7, 4, 1], &|f| f.effect = Some(Effect::Deny)),
        case(&refused, &|f| f.package = text("crm.sales.broken")),
        case(&[], &|f| f.package = text("crm.sales")),
        case(&refused, &|f| f.reason = text("too_high")),
        case(&[11, 10, 9], &|f| f.since = at(9)),
        case(&[1, 0], &|f| f.until = at(2)),
        case(&[11, 9, 7, 5, 3, 1], &|f| {
            f.visible = Some(vec![name("b"), name("c")]);
        }),
        case(&[11, 10], &|f| f.after = Some(sequences[9])),
        case(&[], &|f| f.mode = Some(Mode::Observe)),
        case(&[0], &|f| f.outcome = Some(OutcomeKind::Refused)),
        case(&[], &|f| f.outcome = Some(OutcomeKind::Succeeded)),
        case(&[], &|f| f.visible = Some(vec![])),
        case(&[], &|f| {
            f.connection = Some(name("a"));
            f.visible = Some(vec![name("b")]);
        }),
        case(&[10], &|f| {
            f.connection = Some(name("a"));
            f.effect = Some(Effect::Deny);
            f.actor = text("u2");
        }),
    ]
}

/// All pages of a listing.
pub(super) async fn ids(
    store: &impl Store,
    filter: &DecisionFilter,
    size: usize,
) -> Vec<DecisionId> {
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
