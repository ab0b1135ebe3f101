//! What every store does.

use std::sync::Arc;

use crmgate_domain::Ambient as _;
use crmgate_store::suite::{Ticking, full_record, run};
use crmgate_store::{
    AttemptLog as _, DecisionFilter, DecisionLog as _, Outcome, OutcomeKind, RecordFeed as _,
    StoreError,
};
use crmgate_testkit::Postgres;

use crate::{ambient, open};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behaves_as_a_store() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    run(|| async { open(&server.database()).await }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_are_numbered_without_gaps_and_survive_a_reopening() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    let address = server.database();
    let store = Arc::new(open(&address).await);
    let ambient = Arc::new(Ticking::default());
    let tasks: Vec<_> = (0..300)
        .map(|_| {
            let (store, ambient) = (Arc::clone(&store), Arc::clone(&ambient));
            tokio::spawn(async move {
                let record = full_record(ambient.as_ref());
                let id = record.decision.id;
                let sequence = store.append_decision(record).await.unwrap();
                let outcome = Outcome {
                    decision: id,
                    at: ambient.now(),
                    kind: OutcomeKind::Succeeded,
                    status: None,
                    code: None,
                    record_id: None,
                };
                store.append_outcome(outcome).await.unwrap();
                (sequence, id)
            })
        })
        .collect();
    let mut given = Vec::new();
    for task in tasks {
        given.push(task.await.unwrap());
    }
    given.sort_unstable();
    given.dedup_by_key(|(sequence, _)| *sequence);
    assert_eq!(given.len(), 300, "no two have one place");
    assert_eq!(store.feed_end().await.unwrap(), 601, "and a start");
    store.close().await;
    let refused = store.append_decision(full_record(ambient.as_ref())).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))));

    let store = open(&address).await;
    for (sequence, id) in given {
        let found = store.decision(id).await.unwrap().unwrap();
        assert_eq!(found.sequence, sequence);
        assert_eq!(found.outcome.unwrap().kind, OutcomeKind::Succeeded);
    }
    let next = store.append_decision(full_record(ambient.as_ref())).await;
    assert_eq!(next.unwrap(), 603, "behind the new chain's start");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_row_does_not_take_the_others_with_it() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    let store = open(&server.database()).await;
    let ambient = Ticking::default();
    let twice = full_record(&ambient);
    store.append_decision(twice.clone()).await.unwrap();
    // A connection on the way holds the first one up, so that the others come together.
    let (first, second, third) = tokio::join!(
        store.append_decision(full_record(&ambient)),
        store.append_decision(twice.clone()),
        store.append_decision(full_record(&ambient)),
    );
    assert!(matches!(second, Err(StoreError::Exists(_))), "{second:?}");
    let mut sequences = [first.unwrap(), third.unwrap()];
    sequences.sort_unstable();
    assert_eq!(sequences, [3, 4]);
}

#[tokio::test]
async fn words_that_postgres_does_not_keep_are_kept_as_near_as_it_can() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    let store = open(&server.database()).await;
    let ambient = ambient();
    let mut record = full_record(ambient.as_ref());
    let operation = record.operation.as_mut().unwrap();
    operation.actor.id = "zero\0byte".to_owned();
    operation.record_id = Some("\0".to_owned());
    let id = record.decision.id;
    store.append_decision(record.clone()).await.unwrap();
    let stored = store.decision(id).await.unwrap().unwrap();
    assert_eq!(stored.record.operation, record.operation, "itself whole");
    let filter = DecisionFilter {
        actor: Some("zero\0byte".to_owned()),
        ..DecisionFilter::default()
    };
    let found = store.decisions(&filter, None, 9).await.unwrap();
    assert_eq!(found.items.len(), 1);
    let misfiled = crmgate_store::Ledger::misfiled(&store, 0, 99).await;
    assert!(misfiled.unwrap().is_empty(), "no tampering");
}
