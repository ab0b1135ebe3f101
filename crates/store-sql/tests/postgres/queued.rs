//! What stores of queued operations, jobs, cells and processes do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crmgate_domain::{ProcessId, Timestamp};
use crmgate_store::suite::{self, Clock, Ticking};
use crmgate_store_sql::PostgresStore;
use crmgate_testkit::Postgres;

use crate::world::Late;
use crate::{open, settings};

/// The machine's own: the server's is the same.
struct Real;

impl Clock for Real {
    #[expect(clippy::disallowed_methods, reason = "the server cannot be moved")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    static MADE: AtomicU64 = AtomicU64::new(1 << 24);
    let make = || async {
        let nth = MADE.fetch_add(1, Ordering::Relaxed);
        let ambient = Arc::new(Late(Ticking::after(nth << 32)));
        let process = ProcessId::fresh(ambient.as_ref());
        let settings = settings(&server.database());
        PostgresStore::open(&settings, process, ambient)
            .await
            .unwrap()
    };
    suite::run_operations(make).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    suite::run_jobs(|| async { (open(&server.database()).await, Real) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cells() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    suite::run_cells(|| async { (open(&server.database()).await, Real) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    suite::run_processes(open(&server.database()).await).await;
}
