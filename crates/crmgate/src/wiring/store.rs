//! Opens the memory: a file for one process, or a database and a queue that several share.

use std::sync::Arc;
use std::time::Duration;

use crmgate_domain::{Ambient, ProcessId};
use crmgate_store::{Cells, Jobs, OperationLog, Processes, RecordFeed, Store};
use crmgate_store_redis::RedisStore;
use crmgate_store_sql::{PostgresSettings, PostgresStore, Settings, SqliteStore};
use crmgate_worker::Relay;
use crmgate_worker::relay::Relaying;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::watermark::Keeper;
use crate::ambient;
use crate::config::Config;
use crate::exit::{Exit, Failure};

/// How often it is looked whether the Redis keeps what it is told.
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);

/// The memory of this process.
pub(crate) struct Memory {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) feed: Arc<dyn RecordFeed + Send + Sync>,
    pub(crate) operations: Arc<dyn OperationLog>,
    pub(crate) jobs: Arc<dyn Jobs>,
    pub(crate) cells: Arc<dyn Cells>,
    pub(crate) processes: Arc<dyn Processes>,
    /// This run of the process.
    pub(crate) process: ProcessId,
    /// Where it is kept how far the record reached; not where a backup of it would be.
    pub(crate) keeper: Option<Keeper>,
    opened: Opened,
    relay: Option<(JoinHandle<()>, CancellationToken)>,
}

enum Opened {
    File(Arc<SqliteStore>),
    Database(Arc<PostgresStore>),
}

/// A queue that does not lie in the database.
struct Apart {
    redis: Arc<RedisStore>,
    relay: Arc<Relay>,
    relaying: Relaying,
}

impl Memory {
    /// Opens what the configuration names; a file's folder is made if it is not there.
    ///
    /// # Errors
    /// When another process has the file, or it or the database cannot be used.
    pub(crate) async fn open(config: &Config) -> Result<Self, Failure> {
        let ambient = ambient::system();
        let process = ProcessId::fresh(ambient.as_ref());
        match &config.storage.database {
            None => Self::file(config, ambient, process).await,
            Some(_) => Self::database(config, ambient, process).await,
        }
    }

    async fn file(
        config: &Config,
        ambient: Arc<dyn Ambient>,
        process: ProcessId,
    ) -> Result<Self, Failure> {
        let store = SqliteStore::open(&config.data_dir, &Settings::default(), ambient).await;
        let store = store.map_err(|error| Failure::new(Exit::System, error.to_string()))?;
        let store = Arc::new(store);
        Ok(Self {
            store: Arc::clone(&store) as _,
            feed: Arc::clone(&store) as _,
            operations: Arc::clone(&store) as _,
            jobs: Arc::clone(&store) as _,
            cells: Arc::clone(&store) as _,
            processes: Arc::clone(&store) as _,
            process,
            keeper: Some(Keeper::of_folder(&config.data_dir)),
            opened: Opened::File(store),
            relay: None,
        })
    }

    async fn database(
        config: &Config,
        ambient: Arc<dyn Ambient>,
        process: ProcessId,
    ) -> Result<Self, Failure> {
        let Some(server) = &config.storage.database else {
            return Self::file(config, ambient, process).await;
        };
        let url = server.address().map_err(|problem| {
            Failure::new(Exit::Config, format!("`storage.password`: {problem}"))
        })?;
        let settings = PostgresSettings {
            url,
            connections: u32::try_from(config.storage.connections).unwrap_or(u32::MAX),
        };
        let store = PostgresStore::open(&settings, process, ambient).await;
        let store = store.map_err(|error| Failure::new(Exit::System, error.to_string()))?;
        let store = Arc::new(store);
        let mut memory = Self {
            store: Arc::clone(&store) as _,
            feed: Arc::clone(&store) as _,
            operations: Arc::clone(&store) as _,
            jobs: Arc::clone(&store) as _,
            cells: Arc::clone(&store) as _,
            processes: Arc::clone(&store) as _,
            process,
            keeper: None,
            opened: Opened::Database(Arc::clone(&store)),
            relay: None,
        };
        if let Some(apart) = apart(config) {
            store.waken_through(Arc::clone(&apart.relay) as _);
            memory.jobs = Arc::clone(&apart.redis) as _;
            memory.cells = Arc::clone(&apart.redis) as _;
            memory.keeper = Some(Keeper::Cells(Arc::clone(&apart.redis) as _));
            let stop = CancellationToken::new();
            let watching = apart.redis;
            let relaying = apart.relaying.run(stop.clone());
            let until = stop.clone();
            let task = tokio::spawn(async move {
                tokio::select! {
                    () = watching.watch_durability(LOOK_EVERY) => {}
                    () = until.cancelled() => {}
                }
            });
            let relay = tokio::spawn(async move {
                relaying.await;
                task.await.ok();
            });
            memory.relay = Some((relay, stop));
        }
        Ok(memory)
    }

    /// Whether other processes may have it open, too.
    pub(crate) const fn is_shared(&self) -> bool {
        matches!(self.opened, Opened::Database(_))
    }

    /// Ends well: what was accepted is written.
    pub(crate) async fn close(self) {
        if let Some((relay, stop)) = self.relay {
            stop.cancel();
            relay.await.ok();
        }
        match &self.opened {
            Opened::File(store) => store.close().await,
            Opened::Database(store) => store.close().await,
        }
    }
}

fn apart(config: &Config) -> Option<Apart> {
    let server = config.queue.server.clone()?;
    let shown = server.shown.clone();
    let settings = crmgate_store_redis::Settings {
        address: Arc::new(move || server.address()),
        ca_file: config.queue.ca_file.clone(),
        prefix: config.queue.prefix.clone(),
        wait: Duration::from_secs(2),
    };
    tracing::info!(queue = shown, "wake-ups lie in a queue of their own");
    let redis = Arc::new(RedisStore::new(settings));
    let (relay, relaying) = Relay::new(Arc::clone(&redis) as _);
    Some(Apart {
        redis,
        relay,
        relaying,
    })
}
