//! Carries events from the record to a sink.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crmgate_domain::{Ambient, Timestamp};
use crmgate_store::{FeedEntry, FeedItem, RecordFeed, StoreError};
use metrics::{counter, describe_counter, describe_gauge, gauge};
use tokio_util::sync::CancellationToken;

use crate::event::{Event, Labels};
use crate::sink::{Sink, SinkError};

#[cfg(test)]
mod tests;

/// How a pump behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PumpSettings {
    /// The sink's name, under which its position is kept.
    pub name: String,
    /// How many entries are read at once.
    pub batch: usize,
    /// How often it is looked for new ones.
    pub every: Duration,
    /// The first pause after a failure; it doubles with each.
    pub pause: Duration,
    /// The longest pause after a failure.
    pub longest_pause: Duration,
    /// Whether a sink that is new begins with what is recorded from now on, and not with all that
    /// is there.
    pub from_now: bool,
}

impl PumpSettings {
    /// The usual behaviour.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            batch: 500,
            every: Duration::from_millis(250),
            pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(60),
            from_now: false,
        }
    }
}

/// How far behind a sink is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lag {
    /// Places in the record that it has not taken.
    pub entries: u64,
    /// When the oldest of them was made.
    pub oldest: Option<Timestamp>,
    /// Since when it takes nothing, and why.
    pub failing: Option<(Timestamp, String)>,
}

/// A sink's lag, as others look at it.
#[derive(Debug, Clone, Default)]
pub struct Watch(Arc<Mutex<Lag>>);

impl Watch {
    /// The lag as it was last seen.
    #[must_use]
    pub fn lag(&self) -> Lag {
        let lag = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lag.clone()
    }

    fn change(&self, change: impl FnOnce(&mut Lag)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Where events come from, and what marks them.
#[derive(Clone)]
pub struct Source {
    /// The record.
    pub feed: Arc<dyn RecordFeed + Send + Sync>,
    /// Time and randomness.
    pub ambient: Arc<dyn Ambient>,
    /// The labels of every event.
    pub labels: Arc<Labels>,
}

/// Carries events from the record to one sink, in order, until it is stopped.
///
/// INVARIANT: the position moves only behind what the sink has taken, so that after a crash it
/// gets some events again and misses none.
pub struct Pump {
    source: Source,
    sink: Box<dyn Sink>,
    settings: PumpSettings,
    watch: Watch,
    position: u64,
    /// What of the position is on disk.
    kept: u64,
    /// Whether it was told that the position cannot be stored.
    told: bool,
}

/// What a round came to.
enum Round {
    /// There was nothing.
    Empty,
    /// Something was taken, and there is more.
    Moved,
    /// All that was there was taken.
    Caught,
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("the record cannot be read: {0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Sink(#[from] SinkError),
}

impl Pump {
    /// A pump; it does nothing until [`Self::run`].
    #[must_use]
    pub fn new(source: Source, sink: Box<dyn Sink>, settings: PumpSettings) -> Self {
        describe(&settings.name);
        Self {
            source,
            sink,
            settings,
            watch: Watch::default(),
            position: 0,
            kept: 0,
            told: false,
        }
    }

    /// How far behind the sink is.
    #[must_use]
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// Carries events until `stop`, and then what is there, as far as the sink takes it.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut failures: u32 = 0;
        let mut started = false;
        loop {
            let worked = if started {
                self.round().await
            } else {
                self.start().await.map(|()| {
                    started = true;
                    Round::Moved
                })
            };
            if worked.is_ok() {
                failures = 0;
                self.watch.change(|lag| lag.failing = None);
                self.sink.idle().await;
            }
            let pause = match worked {
                Ok(Round::Moved) => continue,
                Ok(Round::Empty) if stop.is_cancelled() => return,
                // What comes meanwhile goes together: a sink's call or sync is dear.
                Ok(Round::Empty | Round::Caught) => self.settings.every,
                Err(_) if stop.is_cancelled() => return,
                Err(error) => {
                    failures = failures.saturating_add(1);
                    self.failed(&error, failures)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Finds out where to go on.
    async fn start(&mut self) -> Result<(), Failed> {
        let name = &self.settings.name;
        let known = self.source.feed.sink_positions().await?;
        if let Some(position) = known.get(name) {
            self.position = *position;
        } else {
            if self.settings.from_now {
                self.position = self.source.feed.feed_end().await?;
            }
            // Said at once, so that nothing it waits for is pruned.
            self.source
                .feed
                .set_sink_position(name, self.position)
                .await?;
        }
        self.kept = self.position;
        Ok(())
    }

    async fn round(&mut self) -> Result<Round, Failed> {
        self.keep().await;
        let feed = &self.source.feed;
        let entries = feed.feed(self.position, self.settings.batch).await?;
        let Some(last) = entries.last().map(|entry| entry.position) else {
            self.tell(0, None);
            return Ok(Round::Empty);
        };
        let end = feed.feed_end().await?.max(last);
        let oldest = entries.first().and_then(made);
        self.tell(end.saturating_sub(self.position), oldest);
        let told = entries
            .iter()
            .filter_map(|entry| Some((entry.position, Event::of(&self.source.labels, entry)?)));
        let (places, events): (Vec<u64>, Vec<Vec<u8>>) = told
            .map(|(position, event)| (position, event.to_json()))
            .unzip();
        let mut taken = 0;
        while taken < events.len() {
            let rest = events.get(taken..).unwrap_or_default();
            taken += self.sink.take(rest).await?.max(1);
            self.watch.change(|lag| lag.failing = None);
            if let Some(position) = places.get(taken - 1) {
                self.position = *position;
                self.keep().await;
            }
        }
        self.position = last;
        let count = u64::try_from(events.len()).unwrap_or_default();
        counter!("crmgate_decision_log_events_total", "sink" => self.settings.name.clone())
            .increment(count);
        self.tell(end.saturating_sub(last), None);
        self.keep().await;
        let more = entries.len() >= self.settings.batch;
        Ok(if more { Round::Moved } else { Round::Caught })
    }

    /// Puts the position on disk. Where that fails it is tried again with the next: until then a
    /// crash would only repeat events.
    async fn keep(&mut self) {
        if self.kept == self.position {
            return;
        }
        let name = &self.settings.name;
        match self
            .source
            .feed
            .set_sink_position(name, self.position)
            .await
        {
            Ok(()) => {
                self.kept = self.position;
                self.told = false;
            }
            Err(_) if self.told => {}
            Err(error) => {
                self.told = true;
                tracing::warn!(sink = name, %error, "how far a sink has come could not be stored");
            }
        }
    }

    fn tell(&self, entries: u64, oldest: Option<Timestamp>) {
        let name = || self.settings.name.clone();
        #[expect(
            clippy::cast_precision_loss,
            reason = "a gauge; nobody counts beyond 2^52 entries"
        )]
        gauge!("crmgate_decision_log_lag", "sink" => name()).set(entries as f64);
        let age = oldest.map(|at| self.source.ambient.now().duration_since(at).as_secs_f64());
        gauge!("crmgate_decision_log_age_seconds", "sink" => name())
            .set(age.unwrap_or_default().max(0.0));
        self.watch.change(|lag| {
            lag.entries = entries;
            lag.oldest = oldest;
        });
    }

    /// Takes a failure down, and says how long to wait: longer each time, at random within a
    /// half, so that many do not come back at once.
    fn failed(&self, error: &Failed, failures: u32) -> Duration {
        let now = self.source.ambient.now();
        let name = &self.settings.name;
        counter!("crmgate_decision_log_failures_total", "sink" => name.clone()).increment(1);
        tracing::warn!(sink = name, %error, failures, "a sink of the decision log takes nothing");
        self.watch.change(|lag| {
            let since = lag.failing.as_ref().map_or(now, |(since, _)| *since);
            lag.failing = Some((since, error.to_string()));
        });
        let lag = self.watch.lag();
        if lag.entries > 0 {
            self.tell(lag.entries, lag.oldest);
        }
        let doubled = self
            .settings
            .pause
            .saturating_mul(1 << (failures - 1).min(16));
        let pause = doubled.min(self.settings.longest_pause);
        let [byte, ..] = self.source.ambient.random();
        let pause = pause / 2 + pause.mul_f64(f64::from(byte) / 512.0);
        match error {
            Failed::Sink(error) => pause.max(error.retry_after.unwrap_or_default()),
            Failed::Store(_) => pause,
        }
    }
}

/// When an entry was made.
fn made(entry: &FeedEntry) -> Option<Timestamp> {
    match &entry.item {
        FeedItem::Decision(record) => Some(record.decision.at),
        FeedItem::Outcome { outcome, .. } => Some(outcome.at),
    }
}

/// Tells what the numbers are, and begins at nothing.
fn describe(sink: &str) {
    describe_gauge!(
        "crmgate_decision_log_lag",
        metrics::Unit::Count,
        "Entries of the record that a sink has not taken."
    );
    describe_gauge!(
        "crmgate_decision_log_age_seconds",
        metrics::Unit::Seconds,
        "Age of the oldest entry that a sink has not taken."
    );
    describe_counter!(
        "crmgate_decision_log_events_total",
        metrics::Unit::Count,
        "Events that a sink has taken."
    );
    describe_counter!(
        "crmgate_decision_log_failures_total",
        metrics::Unit::Count,
        "Times that a sink took nothing although there was something."
    );
    for metric in [
        "crmgate_decision_log_events_total",
        "crmgate_decision_log_failures_total",
    ] {
        counter!(metric, "sink" => sink.to_owned()).increment(0);
    }
}
