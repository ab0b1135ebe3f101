//! The care for the record: checkpoints, self-checks, erasure.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use crmgate_app::{
    AppError, CheckpointKey, CheckpointSink, Keep, Record, RecordParts, RecordSettings,
};
use crmgate_domain::Mode;
use crmgate_store::checkpoint::{Checkpoint, Signer, Verifier};
use crmgate_store::suite::{Ticking, full_record};
use crmgate_store::{
    DecisionLog as _, EraseFilter, Ledger as _, RecordFeed as _, Role, Store, StoredCheckpoint,
};
use crmgate_testkit::{MemoryStore, TestAmbient};
use tokio_util::sync::CancellationToken;

use crate::world::World;

const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIIq3KCT+vwexbdkhzc72lsvzl9jAcbG9VdqX2KjOXqo9\n\
    -----END PRIVATE KEY-----\n";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEAkcckmBkTkPhIOZAxOZYxw+2Od7w2BtWHDGHqU3co5tI=\n\
    -----END PUBLIC KEY-----\n";

/// Takes checkpoints, or fails.
#[derive(Default)]
struct Taker {
    taken: Mutex<Vec<StoredCheckpoint>>,
    failing: AtomicBool,
}

#[async_trait]
impl CheckpointSink for Taker {
    fn name(&self) -> &'static str {
        "taker"
    }

    async fn hand(&self, checkpoints: &[StoredCheckpoint]) -> Result<(), String> {
        if self.failing.load(Ordering::SeqCst) {
            return Err("told to fail".to_owned());
        }
        self.taken.lock().unwrap().extend_from_slice(checkpoints);
        Ok(())
    }
}

impl Taker {
    fn read(&self) -> Vec<Checkpoint> {
        let verifier = Verifier::new(PUBLIC).unwrap();
        let taken = self.taken.lock().unwrap();
        taken
            .iter()
            .map(|checkpoint| verifier.read(&checkpoint.jws).unwrap())
            .collect()
    }
}

struct Care {
    store: Arc<MemoryStore>,
    ambient: Arc<TestAmbient>,
    taker: Arc<Taker>,
    record: Arc<Record>,
    ticking: Ticking,
    stop: CancellationToken,
}

impl Care {
    fn new(keep: Keep) -> Self {
        let store = Arc::new(MemoryStore::default());
        let ambient = Arc::new(TestAmbient::default());
        let taker = Arc::new(Taker::default());
        let parts = RecordParts {
            settings: RecordSettings {
                checkpoint_every: Duration::from_secs(60),
                checkpoint_entries: 5,
                check_every: Duration::from_secs(3_600),
                keep,
            },
            key: Some(CheckpointKey {
                signer: Signer::new(PRIVATE).unwrap(),
                verifier: Verifier::new(PUBLIC).unwrap(),
                public_pem: PUBLIC.to_owned(),
            }),
            sinks: vec![Arc::clone(&taker) as _],
        };
        let shared: Arc<dyn Store> = Arc::clone(&store) as _;
        let record = Record::new(shared, Arc::clone(&ambient) as _, parts);
        Self {
            store,
            ambient,
            taker,
            record: Arc::new(record),
            ticking: Ticking::default(),
            stop: CancellationToken::new(),
        }
    }

    fn run(&self) {
        let (record, stop) = (Arc::clone(&self.record), self.stop.clone());
        tokio::spawn(async move { record.run(stop).await });
    }

    async fn decide(&self, times: usize) {
        for _ in 0..times {
            let record = full_record(&self.ticking);
            self.store.append_decision(record).await.unwrap();
        }
    }

    /// Lets the standing work go on for a while, in paused time.
    async fn wait(&self, time: Duration) {
        let step = Duration::from_millis(500);
        let mut left = time;
        while !left.is_zero() {
            self.ambient.advance(step);
            tokio::time::sleep(step).await;
            left = left.saturating_sub(step);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn checkpoints_come_at_the_start_by_count_by_time_and_at_the_end() {
    let care = Care::new(Keep::default());
    care.decide(1).await;
    care.run();
    care.wait(Duration::from_secs(2)).await;
    assert_eq!(care.taker.read().len(), 1, "at the start");
    care.decide(4).await;
    care.wait(Duration::from_secs(3)).await;
    assert_eq!(care.taker.read().len(), 1, "4 are not enough");
    care.decide(1).await;
    care.wait(Duration::from_secs(3)).await;
    assert_eq!(care.taker.read().len(), 2, "5 are");
    care.decide(1).await;
    care.wait(Duration::from_secs(90)).await;
    assert_eq!(care.taker.read().len(), 3, "after a minute");
    care.wait(Duration::from_secs(300)).await;
    assert_eq!(care.taker.read().len(), 3, "nothing new, nothing to sign");
    care.decide(1).await;
    care.stop.cancel();
    care.record.close().await;
    let all = care.taker.read();
    assert_eq!(all.len(), 4, "at the end");
    let extent = care.store.extent().await.unwrap();
    assert_eq!(all[3].heads, extent.heads);
    assert_eq!((all[3].number, all[3].last), (4, extent.last));
    let jws = care.taker.taken.lock().unwrap()[2].jws.clone();
    assert_eq!(
        all[3].previous,
        Some(crmgate_store::checkpoint::name(&jws)),
        "each names the one before"
    );
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_fails_is_told_of_and_loses_nothing() {
    let care = Care::new(Keep::default());
    care.taker.failing.store(true, Ordering::SeqCst);
    care.decide(1).await;
    care.run();
    care.wait(Duration::from_secs(2)).await;
    let problem = care.record.problem().unwrap();
    assert!(
        problem.contains("`taker`: told to fail"),
        "health says so: {problem}"
    );
    for _ in 0..3 {
        care.decide(5).await;
        care.wait(Duration::from_secs(3)).await;
    }
    assert!(care.taker.read().is_empty());
    care.taker.failing.store(false, Ordering::SeqCst);
    care.wait(Duration::from_secs(120)).await;
    let numbers: Vec<u64> = care.taker.read().iter().map(|c| c.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4], "all of them, in order");
    assert_eq!(care.record.problem(), None);
    let position = care.store.sink_position("checkpoint:taker").await.unwrap();
    assert_eq!(position, 4);
}

#[tokio::test(start_paused = true)]
async fn the_record_finds_out_by_itself_that_it_was_changed() {
    let care = Care::new(Keep::default());
    care.decide(3).await;
    care.run();
    care.wait(Duration::from_secs(2)).await;
    assert_eq!(care.record.problem(), None);
    care.store
        .tamper(|entries| entries[2].entry.envelope.push(' '));
    care.wait(Duration::from_secs(3_700)).await;
    let problem = care.record.problem().unwrap();
    assert!(
        problem.contains("entry 3 does not fit its hash"),
        "{problem}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_old_enough_goes_by_itself() {
    let care = Care::new(Keep {
        payloads: Some(Duration::from_secs(3_600)),
        ..Keep::default()
    });
    care.decide(3).await;
    care.run();
    care.wait(Duration::from_secs(600)).await;
    let kept = |entries: Vec<crmgate_store::RawEntry>| {
        entries.iter().filter(|raw| raw.payload.is_some()).count()
    };
    assert_eq!(kept(care.store.entries(0, 99).await.unwrap()), 3);
    care.wait(Duration::from_secs(3_600)).await;
    assert_eq!(kept(care.store.entries(0, 99).await.unwrap()), 0);
    assert_eq!(care.record.problem(), None);
}

#[tokio::test]
async fn only_admins_erase_and_only_within_their_connections() {
    let world = World::new(Mode::Enforce).await;
    let record = world.app.record();
    let wanted = EraseFilter {
        actor: Some("u1".to_owned()),
        ..EraseFilter::default()
    };
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Admin) {
        let by = world.principal(&[role], &[]).await;
        let refused = record.erase(&by, &wanted, "why", true).await;
        assert!(matches!(refused, Err(AppError::Forbidden(_))), "{role:?}");
    }
    let admin = world.principal(&[Role::Admin], &[]).await;
    assert!(record.erase(&admin, &wanted, "why", false).await.is_ok());
    let everything = EraseFilter::default();
    let refused = record.erase(&admin, &everything, "why", false).await;
    assert!(
        matches!(refused, Err(AppError::Invalid { .. })),
        "no filter"
    );
    for reason in ["", "  ", &"x".repeat(501)] {
        let refused = record.erase(&admin, &wanted, reason, false).await;
        assert!(matches!(refused, Err(AppError::Invalid { .. })), "{reason}");
    }
    let scoped = world.principal(&[Role::Admin], &["own"]).await;
    let refused = record.erase(&scoped, &wanted, "why", false).await;
    assert!(matches!(refused, Err(AppError::Forbidden(_))));
    let elsewhere = EraseFilter {
        connection: "lent".parse().ok(),
        ..wanted.clone()
    };
    let refused = record.erase(&scoped, &elsewhere, "why", false).await;
    assert!(matches!(refused, Err(AppError::Forbidden(_))));
    let own = EraseFilter {
        connection: "own".parse().ok(),
        ..wanted
    };
    assert!(record.erase(&scoped, &own, "why", false).await.is_ok());
    let refused = record.entries(&scoped, 0, 10).await;
    assert!(
        matches!(refused, Err(AppError::Forbidden(_))),
        "it is of all"
    );
    let auditor = world.principal(&[Role::Auditor], &[]).await;
    assert!(record.entries(&auditor, 0, 10).await.is_ok());
}
