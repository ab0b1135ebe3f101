//! How full queues are, as numbers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crmgate_domain::{Ambient, Timestamp};
use crmgate_store::{Depth, Jobs};
use crmgate_telemetry::Capped;
use metrics::{Gauge, gauge};
use tokio::time::MissedTickBehavior;

use crate::meters::describe;

/// How many queues are told apart.
const QUEUES: usize = 1_000;

/// Tells the depths of all queues every so often, until it is dropped. One process in each
/// installation is enough, more do no harm.
pub async fn watch(jobs: Arc<dyn Jobs>, ambient: Arc<dyn Ambient>, every: Duration) {
    describe();
    let gauges = Capped::new(QUEUES, Gauges::new);
    let mut known: BTreeMap<String, Depth> = BTreeMap::new();
    let mut ticks = tokio::time::interval(every.max(Duration::from_millis(100)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match jobs.depths().await {
            Ok(depths) => {
                // A queue that holds nothing any more is not told about.
                for emptied in known.keys().filter(|queue| !depths.contains_key(*queue)) {
                    gauges.with(emptied, |gauges| gauges.set(&Depth::default(), &*ambient));
                }
                for (queue, depth) in &depths {
                    gauges.with(queue, |gauges| gauges.set(depth, &*ambient));
                }
                known = depths;
            }
            Err(error) => tracing::warn!("the depths of queues cannot be told: {error}"),
        }
    }
}

/// The gauges of one queue.
struct Gauges {
    due: Gauge,
    delayed: Gauge,
    claimed: Gauge,
    dead: Gauge,
    oldest: Gauge,
}

impl Gauges {
    fn new(queue: &str) -> Self {
        let depth = |state: &'static str| gauge!("crmgate_queue_depth", "queue" => queue.to_owned(), "state" => state);
        Self {
            due: depth("due"),
            delayed: depth("delayed"),
            claimed: depth("claimed"),
            dead: depth("dead"),
            oldest: gauge!("crmgate_queue_oldest_due_seconds", "queue" => queue.to_owned()),
        }
    }

    fn set(&self, depth: &Depth, ambient: &dyn Ambient) {
        self.due.set(number(depth.due));
        self.delayed.set(number(depth.delayed));
        self.claimed.set(number(depth.claimed));
        self.dead.set(number(depth.dead));
        let waited = |since: Timestamp| (ambient.now() - since).total(jiff::Unit::Second);
        let oldest = depth.oldest_due.and_then(|since| waited(since).ok());
        self.oldest.set(oldest.unwrap_or_default().max(0.0));
    }
}

fn number(count: u64) -> f64 {
    u32::try_from(count).unwrap_or(u32::MAX).into()
}
