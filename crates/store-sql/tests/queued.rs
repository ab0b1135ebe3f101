//! The SQLite store behaves as a store of queued operations, jobs, cells and processes.

#![expect(clippy::unwrap_used, reason = "a test that fails, fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crmgate_domain::{Ambient, Timestamp};
use crmgate_store::suite::{self, Clock, Lives, Ticking};
use crmgate_store::{Begun, Jobs as _, Settlement, Verdict};
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

const LEASE: Duration = Duration::from_secs(60);

fn lives(store: &Arc<SqliteStore>, clock: &Shared) -> Lives<SqliteStore> {
    let ambient = Arc::clone(&clock.0) as _;
    Lives::new(Arc::clone(store), ambient)
}

/// Who was there when the clock was set back does not wait for it to come round again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_set_back_stops_nobody() {
    let (store, clock) = clocked().await;
    let store = Arc::new(store);
    clock.pass(Duration::from_secs(7_200)).await;
    let world = lives(&store, &clock);
    let ids = world.submit_in_lane("acme", 2).await;
    clock.0.by.fetch_sub(3_600_000, Ordering::SeqCst);

    let queue = "operations/acme";
    for id in ids {
        let claimed = store.claim(queue, "w", 9, LEASE).await.unwrap();
        let names: Vec<_> = claimed.iter().map(|job| job.id.clone()).collect();
        assert_eq!(names, [id.to_string()], "one after the other, at once");
        world.live(id).await;
        let done = claimed.into_iter().map(|job| Settlement {
            id: job.id,
            lease: job.lease,
            verdict: Verdict::Done,
        });
        assert!(
            store
                .settle(queue, done.collect())
                .await
                .unwrap()
                .is_empty()
        );
    }
}

/// What a worker had when the clock was set forward may be another's then; what it may have sent is
/// found out about, and it says nothing of it any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_set_forward_ends_leases_and_repeats_nothing() {
    let (store, clock) = clocked().await;
    let store = Arc::new(store);
    let one = lives(&store, &clock).leasing(LEASE);
    let other = lives(&store, &clock).leasing(LEASE);
    let ids = one.submit("acme", 2).await;
    let judged = one.permit(one.begin(ids[0]).await).await;
    let sent = one.permit(one.begin(ids[1]).await).await;
    let sent = one.write(sent).await;
    clock.pass(Duration::from_secs(3_600)).await;

    // Not sent: it is judged again, and the first worker cannot send it.
    let again = other.begin(ids[0]).await;
    assert!(matches!(
        one.try_write(judged).await,
        crmgate_store::Moved::Lost { .. }
    ));
    other
        .end(other.write(other.permit(again).await).await)
        .await;
    // Perhaps sent: nobody judges it as if it were new.
    assert!(matches!(other.try_begin(ids[1]).await, Begun::Settle(_)));
    assert!(matches!(
        one.try_write(sent).await,
        crmgate_store::Moved::Lost { .. }
    ));
}
