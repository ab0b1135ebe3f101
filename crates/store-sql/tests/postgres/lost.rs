//! A server that comes and goes.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crmgate_domain::{Ambient as _, DecisionId};
use crmgate_store::suite::full_record;
use crmgate_store::{
    DecisionFilter, DecisionLog as _, Ledger as _, Pulse as _, RevisionLog as _, StoreError,
};
use crmgate_store_sql::PostgresStore;
use crmgate_testkit::Postgres;

use crate::writers::verified;
use crate::{ambient, open};

/// No call may take longer: two seconds, and what a busy machine adds.
const LONGEST: Duration = Duration::from_millis(2_600);

/// Callers that write until they are told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    callers: Vec<tokio::task::JoinHandle<Told>>,
}

/// What a caller was told.
#[derive(Default)]
struct Told {
    stored: Vec<DecisionId>,
    refused: usize,
}

impl Load {
    fn on(store: &Arc<PostgresStore>, callers: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let callers = (0..callers)
            .map(|_| tokio::spawn(load(Arc::clone(store), Arc::clone(&stop))))
            .collect();
        Self { stop, callers }
    }

    async fn ends(self) -> Told {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Told::default();
        for caller in self.callers {
            let told = caller.await.unwrap();
            all.stored.extend(told.stored);
            all.refused += told.refused;
        }
        all
    }
}

async fn load(store: Arc<PostgresStore>, stop: Arc<AtomicBool>) -> Told {
    let ambient = ambient();
    let mut told = Told::default();
    while !stop.load(Ordering::SeqCst) {
        let record = full_record(ambient.as_ref());
        let id = record.decision.id;
        let began = Instant::now();
        let answer = store.append_decision(record).await;
        let took = began.elapsed();
        assert!(took < LONGEST, "a call took {took:?}: {answer:?}");
        match answer {
            Ok(_) => told.stored.push(id),
            Err(StoreError::Unavailable(_)) => {
                told.refused += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(other) => panic!("{other}"),
        }
        let began = Instant::now();
        let read = store.decision(id).await;
        let took = began.elapsed();
        assert!(took < LONGEST, "a look took {took:?}: {read:?}");
    }
    told
}

/// Nothing that was acknowledged is lost, nothing stands twice in the record.
async fn assert_exact(store: &PostgresStore, told: &Told) {
    let mut ids = HashSet::new();
    let mut after = 0;
    loop {
        let page = store.entries(after, 500).await.unwrap();
        let Some(last) = page.last() else {
            break;
        };
        after = last.entry.position;
        for raw in page.iter().filter(|raw| raw.entry.kind == "decision") {
            let envelope: serde_json::Value = serde_json::from_str(&raw.entry.envelope).unwrap();
            let id: DecisionId = envelope["id"].as_str().unwrap().parse().unwrap();
            assert!(ids.insert(id), "{id} stands twice in the record");
        }
    }
    let lost = told.stored.iter().filter(|id| !ids.contains(id)).count();
    assert_eq!(lost, 0, "of {} acknowledged", told.stored.len());
    let report = verified(store).await;
    assert!(report.whole, "{:#?}", report.faults);
}

async fn until_it_answers(store: &PostgresStore) {
    let end = Instant::now() + Duration::from_secs(10);
    let ambient = ambient();
    while store.beat(ambient.now()).await.is_err() {
        assert!(Instant::now() < end, "it does not recover");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_and_starts_loses_nothing() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let address = server.database();
    let store = Arc::new(open(&address).await);
    let load = Load::on(&store, 12);
    for crash in [false, true] {
        tokio::time::sleep(Duration::from_millis(400)).await;
        tokio::task::block_in_place(|| if crash { server.kill() } else { server.stop() });
        tokio::time::sleep(Duration::from_millis(2_300)).await;
        let gone = store.latest_revision().await;
        assert!(matches!(gone, Err(StoreError::Unavailable(_))), "{gone:?}");
        tokio::task::block_in_place(|| server.restart());
        until_it_answers(&store).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let told = load.ends().await;
    assert!(told.refused > 0, "nobody noticed");
    assert_exact(&store, &told).await;
    let chains = verified(&store).await.chains.len();
    assert_eq!(chains, 1, "the process goes on with its chain");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_answering_is_waited_for_two_seconds() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let address = server.database();
    let store = Arc::new(open(&address).await);
    let load = Load::on(&store, 6);
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.pause();
    // The callers see to it that nothing takes longer.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let began = Instant::now();
    let page = store.decisions(&DecisionFilter::default(), None, 1).await;
    assert!(matches!(page, Err(StoreError::Unavailable(_))), "{page:?}");
    assert!(began.elapsed() < LONGEST);
    server.resume();
    until_it_answers(&store).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let told = load.ends().await;
    assert!(told.refused > 0, "nobody noticed");
    assert_exact(&store, &told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_connections_are_not_noticed() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    let address = server.database();
    let store = Arc::new(open(&address).await);
    let load = Load::on(&store, 8);
    let name = address.rsplit('/').next().unwrap();
    let kill = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE datname = '{name}' AND pid <> pg_backend_pid() AND application_name = 'crmgate'"
    );
    for _ in 0..25 {
        tokio::task::block_in_place(|| server.run(&address, &kill));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let told = load.ends().await;
    assert_eq!(told.refused, 0, "of {} writes", told.stored.len());
    assert!(told.stored.len() > 50, "{} writes only", told.stored.len());
    assert_exact(&store, &told).await;
}
