//! Opening and closing.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crmgate_domain::{Ambient, ProcessId};
use sqlx::migrate::MigrateError;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::task::JoinHandle;

use super::Connection;
use super::lock::DirLock;
use super::open_writes::OpenWrites;
use super::writer::{self, Command, Queue};
use crate::OpenError;
use crate::bells::Bells;

/// How many reads go on at once.
const READERS: u32 = 4;
/// Statements that stay prepared per connection.
const PREPARED: usize = 192;

/// How the store behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long a lock of another process on the database is waited for.
    pub busy_timeout: Duration,
    /// Most pages of 4 KiB the database may have; a limit on disk use. `None` is no limit.
    pub max_pages: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            busy_timeout: Duration::from_secs(5),
            max_pages: None,
        }
    }
}

/// What it takes to open the database for writing.
pub(crate) struct Opening {
    options: SqliteConnectOptions,
}

impl Opening {
    pub(crate) async fn connect(&self) -> Result<Connection, sqlx::Error> {
        self.options.connect().await
    }
}

/// All record stores in one SQLite file.
pub struct SqliteStore {
    queue: Queue,
    reader: SqlitePool,
    open_writes: OpenWrites,
    bells: Arc<Bells>,
    options: SqliteConnectOptions,
    ambient: Arc<dyn Ambient>,
    owner: ProcessId,
    task: Mutex<Option<JoinHandle<()>>>,
    lock: Mutex<Option<DirLock>>,
}

impl SqliteStore {
    /// Opens the store in a folder, making both where they are not there, and brings the tables up
    /// to date.
    ///
    /// # Errors
    /// When another process has it, or it cannot be used.
    pub async fn open(
        dir: &Path,
        settings: &Settings,
        ambient: Arc<dyn Ambient>,
    ) -> Result<Self, OpenError> {
        let unusable = |problem: String| OpenError::Unusable {
            dir: dir.display().to_string(),
            problem,
        };
        private_dir(dir).map_err(|error| unusable(error.to_string()))?;
        let lock = DirLock::take(dir)?;
        private_file(&dir.join("crmgate.db")).map_err(|error| unusable(error.to_string()))?;
        let options = options(&dir.join("crmgate.db"), settings);
        let open_writes = migrate(&options).await.map_err(|error| match error {
            MigrateError::VersionMissing(_)
            | MigrateError::VersionMismatch(_)
            | MigrateError::VersionTooNew(..)
            | MigrateError::VersionTooOld(..)
            | MigrateError::Dirty(_) => OpenError::OtherVersion {
                dir: dir.display().to_string(),
                problem: error.to_string(),
            },
            other => unusable(other.to_string()),
        })?;
        let reader = SqlitePoolOptions::new()
            .max_connections(READERS)
            .min_connections(0)
            .acquire_timeout(settings.busy_timeout)
            // A connection to a file does not go stale.
            .test_before_acquire(false)
            .connect_lazy_with(options.clone().read_only(true));
        let owner = ProcessId::fresh(ambient.as_ref());
        let opening = Opening {
            options: options.clone(),
        };
        let bells: Arc<Bells> = Arc::default();
        let (queue, task) = writer::start(opening, Arc::clone(&bells), Arc::clone(&ambient), owner);
        Ok(Self {
            queue,
            reader,
            open_writes,
            bells,
            options,
            ambient,
            owner,
            task: Mutex::new(Some(task)),
            lock: Mutex::new(Some(lock)),
        })
    }

    /// Ends well: what was accepted is written, the file is put in order. Then another process may
    /// open it. Whatever is asked of the store afterwards is answered `Unavailable`.
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
        self.reader.close().await;
        drop(
            self.lock
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
    }

    pub(crate) const fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Brings all that was committed into the database file and empties the log beside it: what
    /// was erased is then in neither. Readers and writers that are in the way are waited for.
    pub(crate) async fn empty_log(&self) -> Result<(), sqlx::Error> {
        let mut connection = self.options.connect().await?;
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(&mut connection)
            .await?;
        connection.close().await
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

    pub(crate) const fn owner(&self) -> ProcessId {
        self.owner
    }

    pub(crate) const fn open_writes(&self) -> &OpenWrites {
        &self.open_writes
    }

    pub(crate) const fn reader(&self) -> &SqlitePool {
        &self.reader
    }
}

/// Makes a folder that nobody else reads, where there is none: what policies saw is in it.
fn private_dir(dir: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.recursive(true).create(dir)
}

/// Makes a file that nobody else reads, where there is none. Those that the database puts beside
/// its own take their rights from it.
fn private_file(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.append(true).create(true).open(path).map(drop)
}

fn options(file: &Path, settings: &Settings) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(settings.busy_timeout)
        // What is erased is overwritten, not only forgotten.
        .pragma("secure_delete", "ON")
        .statement_cache_capacity(PREPARED)
        .disable_statement_logging();
    match settings.max_pages {
        Some(pages) => options.pragma("max_page_count", pages.to_string()),
        None => options,
    }
}

async fn migrate(options: &SqliteConnectOptions) -> Result<OpenWrites, MigrateError> {
    let mut connection = options.connect().await?;
    sqlx::migrate!("./migrations/sqlite")
        .run(&mut connection)
        .await?;
    let open_writes = OpenWrites::load(&mut connection).await?;
    connection.close().await?;
    Ok(open_writes)
}
