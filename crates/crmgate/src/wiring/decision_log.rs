//! Carries the record to its sinks.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crmgate_app::{Check, Leading, State};
use crmgate_connector::secret::ExposeSecret as _;
use crmgate_decision_log::event::Labels;
use crmgate_decision_log::pump::{Source, Watch};
use crmgate_decision_log::sink::file::FileSink;
use crmgate_decision_log::sink::http::{Headers, HttpSettings, HttpSink};
use crmgate_decision_log::sink::stdout::Lines;
use crmgate_decision_log::{HashKey, Pump, PumpSettings, Sink};
use crmgate_domain::Ambient;
use crmgate_enforce::LogSettings;
use crmgate_outbound::Client;
use crmgate_store::{CHECKPOINT_SINKS, RecordFeed};
use http::{HeaderMap, HeaderValue, header};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::decision_log::{DecisionLog, HttpTarget, Kept, SinkSettings, Target};
use crate::exit::{Exit, Failure};

/// The key of hashes, where the configuration names none: made once, beside the record.
const KEY_FILE: &str = "decision-log.key";
/// How long a sink may fail before it counts as down.
const PATIENCE_SECONDS: i64 = 60;
/// How far behind a sink may be before somebody should look.
const BEHIND_SECONDS: i64 = 900;

/// What every event carries, and what hides values.
pub(crate) struct Shared {
    pub(crate) labels: Arc<Labels>,
    key: HashKey,
    kept: Kept,
    mask_time: std::time::Duration,
}

impl Shared {
    /// Reads or makes the key.
    ///
    /// # Errors
    /// When it cannot be had.
    pub(crate) fn new(
        settings: &DecisionLog,
        data_dir: &Path,
        ambient: &dyn Ambient,
    ) -> Result<Self, Failure> {
        let key = match &settings.hash_key {
            Some(secret) => {
                let secret = secret.get();
                let secret =
                    secret.map_err(|error| Failure::new(Exit::Config, error.to_string()))?;
                HashKey::new(secret.expose_secret().as_bytes())
            }
            None => HashKey::new(&own_key(data_dir, ambient)?),
        };
        let mut labels: Labels = [
            ("app", "crmgate".to_owned()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("id", hex::encode(ambient.random())),
        ]
        .map(|(name, text)| (name.to_owned(), text))
        .into();
        labels.extend(settings.labels.clone());
        Ok(Self {
            labels: Arc::new(labels),
            key,
            kept: settings.kept,
            mask_time: settings.mask_time_limit,
        })
    }

    /// What of a connection's decisions is remembered.
    pub(crate) fn of_connection(&self, own: Kept) -> LogSettings {
        let kept = own.or(self.kept);
        let defaults = LogSettings::default();
        LogSettings {
            payload: kept.payload.unwrap_or(defaults.payload),
            personal: kept.personal.unwrap_or(defaults.personal),
            sensitive: kept.sensitive.unwrap_or(defaults.sensitive),
            unmapped: kept.unmapped.unwrap_or(defaults.unmapped),
            mask_time: self.mask_time,
            key: self.key.clone(),
            labels: Arc::clone(&self.labels),
        }
    }
}

fn own_key(data_dir: &Path, ambient: &dyn Ambient) -> Result<Vec<u8>, Failure> {
    let file = data_dir.join(KEY_FILE);
    let failed = |error: std::io::Error| {
        Failure::new(Exit::System, format!("`{}`: {error}", file.display()))
    };
    match std::fs::read(&file) {
        Ok(key) if key.len() >= 32 => return Ok(key),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let key = [ambient.random(), ambient.random()].concat();
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let written = options.open(&file).and_then(|mut file| {
        use std::io::Write as _;
        file.write_all(&key)?;
        file.sync_all()
    });
    written.map_err(failed)?;
    Ok(key)
}

/// Sinks at work.
pub(crate) struct Sinks {
    pumping: JoinHandle<()>,
    stop: CancellationToken,
    watches: Watches,
}

/// What is known of the sinks that this process carries the record to.
type Watches = Arc<Mutex<BTreeMap<String, Watch>>>;

impl Sinks {
    /// Has the record carried to the sinks, by whichever process leads.
    ///
    /// # Errors
    /// When one cannot be made.
    pub(crate) async fn start(
        settings: &DecisionLog,
        labels: &Arc<Labels>,
        (feed, leading): (Arc<dyn RecordFeed + Send + Sync>, Leading),
        ambient: &Arc<dyn Ambient>,
    ) -> Result<Self, Failure> {
        forget(|name| settings.sinks.contains_key(name), feed.as_ref()).await?;
        for (name, sink) in &settings.sinks {
            make(&sink.target, ambient).map_err(|problem| {
                Failure::new(
                    Exit::Config,
                    format!("decision_log.sinks.{name}: {problem}"),
                )
            })?;
        }
        let stop = CancellationToken::new();
        let watches = Watches::default();
        let carrying = Carrying {
            sinks: settings.sinks.clone(),
            source: Source {
                feed,
                ambient: Arc::clone(ambient),
                labels: Arc::clone(labels),
            },
            watches: Arc::clone(&watches),
        };
        let carrying = Arc::new(carrying);
        let until = stop.clone();
        let pumping = leading.run(until, move |stop| Arc::clone(&carrying).carry(stop));
        Ok(Self {
            pumping: tokio::spawn(pumping),
            stop,
            watches,
        })
    }

    /// Looks at every sink: one that takes nothing, or is far behind, degrades.
    pub(crate) fn looker(&self, ambient: Arc<dyn Ambient>) -> crmgate_app::Looker {
        let watches = Arc::clone(&self.watches);
        Box::new(move || {
            let now = ambient.now();
            let since = |at| now.duration_since(at).as_secs();
            let watches = watches.lock().unwrap_or_else(PoisonError::into_inner);
            let told = watches.iter().map(|(name, watch)| {
                let lag = watch.lag();
                let problem = match (lag.failing, lag.oldest) {
                    (Some((at, problem)), _) if since(at) >= PATIENCE_SECONDS => Some(format!(
                        "takes nothing since {at}: {problem}; {} entries wait in the record",
                        lag.entries
                    )),
                    (_, Some(oldest)) if since(oldest) >= BEHIND_SECONDS => Some(format!(
                        "is behind: {} entries wait in the record, the oldest since {oldest}",
                        lag.entries
                    )),
                    _ => None,
                };
                Check::new(
                    &format!("decision log sink {name}"),
                    State::Degraded,
                    problem,
                )
            });
            told.collect()
        })
    }

    /// Hands on what is there, as far as the sinks take it, and stops.
    pub(crate) async fn finish(self) {
        self.stop.cancel();
        self.pumping.await.ok();
    }
}

/// What it takes to carry the record.
struct Carrying {
    sinks: BTreeMap<String, SinkSettings>,
    source: Source,
    watches: Watches,
}

impl Carrying {
    fn watches(&self) -> MutexGuard<'_, BTreeMap<String, Watch>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries the record to all sinks until `stop` is cancelled, and then what is there until
    /// then.
    async fn carry(self: Arc<Self>, stop: CancellationToken) {
        let mut pumps = Vec::new();
        for (name, sink) in &self.sinks {
            let made = match make(&sink.target, &self.source.ambient) {
                Ok(made) => made,
                Err(problem) => {
                    tracing::error!(sink = name, problem, "a sink cannot be made");
                    continue;
                }
            };
            let source = Source {
                feed: Arc::clone(&self.source.feed),
                ambient: Arc::clone(&self.source.ambient),
                labels: Arc::clone(&self.source.labels),
            };
            let behaviour = PumpSettings {
                from_now: sink.from_now,
                ..PumpSettings::named(name)
            };
            let pump = Pump::new(source, made, behaviour);
            self.watches().insert(name.clone(), pump.watch());
            pumps.push(tokio::spawn(pump.run(stop.clone())));
        }
        stop.cancelled().await;
        for pump in pumps {
            pump.await.ok();
        }
        self.watches().clear();
    }
}

/// Sinks that are no longer configured hold up nothing.
async fn forget(
    configured: impl Fn(&str) -> bool,
    feed: &(dyn RecordFeed + Sync),
) -> Result<(), Failure> {
    let failed = |error: crmgate_store::StoreError| {
        let message = format!("how far sinks have come cannot be read: {error}");
        Failure::new(Exit::System, message)
    };
    let known = feed.sink_positions().await.map_err(failed)?;
    for name in known.keys() {
        if configured(name) || name.starts_with(CHECKPOINT_SINKS) {
            continue;
        }
        tracing::warn!(
            sink = name,
            "a sink is no longer configured; its place is forgotten"
        );
        feed.forget_sink(name).await.map_err(failed)?;
    }
    Ok(())
}

fn make(target: &Target, ambient: &Arc<dyn Ambient>) -> Result<Box<dyn Sink>, String> {
    Ok(match target {
        Target::Stdout => Box::new(Lines::stdout()),
        Target::File(settings) => Box::new(FileSink::new(settings.clone(), Arc::clone(ambient))),
        Target::Http(target) => Box::new(http(target, ambient)?),
    })
}

fn http(target: &HttpTarget, ambient: &Arc<dyn Ambient>) -> Result<HttpSink, String> {
    let upstream = crmgate_outbound::Settings {
        name: "decision-log".to_owned(),
        client_certificate: target.client_certificate.clone(),
        ..target.upstream.0.clone()
    };
    let client = Client::new(upstream).map_err(|error| error.to_string())?;
    let settings = HttpSettings {
        url: target.url.clone(),
        partition_name: target.partition_name.clone(),
        upload_size_limit: target.upload_size_limit,
    };
    HttpSink::new(client, &settings, headers(target), Arc::clone(ambient))
}

fn headers(target: &HttpTarget) -> Headers {
    let token = target.token.clone();
    let others = target.headers.clone();
    Arc::new(move || {
        let mut headers = HeaderMap::new();
        let sensitive = |text: &str| {
            let mut value = HeaderValue::from_str(text)
                .map_err(|_| "a credential holds what no header can".to_owned())?;
            value.set_sensitive(true);
            Ok::<_, String>(value)
        };
        for (name, secret) in &others {
            let secret = secret.get().map_err(|error| error.to_string())?;
            headers.insert(name, sensitive(secret.expose_secret())?);
        }
        if let Some(token) = &token {
            let token = token.get().map_err(|error| error.to_string())?;
            let bearer = format!("Bearer {}", token.expose_secret());
            headers.insert(header::AUTHORIZATION, sensitive(&bearer)?);
        }
        Ok(headers)
    })
}

#[cfg(test)]
mod tests {
    use crmgate_testkit::MemoryStore;

    use super::*;

    #[tokio::test]
    async fn sinks_that_are_gone_are_forgotten_and_those_of_checkpoints_are_not() {
        let store = MemoryStore::default();
        for name in ["gone", "archive", "checkpoint:file"] {
            store.set_sink_position(name, 7).await.unwrap();
        }
        forget(|name| name == "archive", &store).await.unwrap();
        let known = store.sink_positions().await.unwrap();
        let kept = ["archive", "checkpoint:file"].map(|name| (name.to_owned(), 7));
        assert_eq!(known, kept.into());
    }
}
