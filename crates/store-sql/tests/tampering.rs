//! Whatever somebody with the database file in his hands does to the record is found out.

#![expect(clippy::unwrap_used, reason = "a test that fails, fails")]

#[path = "tamperings/table.rs"]
mod table;

use std::sync::{Arc, LazyLock};

use crmgate_domain::Ambient as _;
use crmgate_store::chain;
use crmgate_store::checkpoint::Checkpoint;
use crmgate_store::suite::{Ticking, full_record};
use crmgate_store::verify::{FaultKind, Report, Verification};
use crmgate_store::{
    AttemptLog as _, Cutoffs, DecisionLog as _, Digest, EraseFilter, Erasing as _, Erasure,
    Ledger as _, Outcome, OutcomeKind, RawEntry, Retention as _,
};
use crmgate_store_sql::{RecordFile, Settings, SqliteStore};
use sqlx::{AssertSqlSafe, ConnectOptions as _, SqliteConnection};
use tempfile::TempDir;

fn ambient() -> Arc<Ticking> {
    static ONE: LazyLock<Arc<Ticking>> = LazyLock::new(Arc::default);
    Arc::clone(&ONE)
}

async fn open(dir: &TempDir) -> SqliteStore {
    SqliteStore::open(dir.path(), &Settings::default(), ambient())
        .await
        .unwrap()
}

/// The tampering hand.
async fn hand(dir: &TempDir) -> SqliteConnection {
    let file = dir.path().join("crmgate.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    options.connect().await.unwrap()
}

async fn decide(store: &SqliteStore, ended: bool) -> u64 {
    decide_about(store, ended, "grace@example.com").await
}

async fn decide_about(store: &SqliteStore, ended: bool, email: &str) -> u64 {
    let mut record = full_record(ambient().as_ref());
    record.payload.state = crmgate_store::PayloadState::Kept;
    record.payload.input = Some(format!(r#"{{"record":{{"email":"{email}"}}}}"#));
    let decision = record.decision.id;
    let position = store.append_decision(record).await.unwrap();
    if ended {
        let outcome = Outcome {
            decision,
            at: ambient().now(),
            kind: OutcomeKind::Succeeded,
            status: Some(201),
            code: None,
            record_id: Some("003".to_owned()),
        };
        store.append_outcome(outcome).await.unwrap();
    }
    position
}

/// Three processes after each other: chains of 9 entries, positions 1 to 27. The checkpoint is of
/// the end.
async fn written(dir: &TempDir) -> Checkpoint {
    let mut checkpoint = None;
    for _ in 0..3 {
        let store = open(dir).await;
        for _ in 0..4 {
            decide(&store, true).await;
        }
        let extent = store.extent().await.unwrap();
        checkpoint = Some(Checkpoint::next(None, extent, ambient().now()));
        store.close().await;
    }
    let checkpoint = checkpoint.unwrap();
    assert_eq!((checkpoint.first, checkpoint.last), (1, 27));
    checkpoint
}

async fn entries(dir: &TempDir) -> Vec<RawEntry> {
    let store = open(dir).await;
    let mut all: Vec<RawEntry> = Vec::new();
    loop {
        let after = all.last().map_or(0, |raw| raw.entry.position);
        let page = store.entries(after, 10).await.unwrap();
        if page.is_empty() {
            store.close().await;
            return all;
        }
        all.extend(page);
    }
}

async fn verify(dir: &TempDir, checkpoints: &[Checkpoint]) -> Report {
    let mut check = Verification::new(checkpoints.to_vec());
    for raw in entries(dir).await {
        check.take(&raw);
    }
    check.finish()
}

#[tokio::test]
async fn what_nobody_touched_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = written(&dir).await;
    let report = verify(&dir, &[checkpoint]).await;
    assert!(report.whole, "{report:#?}");
    assert_eq!((report.entries, report.chains.len()), (27, 3));
    assert_eq!(report.payloads.kept, 12);
    assert_eq!(report.covered.unwrap().up_to, 27);
    assert!(report.uncertain.is_empty());
    let report = verify(&dir, &[]).await;
    assert!(report.whole && report.uncertain.len() == 1, "{report:#?}");
}

#[tokio::test]
async fn every_tampering_is_found() {
    for (what, sql, kind, position, takes_checkpoint) in table::TAMPERINGS {
        let dir = tempfile::tempdir().unwrap();
        let checkpoint = written(&dir).await;
        let mut hand = hand(&dir).await;
        sqlx::query(AssertSqlSafe(*sql))
            .execute(&mut hand)
            .await
            .unwrap();
        drop(hand);
        let alone = verify(&dir, &[]).await;
        assert_eq!(alone.whole, *takes_checkpoint, "{what}: {alone:#?}");
        let report = verify(&dir, &[checkpoint]).await;
        let found = report
            .faults
            .iter()
            .any(|fault| (fault.kind, fault.position) == (*kind, *position));
        assert!(found && !report.whole, "{what}: {report:#?}");
    }
}

#[tokio::test]
async fn a_payload_that_went_without_a_word_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    written(&dir).await;
    let mut hand = hand(&dir).await;
    sqlx::query("DELETE FROM payloads WHERE seq = 13")
        .execute(&mut hand)
        .await
        .unwrap();
    let report = verify(&dir, &[]).await;
    assert!(!report.whole);
    assert_eq!(
        (report.payloads.missing, report.payloads.first_missing),
        (1, Some(13))
    );
}

/// Whoever rewrites from an entry to the end, hashes and all, is found out by a checkpoint only.
#[tokio::test]
async fn a_rewritten_record_is_found_by_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = written(&dir).await;
    let all = entries(&dir).await;
    let mut hand = hand(&dir).await;
    let mut head: Option<Head> = None;
    for raw in &all {
        let mut entry = raw.entry.clone();
        if entry.position == 22 {
            entry.envelope = entry.envelope.replace("deny", "allow");
        }
        let previous = head
            .filter(|head| head.0 == entry.chain)
            .map_or(Digest::default(), |head| head.1);
        entry.hash = chain::hash_of(&entry, previous);
        head = Some((entry.chain, entry.hash));
        sqlx::query("UPDATE ledger SET envelope = ?, hash = ? WHERE seq = ?")
            .bind(entry.envelope)
            .bind(entry.hash.0.to_vec())
            .bind(entry.position.cast_signed())
            .execute(&mut hand)
            .await
            .unwrap();
    }
    drop(hand);
    let alone = verify(&dir, &[]).await;
    assert!(alone.whole, "no chain alone can show it: {alone:#?}");
    assert!(alone.uncertain[0].contains("rewritten"), "and it says so");
    let report = verify(&dir, &[checkpoint]).await;
    let found = report
        .faults
        .iter()
        .map(|fault| (fault.kind, fault.position));
    assert_eq!(found.collect::<Vec<_>>(), [(FaultKind::Rewritten, 27)]);
}

type Head = (crmgate_domain::ChainId, Digest);

#[tokio::test]
async fn erased_and_pruned_is_not_tampered_with() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = written(&dir).await;
    let all = entries(&dir).await;
    let store = open(&dir).await;
    let open_write = decide(&store, false).await;
    let cut_at = all[12].entry.at;
    let erased = store
        .erase(
            &EraseFilter {
                record_id: Some("006".to_owned()),
                before: Some(ambient().now()),
                ..EraseFilter::default()
            },
            &Erasure {
                by: "privacy".to_owned(),
                at: ambient().now(),
                reason: "asked for".to_owned(),
            },
        )
        .await
        .unwrap();
    assert_eq!((erased.decisions, erased.read_backs), (13, 1));
    let cutoffs = Cutoffs {
        entries: Some(cut_at),
        ..Cutoffs::default()
    };
    let pruned = store.prune(&cutoffs, ambient().now()).await.unwrap();
    assert_eq!(pruned.entries, 12, "{open_write}");
    for _ in 0..2 {
        decide_about(&store, true, "eve@example.com").await;
    }
    store.close().await;
    // What was erased is nowhere in the files.
    for file in ["crmgate.db", "crmgate.db-wal"] {
        let bytes = std::fs::read(dir.path().join(file)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("grace@example.com"), "{file}");
    }
    let report = verify(&dir, &[checkpoint]).await;
    assert!(report.whole, "{report:#?}");
    assert_eq!(report.pruned_up_to, 12);
    let gone = (report.payloads.erased, report.payloads.missing);
    assert_eq!(gone, (8, 0), "of those whose entry is there");
    // The note of the pruning gone, the pruning is a cut.
    let mut hand = hand(&dir).await;
    sqlx::query("DELETE FROM ledger WHERE kind = 'pruning'")
        .execute(&mut hand)
        .await
        .unwrap();
    assert!(!verify(&dir, &[]).await.whole);
}

#[tokio::test]
async fn pruning_goes_in_steps_and_stops_before_what_a_sink_lacks() {
    use crmgate_store::RecordFeed as _;
    let dir = tempfile::tempdir().unwrap();
    written(&dir).await;
    let store = open(&dir).await;
    store.set_sink_position("file", 14).await.unwrap();
    store.set_sink_position("checkpoint:log", 1).await.unwrap();
    let later = ambient().now() + std::time::Duration::from_secs(1 << 20);
    let cutoffs = Cutoffs {
        payloads: Some(later),
        entries: Some(later),
        ..Cutoffs::default()
    };
    let pruned = store.prune(&cutoffs, later).await.unwrap();
    assert_eq!((pruned.payloads, pruned.entries), (6, 14));
    assert!(pruned.held_by_sink && !pruned.more);
    store.forget_sink("file").await.unwrap();
    let pruned = store.prune(&cutoffs, later).await.unwrap();
    assert!(pruned.entries >= 13, "{pruned:?}");
    store.close().await;
    let report = verify(&dir, &[]).await;
    assert!(report.whole, "{report:#?}");
    assert_eq!(report.payloads.missing, 0);
}

/// What decisions are found by is no part of the chains: the self-check compares it with them.
#[tokio::test]
async fn a_decision_hidden_from_listings_is_found() {
    let dir = tempfile::tempdir().unwrap();
    written(&dir).await;
    let misfiled = async || {
        let store = open(&dir).await;
        let found = store.misfiled(0, 100).await.unwrap();
        store.close().await;
        found
    };
    assert!(misfiled().await.is_empty());
    let mut hand = hand(&dir).await;
    for (sql, position) in [
        ("UPDATE decisions SET connection = 'other' WHERE seq = 4", 4),
        ("UPDATE decisions SET effect = 'allow' WHERE seq = 6", 6),
        ("UPDATE decisions SET record_id = NULL WHERE seq = 8", 8),
        ("UPDATE decisions SET id = zeroblob(16) WHERE seq = 11", 11),
        ("UPDATE decisions SET at = at + 1 WHERE seq = 13", 13),
        ("DELETE FROM decisions WHERE seq = 15", 15),
        ("UPDATE ledger SET envelope = '{' WHERE seq = 17", 17),
        ("DELETE FROM decision_reasons WHERE decision = 20", 20),
        ("INSERT INTO decision_reasons VALUES ('other', 22)", 22),
        (
            "UPDATE package_set_members SET package = 'crm.other' \
             WHERE package = 'crm.sales.limits'",
            26,
        ),
    ] {
        sqlx::query(sql).execute(&mut hand).await.unwrap();
        assert_eq!(misfiled().await.last(), Some(&position), "{sql}");
    }
    // The last one was of the set that all of them have.
    let all = [2, 4, 6, 8, 11, 13, 15, 17, 20, 22, 24, 26];
    assert_eq!(misfiled().await, all);
    let file = RecordFile::open(&dir.path().join("crmgate.db")).await;
    assert_eq!(file.unwrap().misfiled(0, 100).await.unwrap(), all);
}
