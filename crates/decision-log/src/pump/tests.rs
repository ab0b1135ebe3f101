use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use crmgate_domain::{ChainId, DecisionId};
use crmgate_store::suite::{Ticking, full_record};
use crmgate_store::{ChainRef, Digest, Outcome, OutcomeKind, PayloadState};

use super::*;

/// A record in memory, with gaps between its places.
#[derive(Default)]
struct Record {
    entries: Mutex<Vec<FeedEntry>>,
    positions: Mutex<BTreeMap<String, u64>>,
    broken: AtomicBool,
}

impl Record {
    fn add(&self, item: FeedItem) {
        let mut entries = self.entries.lock().unwrap();
        let link = entries.len() as u64;
        let chained = ChainRef {
            chain: ChainId::fresh(&Ticking::default()),
            link,
            hash: Digest::default(),
        };
        let position = (link + 1) * 3;
        entries.push(FeedEntry {
            position,
            chained,
            item,
        });
    }

    fn decide(&self, ambient: &Ticking, state: PayloadState) -> DecisionId {
        let mut record = full_record(ambient);
        record.payload.state = state;
        let id = record.decision.id;
        self.add(FeedItem::Decision(Box::new(record)));
        id
    }

    fn well(&self) -> Result<(), StoreError> {
        if self.broken.load(Ordering::SeqCst) {
            Err(StoreError::Unavailable("told to".to_owned()))
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl RecordFeed for Record {
    async fn feed(&self, after: u64, limit: usize) -> Result<Vec<FeedEntry>, StoreError> {
        self.well()?;
        let entries = self.entries.lock().unwrap();
        let found = entries.iter().filter(|entry| entry.position > after);
        Ok(found.take(limit).cloned().collect())
    }

    async fn feed_end(&self) -> Result<u64, StoreError> {
        let entries = self.entries.lock().unwrap();
        Ok(entries.last().map_or(0, |entry| entry.position))
    }

    async fn sink_position(&self, sink: &str) -> Result<u64, StoreError> {
        Ok(self
            .positions
            .lock()
            .unwrap()
            .get(sink)
            .copied()
            .unwrap_or_default())
    }

    async fn set_sink_position(&self, sink: &str, position: u64) -> Result<(), StoreError> {
        self.well()?;
        self.positions
            .lock()
            .unwrap()
            .insert(sink.to_owned(), position);
        Ok(())
    }

    async fn sink_positions(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        self.well()?;
        Ok(self.positions.lock().unwrap().clone())
    }

    async fn forget_sink(&self, sink: &str) -> Result<(), StoreError> {
        self.positions.lock().unwrap().remove(sink);
        Ok(())
    }
}

/// Takes as many events at a time as it is told, or none.
#[derive(Clone, Default)]
struct Hand {
    got: Arc<Mutex<Vec<serde_json::Value>>>,
    at_once: usize,
    shut: Arc<AtomicBool>,
    idled: Arc<AtomicUsize>,
}

#[async_trait]
impl Sink for Hand {
    async fn take(&mut self, events: &[Vec<u8>]) -> Result<usize, SinkError> {
        if self.shut.load(Ordering::SeqCst) {
            return Err(SinkError::new("told to"));
        }
        let some = events.iter().take(self.at_once);
        let some = some.map(|event| serde_json::from_slice(event).unwrap());
        self.got.lock().unwrap().extend(some);
        Ok(events.len().min(self.at_once))
    }

    async fn idle(&mut self) {
        self.idled.fetch_add(1, Ordering::SeqCst);
    }
}

struct World {
    record: Arc<Record>,
    hand: Hand,
    ambient: Arc<Ticking>,
    stop: CancellationToken,
}

impl World {
    fn new() -> Self {
        Self {
            record: Arc::default(),
            hand: Hand {
                at_once: 2,
                ..Hand::default()
            },
            ambient: Arc::default(),
            stop: CancellationToken::new(),
        }
    }

    fn pump(&self, change: impl FnOnce(&mut PumpSettings)) -> Pump {
        let mut settings = PumpSettings::named("hand");
        settings.batch = 5;
        settings.every = Duration::from_millis(1);
        settings.pause = Duration::from_millis(2);
        settings.longest_pause = Duration::from_millis(8);
        change(&mut settings);
        let source = Source {
            feed: Arc::<Record>::clone(&self.record),
            ambient: Arc::<Ticking>::clone(&self.ambient),
            labels: Arc::new([("id".to_owned(), "one".to_owned())].into()),
        };
        Pump::new(source, Box::new(self.hand.clone()), settings)
    }

    fn got(&self) -> Vec<String> {
        let got = self.hand.got.lock().unwrap();
        got.iter()
            .map(|event| event["decision_id"].as_str().unwrap().to_owned())
            .collect()
    }

    fn position(&self) -> Option<u64> {
        self.record.positions.lock().unwrap().get("hand").copied()
    }

    async fn until(&self, reached: impl Fn() -> bool) {
        let waiting = async {
            while !reached() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), waiting)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn every_event_arrives_once_and_in_order_and_dropped_ones_do_not() {
    let world = World::new();
    let mut expected = Vec::new();
    for n in 0..23 {
        let state = if n % 7 == 3 {
            PayloadState::Dropped
        } else {
            PayloadState::Kept
        };
        let id = world.record.decide(&world.ambient, state);
        if state == PayloadState::Kept {
            expected.push(id.to_string());
        }
    }
    world.record.decide(&world.ambient, PayloadState::Dropped);
    let pump = world.pump(|_| {});
    let watch = pump.watch();
    world.stop.cancel();
    pump.run(world.stop.clone()).await;
    assert_eq!(world.got(), expected);
    assert_eq!(
        world.position(),
        Some(24 * 3),
        "it need not come back for what was dropped"
    );
    assert_eq!(watch.lag(), Lag::default());
}

#[tokio::test]
async fn a_sink_goes_on_where_it_stopped_and_a_new_one_where_it_is_told() {
    let world = World::new();
    world.stop.cancel();
    for round in 1..=3 {
        for _ in 0..4 {
            world.record.decide(&world.ambient, PayloadState::Kept);
        }
        world.pump(|_| {}).run(world.stop.clone()).await;
        assert_eq!(world.got().len(), round * 4);
    }
    let later = |settings: &mut PumpSettings| {
        "later".clone_into(&mut settings.name);
        settings.from_now = true;
    };
    world.pump(later).run(world.stop.clone()).await;
    assert_eq!(world.got().len(), 12);
    world.record.decide(&world.ambient, PayloadState::Kept);
    world.pump(later).run(world.stop.clone()).await;
    assert_eq!(world.got().len(), 13);
}

#[tokio::test]
async fn what_a_sink_or_the_record_refuses_is_tried_again_and_told() {
    let world = World::new();
    for _ in 0..6 {
        world.record.decide(&world.ambient, PayloadState::Kept);
    }
    world.hand.shut.store(true, Ordering::SeqCst);
    let pump = world.pump(|_| {});
    let watch = pump.watch();
    let running = tokio::spawn(pump.run(world.stop.clone()));
    world.until(|| watch.lag().failing.is_some()).await;
    let lag = watch.lag();
    assert_eq!(lag.entries, 18);
    assert!(lag.oldest.is_some());
    assert_eq!(
        world.position(),
        Some(0),
        "known from the start, so that nothing is pruned"
    );
    world.record.broken.store(true, Ordering::SeqCst);
    world.hand.shut.store(false, Ordering::SeqCst);
    world
        .until(|| {
            watch
                .lag()
                .failing
                .is_some_and(|(_, why)| why.contains("record"))
        })
        .await;
    assert!(world.got().is_empty());
    world.record.broken.store(false, Ordering::SeqCst);
    world.until(|| world.got().len() == 6).await;
    world.until(|| watch.lag() == Lag::default()).await;
    world.stop.cancel();
    running.await.unwrap();
    assert_eq!(world.position(), Some(18));
}

#[tokio::test]
async fn a_pump_that_dies_repeats_at_most_what_it_had_in_hand() {
    let world = World::new();
    let mut expected = Vec::new();
    for _ in 0..40 {
        expected.push(
            world
                .record
                .decide(&world.ambient, PayloadState::Kept)
                .to_string(),
        );
    }
    let running = tokio::spawn(world.pump(|_| {}).run(world.stop.clone()));
    world.until(|| world.got().len() >= 10).await;
    running.abort();
    running.await.unwrap_err();
    world.stop.cancel();
    world.pump(|_| {}).run(world.stop.clone()).await;
    let mut got = world.got();
    assert!(got.len() <= 42, "{}", got.len());
    got.dedup();
    let mut seen = std::collections::BTreeSet::new();
    got.retain(|id| seen.insert(id.clone()));
    assert_eq!(got, expected);
}

#[tokio::test]
async fn outcomes_are_events_of_their_own_with_names_that_stay_the_same() {
    let world = World::new();
    let id = world.record.decide(&world.ambient, PayloadState::Kept);
    for kind in [OutcomeKind::Unknown, OutcomeKind::Succeeded] {
        world.record.add(FeedItem::Outcome {
            outcome: Outcome {
                decision: id,
                at: world.ambient.now(),
                kind,
                status: Some(201),
                code: None,
                record_id: Some("003".to_owned()),
            },
            connection: Some("acme".parse().unwrap()),
        });
    }
    world.stop.cancel();
    world.pump(|_| {}).run(world.stop.clone()).await;
    let first = world.got();
    world.record.positions.lock().unwrap().clear();
    world.pump(|_| {}).run(world.stop.clone()).await;
    let all = world.got();
    assert_eq!(all[..3], first);
    assert_eq!(all[3..], first);
    assert_eq!(std::collections::BTreeSet::from_iter(&first).len(), 3);
    let got = world.hand.got.lock().unwrap();
    assert_eq!(got[2]["path"], "crm/outcome");
    assert_eq!(got[2]["crm"]["decision"], id.to_string());
    assert_eq!(got[2]["result"]["outcome"], "succeeded");
}

#[tokio::test]
async fn a_sink_under_load_gets_on_with_what_is_due() {
    let world = World::new();
    for _ in 0..20 {
        world.record.decide(&world.ambient, PayloadState::Kept);
    }
    let pump = world.pump(|_| {});
    world.stop.cancel();
    pump.run(world.stop.clone()).await;
    // Four full batches, one look that found nothing.
    assert!(world.hand.idled.load(Ordering::SeqCst) >= 5);
}

#[tokio::test]
async fn what_comes_while_a_sink_works_goes_together() {
    let world = World::new();
    world.record.decide(&world.ambient, PayloadState::Kept);
    let pump = world.pump(|settings| settings.every = Duration::from_hours(1));
    let running = tokio::spawn(pump.run(world.stop.clone()));
    world.until(|| world.got().len() == 1).await;
    world.record.decide(&world.ambient, PayloadState::Kept);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.got().len(), 1, "it waits for more");
    world.stop.cancel();
    running.await.unwrap();
    assert_eq!(world.got().len(), 2);
}

#[tokio::test]
async fn a_record_that_could_not_be_read_for_a_while_is_no_failing_sink_after() {
    let world = World::new();
    world.record.broken.store(true, Ordering::SeqCst);
    let pump = world.pump(|_| {});
    let watch = pump.watch();
    let running = tokio::spawn(pump.run(world.stop.clone()));
    world.until(|| watch.lag().failing.is_some()).await;
    world.record.broken.store(false, Ordering::SeqCst);
    world.until(|| watch.lag().failing.is_none()).await;
    world.stop.cancel();
    running.await.unwrap();
}
