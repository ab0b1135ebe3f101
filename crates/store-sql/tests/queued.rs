//! The SQLite store behaves as a store of queued operations, jobs, cells and processes.

#![expect(clippy::unwrap_used, reason = "a test that fails, fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crmgate_domain::{Ambient, Timestamp};
use crmgate_store::suite::{self, Clock, Ticking};
use crmgate_store_sql::{Settings, SqliteStore};

/// A clock that a test moves, which also goes by itself.
#[derive(Default)]
struct Moved {
    ticking: Ticking,
    by: AtomicI64,
}

impl Ambient for Moved {
    fn now(&self) -> Timestamp {
        let by = self.by.load(Ordering::SeqCst);
        self.ticking.now() + jiff::SignedDuration::from_millis(by)
    }

    fn random(&self) -> [u8; 16] {
        self.ticking.random()
    }
}

struct Shared(Arc<Moved>);

impl Clock for Shared {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    async fn pass(&self, time: Duration) {
        let millis = i64::try_from(time.as_millis()).unwrap();
        self.0.by.fetch_add(millis, Ordering::SeqCst);
    }
}

/// A store in a folder that outlives it; the system clears it away.
async fn open(ambient: Arc<dyn Ambient>) -> SqliteStore {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings::default();
    let store = SqliteStore::open(dir.path(), &settings, ambient).await;
    let store = store.unwrap();
    std::mem::forget(dir);
    store
}

/// Its random bytes are others than those of any before it.
fn ticking() -> Ticking {
    static MADE: AtomicU64 = AtomicU64::new(1);
    Ticking::after(MADE.fetch_add(1, Ordering::Relaxed) << 32)
}

async fn clocked() -> (SqliteStore, Shared) {
    let clock = Arc::new(Moved {
        ticking: ticking(),
        by: AtomicI64::new(0),
    });
    let store = open(Arc::clone(&clock) as _).await;
    (store, Shared(clock))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations() {
    let make = || async {
        let (store, clock) = clocked().await;
        clock.pass(Duration::from_secs(2 * 3_600)).await;
        store
    };
    suite::run_operations(make).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abandoned() {
    let dir = tempfile::tempdir().unwrap();
    let open = || async {
        let settings = Settings::default();
        let store = SqliteStore::open(dir.path(), &settings, Arc::new(ticking())).await;
        store.unwrap()
    };
    let die = |store: SqliteStore| async move {
        store.close().await;
        open().await
    };
    suite::run_abandoned(open().await, die).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs() {
    suite::run_jobs(clocked).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cells() {
    suite::run_cells(clocked).await;
}

#[tokio::test]
async fn processes() {
    suite::run_processes(open(Arc::new(ticking())).await).await;
}
