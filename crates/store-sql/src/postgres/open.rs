//! Opening and closing.

use std::sync::{Arc, Mutex, PoisonError};

use crmgate_domain::{Ambient, ProcessId};
use sqlx::ConnectOptions as _;
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::task::JoinHandle;

use super::open_writes::OpenWrites;
use super::session::{self, PATIENCE};
use super::settings::{self, PostgresSettings};
use super::writer::{self, Command, Queue};
use super::{Connection, Pool, migrations};
use crate::OpenError;
use crate::bells::Bells;

/// The oldest Postgres that has all that is asked of it.
const OLDEST: i32 = 130_000;

/// What it takes to open the database for writing.
pub(crate) struct Opening {
    options: PgConnectOptions,
}

impl Opening {
    pub(crate) async fn connect(&self) -> Result<Connection, sqlx::Error> {
        self.options.connect().await
    }
}

/// All record stores in one Postgres database, which other processes may have open, too.
pub struct PostgresStore {
    queue: Queue,
    pool: Pool,
    open_writes: OpenWrites,
    bells: Arc<Bells>,
    ambient: Arc<dyn Ambient>,
    owner: ProcessId,
    risks: Vec<String>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl PostgresStore {
    /// Opens the store for a process and brings the tables up to date, unless another process does
    /// so first.
    ///
    /// # Errors
    /// When the database cannot be reached or used.
    pub async fn open(
        settings: &PostgresSettings,
        process: ProcessId,
        ambient: Arc<dyn Ambient>,
    ) -> Result<Self, OpenError> {
        let options = settings::options(settings)?;
        let unusable = |problem: String| OpenError::Unreachable {
            database: settings::shown(settings),
            problem,
        };
        let first = tokio::time::timeout(PATIENCE * 5, look(&options)).await;
        let risks = first
            .map_err(|_| unusable("it does not answer".to_owned()))?
            .map_err(|error| unusable(error.to_string()))?;
        let risks = risks.map_err(unusable)?;
        for risk in &risks {
            tracing::warn!(database = settings::shown(settings), "{risk}");
        }
        let lasting = settings::lasting(settings)?;
        let migrated = migrations::run(&lasting).await;
        migrated.map_err(|error| misfit(settings, &error))?;
        let pool = pool(settings, options.clone());
        let opening = Opening { options };
        let bells: Arc<Bells> = Arc::default();
        let (queue, task) =
            writer::start(opening, Arc::clone(&bells), Arc::clone(&ambient), process);
        Ok(Self {
            queue,
            pool,
            open_writes: OpenWrites,
            bells,
            ambient,
            owner: process,
            risks,
            task: Mutex::new(Some(task)),
        })
    }

    /// What is set on the server so that acknowledged writes could be lost, in words.
    #[must_use]
    pub fn risks(&self) -> &[String] {
        &self.risks
    }

    /// Ends well: what was accepted is written. Whatever is asked of the store afterwards is
    /// answered `Unavailable`.
    pub async fn close(&self) {
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(task) = task else {
            return;
        };
        // A queue that does not take it has ended already.
        let _ = self.queue.send(Command::Close).await;
        if let Err(error) = task.await {
            tracing::error!(%error, "the writer broke off");
        }
        self.pool.close().await;
    }

    pub(crate) const fn queue(&self) -> &Queue {
        &self.queue
    }

    /// What was erased stays in rows that are no longer seen until the server's own vacuum clears
    /// them, and in its log's archive for as long as that is kept.
    pub(crate) async fn empty_log(&self) -> Result<(), sqlx::Error> {
        Ok(())
    }

    pub(crate) fn bells(&self) -> &Bells {
        &self.bells
    }

    pub(crate) fn shared_ambient(&self) -> Arc<dyn Ambient> {
        Arc::clone(&self.ambient)
    }

    pub(crate) fn ambient(&self) -> &dyn Ambient {
        self.ambient.as_ref()
    }

    /// The process that it was opened for.
    #[must_use]
    pub const fn process(&self) -> ProcessId {
        self.owner
    }

    pub(crate) const fn owner(&self) -> ProcessId {
        self.owner
    }

    pub(crate) const fn open_writes(&self) -> &OpenWrites {
        &self.open_writes
    }

    pub(crate) const fn reader(&self) -> &Pool {
        &self.pool
    }
}

fn pool(settings: &PostgresSettings, options: PgConnectOptions) -> Pool {
    PgPoolOptions::new()
        .max_connections(settings.connections.max(1))
        .min_connections(0)
        .acquire_timeout(PATIENCE)
        // Instead of a test without a bound: a connection to a server that is gone answers never.
        .test_before_acquire(false)
        .before_acquire(|connection, _| Box::pin(async { Ok(session::answers(connection).await) }))
        .after_release(|connection, _| Box::pin(async { Ok(session::answers(connection).await) }))
        .connect_lazy_with(options)
}

/// A first look at the server: what is risky about it, or why it will not do.
async fn look(options: &PgConnectOptions) -> Result<Result<Vec<String>, String>, sqlx::Error> {
    use sqlx::Connection as _;
    let mut connection = options.connect().await?;
    let setting = "SELECT current_setting($1)";
    let mut settings = Vec::new();
    for name in ["server_version_num", "fsync", "full_page_writes"] {
        let value: String = sqlx::query_scalar(setting)
            .bind(name)
            .fetch_one(&mut connection)
            .await?;
        settings.push(value);
    }
    connection.close().await?;
    let [version, fsync, pages] = settings.as_slice() else {
        return Ok(Err("it does not tell its settings".to_owned()));
    };
    if version.parse::<i32>().is_ok_and(|version| version < OLDEST) {
        return Ok(Err(format!(
            "its version is {version}: expected Postgres 13 or newer"
        )));
    }
    let mut risks = Vec::new();
    for (name, value) in [("fsync", fsync), ("full_page_writes", pages)] {
        if value == "off" {
            risks.push(format!(
                "the server has `{name} = off`: a crash of its machine can lose or spoil writes \
                 that were acknowledged"
            ));
        }
    }
    Ok(Ok(risks))
}

fn misfit(settings: &PostgresSettings, error: &MigrateError) -> OpenError {
    let database = settings::shown(settings);
    let problem = error.to_string();
    match error {
        MigrateError::VersionMissing(_)
        | MigrateError::VersionMismatch(_)
        | MigrateError::VersionTooNew(..)
        | MigrateError::VersionTooOld(..)
        | MigrateError::Dirty(_) => OpenError::OtherTables { database, problem },
        _ => OpenError::Unreachable { database, problem },
    }
}
