//! The SQLite store behaves as every store, and as only a durable one can.

#![expect(clippy::unwrap_used, reason = "a test that fails, fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crmgate_domain::Ambient as _;
use crmgate_store::AttemptLog as _;
use crmgate_store::suite::{Ticking, full_record, run};
use crmgate_store::{
    DecisionFilter, DecisionLog as _, Outcome, OutcomeKind, Pulse as _, RecordFeed as _, StoreError,
};
use crmgate_store_sql::{OpenError, Settings, SqliteStore};
use tempfile::TempDir;

/// Its random bytes are others than those of any before it, so that no two chains have one id.
fn ambient() -> Arc<Ticking> {
    static MADE: AtomicU64 = AtomicU64::new(1);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    Arc::new(Ticking::after(number << 32))
}

async fn open(dir: &TempDir) -> SqliteStore {
    SqliteStore::open(dir.path(), &Settings::default(), ambient())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behaves_as_a_store() {
    run(|| async {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        // The folder must outlive the store; the system clears it away.
        std::mem::forget(dir);
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_are_numbered_without_gaps_and_survive_a_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&dir).await);
    let ambient = Arc::new(Ticking::default());
    let tasks: Vec<_> = (0..500)
        .map(|_| {
            let (store, ambient) = (Arc::clone(&store), Arc::clone(&ambient));
            tokio::spawn(async move {
                let record = full_record(ambient.as_ref());
                let id = record.decision.id;
                let sequence = store.append_decision(record).await.unwrap();
                let at = ambient.now();
                let outcome = Outcome {
                    decision: id,
                    at,
                    kind: OutcomeKind::Succeeded,
                    status: None,
                    code: None,
                    record_id: None,
                };
                store.append_outcome(outcome).await.unwrap();
                (sequence, id)
            })
        })
        .collect();
    let mut given = Vec::new();
    for task in tasks {
        given.push(task.await.unwrap());
    }
    given.sort_unstable();
    given.dedup_by_key(|(sequence, _)| *sequence);
    assert_eq!(given.len(), 500, "no two have one place");
    // The chain's start, 500 decisions, 500 outcomes.
    assert_eq!(store.feed_end().await.unwrap(), 1_001);
    store.close().await;

    let store = open(&dir).await;
    for (sequence, id) in given {
        let found = store.decision(id).await.unwrap().unwrap();
        assert_eq!(found.sequence, sequence);
        assert_eq!(found.outcome.unwrap().kind, OutcomeKind::Succeeded);
    }
    let next = store
        .append_decision(full_record(ambient.as_ref()))
        .await
        .unwrap();
    assert_eq!(next, 1_003, "behind the new chain's start");
}

#[tokio::test]
async fn one_bad_row_does_not_take_the_others_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    let ambient = Ticking::default();
    let twice = full_record(&ambient);
    store.append_decision(twice.clone()).await.unwrap();
    let other = full_record(&ambient);
    let (first, second, third) = tokio::join!(
        store.append_decision(full_record(&ambient)),
        store.append_decision(twice.clone()),
        store.append_decision(other),
    );
    assert!(matches!(second, Err(StoreError::Exists(_))), "{second:?}");
    let mut sequences = [first.unwrap(), third.unwrap()];
    sequences.sort_unstable();
    assert_eq!(sequences, [3, 4]);
}

#[tokio::test]
async fn a_second_process_is_told_that_the_folder_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(&dir).await;
    let second = SqliteStore::open(dir.path(), &Settings::default(), ambient()).await;
    let Err(OpenError::InUse(named)) = second else {
        panic!("the folder was opened twice");
    };
    assert_eq!(named, dir.path().display().to_string());
    first.close().await;
    open(&dir)
        .await
        .beat(Ticking::default().now())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let refused = SqliteStore::open(&file.join("below"), &Settings::default(), ambient()).await;
    assert!(matches!(refused, Err(OpenError::Unusable { .. })));
    let junk = dir.path().join("junk");
    std::fs::create_dir(&junk).unwrap();
    std::fs::write(
        junk.join("crmgate.db"),
        "this is no database at all, by far",
    )
    .unwrap();
    let refused = SqliteStore::open(&junk, &Settings::default(), ambient()).await;
    let Err(error) = refused else {
        panic!("junk was opened");
    };
    assert!(error.to_string().contains("junk"), "{error}");
}

#[tokio::test]
async fn a_full_disk_refuses_and_what_was_accepted_stays() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        max_pages: Some(120),
        ..Settings::default()
    };
    let store = SqliteStore::open(dir.path(), &settings, ambient())
        .await
        .unwrap();
    let ambient = Ticking::default();
    let mut accepted = Vec::new();
    let error = loop {
        let record = full_record(&ambient);
        let id = record.decision.id;
        match store.append_decision(record).await {
            Ok(_) => accepted.push(id),
            Err(error) => break error,
        }
        assert!(accepted.len() < 10_000, "the disk never was full");
    };
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(!accepted.is_empty());
    let again = store.append_decision(full_record(&ambient)).await;
    assert!(matches!(again, Err(StoreError::Unavailable(_))));
    for id in &accepted {
        assert!(store.decision(*id).await.unwrap().is_some());
    }
    store.close().await;
    // With room again, it goes on.
    let store = open(&dir).await;
    let next = store.append_decision(full_record(&ambient)).await.unwrap();
    // Two starts.
    assert_eq!(next, accepted.len() as u64 + 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_database_refuses_and_the_writer_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        busy_timeout: Duration::from_millis(50),
        ..Settings::default()
    };
    let store = SqliteStore::open(dir.path(), &settings, ambient())
        .await
        .unwrap();
    let ambient = Ticking::default();
    store.append_decision(full_record(&ambient)).await.unwrap();

    let file = dir.path().join("crmgate.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file);
    let mut other = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::query("BEGIN EXCLUSIVE")
        .execute(&mut other)
        .await
        .unwrap();
    let refused = store.append_decision(full_record(&ambient)).await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();

    assert_eq!(
        store.append_decision(full_record(&ambient)).await.unwrap(),
        3
    );
    let page = store
        .decisions(&DecisionFilter::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(page.items.len(), 2, "what was refused is not there");
}

#[tokio::test]
async fn a_closed_store_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    store.close().await;
    let refused = store
        .append_decision(full_record(&Ticking::default()))
        .await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn a_database_of_another_version_is_told_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    store
        .append_decision(full_record(ambient().as_ref()))
        .await
        .unwrap();
    store.close().await;
    let file = dir.path().join("crmgate.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file);
    for change in [
        // Tables that were made otherwise.
        "UPDATE _sqlx_migrations SET checksum = zeroblob(48)",
        // Tables of a later version.
        "INSERT INTO _sqlx_migrations SELECT 9999, 'later', installed_on, 1, zeroblob(48), 0 \
         FROM _sqlx_migrations LIMIT 1",
    ] {
        let mut other = sqlx::ConnectOptions::connect(&options).await.unwrap();
        sqlx::query("CREATE TABLE IF NOT EXISTS kept AS SELECT * FROM _sqlx_migrations")
            .execute(&mut other)
            .await
            .unwrap();
        sqlx::query(change).execute(&mut other).await.unwrap();
        let refused = SqliteStore::open(dir.path(), &Settings::default(), ambient()).await;
        let Err(error @ OpenError::OtherVersion { .. }) = refused else {
            panic!("a database of another version was opened: {change}");
        };
        assert!(error.to_string().contains("does not fit"), "{error}");
        sqlx::query(
            "DELETE FROM _sqlx_migrations; INSERT INTO _sqlx_migrations SELECT * FROM kept",
        )
        .execute(&mut other)
        .await
        .unwrap();
    }
    let store = open(&dir).await;
    let page = store.decisions(&DecisionFilter::default(), None, 9).await;
    assert_eq!(page.unwrap().items.len(), 1, "nothing is lost");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_makes_nobody_else_reads() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let store = SqliteStore::open(&data, &Settings::default(), ambient())
        .await
        .unwrap();
    let ticking = Ticking::default();
    store.append_decision(full_record(&ticking)).await.unwrap();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for file in ["crmgate.db", "crmgate.db-wal", "crmgate.db-shm"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
    store.close().await;
}
