//! What stores of queued operations, jobs, cells and processes do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crmgate_domain::{
    Actor, Ambient as _, OperationId, PayloadHash, ProcessId, SubmissionId, Timestamp,
};
use crmgate_store::suite::{self, Clock, Ticking};
use crmgate_store::{
    NewOperation, Opened, OperationLog as _, Processes as _, SILENT_AFTER, Submission,
};
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

fn submission(ambient: &Ticking, owner: &str) -> Submission {
    Submission {
        id: SubmissionId::fresh(ambient),
        owner: owner.to_owned(),
        key: Some("k".to_owned()),
        at: ambient.now(),
        accepted_at: None,
        content: None,
        count: 0,
        repeated: 0,
        refused: 0,
        answer: None,
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
    let submission = |owner: &str| submission(ambient.as_ref(), owner);
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

/// Rows that came in after their submission was dropped would belong to nothing, and whoever brings
/// the same ids would be told that they are there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_staged_into_what_is_taken_over_meanwhile() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    let address = server.database();
    let store = open(&address).await;
    let ambient = ambient();
    let submission = submission(ambient.as_ref(), "importer");
    store.open_submission(&submission).await.unwrap();
    let taking_over = tokio::task::spawn_blocking({
        let address = address.clone();
        move || {
            let slowly = "UPDATE submissions SET broken = 1; SELECT pg_sleep(0.8)";
            server.run(&address, slowly)
        }
    });
    let locked = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(0.8)' \
                  AND wait_event = 'PgSleep' AND datname = current_database()";
    while server.run(&address, locked) != "1" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let operation = NewOperation {
        id: OperationId::fresh(ambient.as_ref()),
        connection: "acme-sf".parse().unwrap(),
        client_id: Some("a".to_owned()),
        line: 1,
        actor: Actor::default(),
        kind: "update".to_owned(),
        object: "contact".to_owned(),
        record_id: None,
        lane: None,
        group: None,
        depends_on: Vec::new(),
        priority: 0,
        not_before: None,
        expires_at: None,
        purpose: None,
        callback: None,
        request: "{}".to_owned(),
        content: PayloadHash::of(&[b"a"]),
        trace: None,
    };
    assert!(store.stage(submission.id, vec![operation]).await.is_err());
    taking_over.await.unwrap();
    let staged = server.run(&address, "SELECT count(*) FROM operations");
    assert_eq!(staged, "0");
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
