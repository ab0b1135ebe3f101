//! Several processes on one database.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crmgate_domain::Ambient as _;
use crmgate_store::checkpoint::Checkpoint;
use crmgate_store::suite::full_record;
use crmgate_store::verify::{Report, Verification};
use crmgate_store::{
    AttemptLog as _, DecisionLog as _, GONE_AFTER, Ledger as _, Outcome, OutcomeKind,
    Processes as _, StoreError, StoredCheckpoint,
};
use crmgate_store_sql::PostgresStore;
use crmgate_testkit::Postgres;

use crate::{ambient, living, open};

/// The record, from its beginning, against a checkpoint over what is there.
pub(crate) async fn verified(store: &PostgresStore) -> Report {
    let extent = store.extent().await.unwrap();
    let now = ambient().now();
    let mut check = Verification::new(vec![Checkpoint::next(None, extent, now)]);
    let mut after = 0;
    loop {
        let page = store.entries(after, 500).await.unwrap();
        let Some(last) = page.last() else {
            break;
        };
        after = last.entry.position;
        page.iter().for_each(|raw| check.take(raw));
    }
    check.finish()
}

pub(crate) fn succeeded(decision: crmgate_domain::DecisionId) -> Outcome {
    Outcome {
        decision,
        at: ambient().now(),
        kind: OutcomeKind::Succeeded,
        status: None,
        code: None,
        record_id: None,
    }
}

/// Writes decisions and their outcomes: the places of the decisions.
async fn write(store: Arc<PostgresStore>, many: usize) -> Vec<u64> {
    let ambient = ambient();
    let mut places = Vec::new();
    for _ in 0..many {
        let record = full_record(ambient.as_ref());
        let id = record.decision.id;
        places.push(store.append_decision(record).await.unwrap());
        store.append_outcome(succeeded(id)).await.unwrap();
    }
    places
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_misses_nothing_while_four_processes_write() {
    const CALLERS: usize = 6;
    const EACH: usize = 20;
    let Some(server) = Postgres::shared() else {
        return;
    };
    let address = server.database();
    let stores = futures::future::join_all((0..4).map(|_| open(&address))).await;
    let stores: Vec<Arc<PostgresStore>> = stores.into_iter().map(Arc::new).collect();
    let reader = open(&address).await;
    let writers: Vec<_> = (0..CALLERS * stores.len())
        .map(|caller| tokio::spawn(write(Arc::clone(&stores[caller % 4]), EACH)))
        .collect();
    // Four starts, and an outcome for every decision.
    let expected = 4 + 2 * (CALLERS * 4 * EACH);
    let mut seen: BTreeSet<u64> = BTreeSet::new();
    let mut after = 0;
    while seen.len() < expected {
        for raw in reader.entries(after, 7).await.unwrap() {
            assert_eq!(raw.entry.position, after + 1, "one was not there yet");
            after = raw.entry.position;
            if raw.entry.kind == "decision" {
                seen.insert(after);
            } else {
                // Counted only.
                seen.insert(after);
            }
        }
    }
    let mut given = BTreeSet::new();
    for writer in writers {
        for place in writer.await.unwrap() {
            assert!(given.insert(place), "two decisions have the place {place}");
        }
    }
    assert!(given.is_subset(&seen));
    let report = verified(&reader).await;
    assert!(report.whole, "{:#?}", report.faults);
    assert_eq!(report.chains.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_come_and_go_and_the_record_stays_whole() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    let address = server.database();
    let lasting = Arc::new(open(&address).await);
    let background = tokio::spawn(write(Arc::clone(&lasting), 60));
    for _ in 0..5 {
        let store = Arc::new(open(&address).await);
        write(Arc::clone(&store), 3).await;
        store.close().await;
    }
    background.await.unwrap();
    let report = verified(&lasting).await;
    assert!(report.whole, "{:#?}", report.faults);
    assert_eq!(report.chains.len(), 6);
    // The lasting one's end and the last one's: the others are named by those that came later.
    assert_eq!(lasting.extent().await.unwrap().heads.len(), 2);
}

#[tokio::test]
async fn one_of_two_that_make_the_same_checkpoint_is_told() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    let address = server.database();
    let (one, other) = (open(&address).await, open(&address).await);
    let checkpoint = |jws: &str| StoredCheckpoint {
        number: 1,
        at: ambient().now(),
        jws: jws.to_owned(),
    };
    let (first, second) = tokio::join!(
        one.add_checkpoint(checkpoint("one")),
        other.add_checkpoint(checkpoint("other")),
    );
    assert_ne!(first.is_ok(), second.is_ok());
    let late = first.and(second);
    assert!(matches!(late, Err(StoreError::Exists(_))), "{late:?}");
}

#[tokio::test]
async fn another_process_s_twin_is_found() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    let address = server.database();
    let (one, other) = (open(&address).await, open(&address).await);
    let record = full_record(ambient().as_ref());
    let key = record.read_back.as_ref().unwrap().join_key;
    let (id, at) = (record.decision.id, record.decision.at);
    let connection = record.connection.clone();
    one.append_decision(record).await.unwrap();
    let twin = other.unfinished_twin(&connection, key, at).await.unwrap();
    assert_eq!(twin.map(|twin| twin.decision), Some(id));
    one.append_outcome(succeeded(id)).await.unwrap();
    let twin = other.unfinished_twin(&connection, key, at).await.unwrap();
    assert_eq!(twin, None);
}

#[tokio::test]
async fn a_process_settles_its_own_and_those_of_the_dead() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    let address = server.database();
    let (one, other) = (open(&address).await, open(&address).await);
    let ambient = ambient();
    let (own, of_other) = (full_record(ambient.as_ref()), full_record(ambient.as_ref()));
    let (id, id_of_other) = (own.decision.id, of_other.decision.id);
    one.append_decision(own).await.unwrap();
    other.append_decision(of_other).await.unwrap();
    let now = ambient.now();
    let open_to_one = async |now| {
        let open = one.unfinished(now, 9).await.unwrap();
        open.iter().map(|open| open.decision).collect::<Vec<_>>()
    };
    other
        .beat_process(&living(other.process(), now))
        .await
        .unwrap();
    assert_eq!(open_to_one(now).await, [id], "the other one lives");
    let later = now + GONE_AFTER + Duration::from_secs(1);
    assert_eq!(open_to_one(later).await, [id, id_of_other], "it was silent");
    other
        .beat_process(&living(other.process(), later))
        .await
        .unwrap();
    assert_eq!(open_to_one(later).await, [id]);
    other.leave(other.process()).await.unwrap();
    assert_eq!(open_to_one(later).await, [id, id_of_other], "it left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_holds_the_record_up_is_waited_for_two_seconds() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    let address = server.database();
    let store = open(&address).await;
    let ambient = ambient();
    store
        .append_decision(full_record(ambient.as_ref()))
        .await
        .unwrap();
    let holding = tokio::task::spawn_blocking({
        let address = address.clone();
        move || {
            server.run(
                &address,
                "SELECT pg_advisory_lock(1668441447, 1), pg_sleep(3.2)",
            )
        }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let began = Instant::now();
    let refused = store.append_decision(full_record(ambient.as_ref())).await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    assert!(began.elapsed() < Duration::from_millis(2_300));
    // Reading does not wait for writing.
    assert_eq!(store.extent().await.unwrap().last, 2);
    let next = store.append_decision(full_record(ambient.as_ref())).await;
    next.unwrap();
    holding.await.unwrap();
    assert!(verified(&store).await.whole);
}
