//! What stores of queued operations, jobs, cells and processes do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crmgate_domain::{Ambient as _, ProcessId, SubmissionId, Timestamp};
use crmgate_store::suite::{self, Clock, Ticking};
use crmgate_store::{Opened, OperationLog as _, Processes as _, SILENT_AFTER, Submission};
use crmgate_store_sql::PostgresStore;
use crmgate_testkit::Postgres;

use crate::world::Late;
use crate::{ambient, living, open, settings};

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
async fn abandoned() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    let address = &server.database();
    let die = |store: PostgresStore| async move {
        let beat = living(store.process(), ambient().now());
        store.beat_process(&beat).await.unwrap();
        store.leave(store.process()).await.unwrap();
        open(address).await
    };
    suite::run_abandoned(open(address).await, die).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submission_is_its_process_own_while_that_one_is_heard_of() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    let address = server.database();
    let (one, other) = (open(&address).await, open(&address).await);
    let ambient = ambient();
    let submission = |owner: &str| Submission {
        id: SubmissionId::fresh(ambient.as_ref()),
        owner: owner.to_owned(),
        key: Some("k".to_owned()),
        at: ambient.now(),
        accepted_at: None,
        content: None,
        count: 0,
        repeated: 0,
        refused: 0,
        answer: None,
    };
    let (begun, again) = (submission("importer"), submission("importer"));
    let opened = one.open_submission(&begun).await.unwrap();
    assert_eq!(opened, Opened::New);
    let now = ambient.now();
    let own = one.process();
    one.beat_process(&living(own, now)).await.unwrap();
    let under_way = Opened::UnderWay(begun.id);
    assert_eq!(other.open_submission(&again).await.unwrap(), under_way);
    assert_eq!(one.open_submission(&again).await.unwrap(), under_way);
    let silent = now - SILENT_AFTER - Duration::from_secs(1);
    one.beat_process(&living(own, silent)).await.unwrap();
    let still = one.open_submission(&again).await.unwrap();
    assert_eq!(still, under_way, "it knows of itself that it lives");
    let opened = other.open_submission(&again).await.unwrap();
    assert_eq!(opened, Opened::New);
    // It had only been paused.
    let closed = Submission {
        accepted_at: Some(now),
        ..begun
    };
    assert!(one.accept(&closed).await.is_err());
    // What a version began that names no process stays until it is old.
    let nameless = submission("another");
    one.open_submission(&nameless).await.unwrap();
    let nobodys = "UPDATE submissions SET process = NULL";
    assert_eq!(server.run(&address, nobodys), "");
    let opened = other.open_submission(&submission("another")).await.unwrap();
    assert_eq!(opened, Opened::UnderWay(nameless.id));
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
