//! Whatever somebody with the database in his hands does to the record is found out.

use crmgate_domain::Ambient as _;
use crmgate_store::checkpoint::Checkpoint;
use crmgate_store::suite::full_record;
use crmgate_store::verify::{Report, Verification};
use crmgate_store::{AttemptLog as _, DecisionLog as _, Ledger as _, Outcome};
use crmgate_store_sql::PostgresStore;
use crmgate_testkit::Postgres;

use crate::table::TAMPERINGS;
use crate::writers::succeeded;
use crate::{ambient, open};

async fn decide(store: &PostgresStore) {
    let mut record = full_record(ambient().as_ref());
    record.payload.state = crmgate_store::PayloadState::Kept;
    record.payload.input = Some(r#"{"record":{"email":"ada@example.com"}}"#.to_owned());
    let outcome = Outcome {
        record_id: Some("003".to_owned()),
        ..succeeded(record.decision.id)
    };
    store.append_decision(record).await.unwrap();
    store.append_outcome(outcome).await.unwrap();
}

/// Three processes after each other.
async fn written(address: &str) -> Checkpoint {
    let mut checkpoint = None;
    for _ in 0..3 {
        let store = open(address).await;
        for _ in 0..4 {
            decide(&store).await;
        }
        let extent = store.extent().await.unwrap();
        assert_eq!(extent.heads.len(), 1, "the others are named");
        checkpoint = Some(Checkpoint::next(None, extent, ambient().now()));
        store.close().await;
    }
    checkpoint.unwrap()
}

async fn verify(store: &PostgresStore, checkpoints: &[Checkpoint]) -> Report {
    let mut check = Verification::new(checkpoints.to_vec());
    for raw in store.entries(0, 100).await.unwrap() {
        check.take(&raw);
    }
    check.finish()
}

/// The table's words, as Postgres says them.
fn said(statements: &str) -> String {
    let said = statements
        .replace("zeroblob(32)", "decode(repeat('00', 32), 'hex')")
        .replace("x'00'", "'\\x00'");
    format!("ALTER TABLE ledger DROP CONSTRAINT ledger_chain_link_key; {said}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_tampering_is_found() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    let untouched = server.database();
    let checkpoint = written(&untouched).await;
    for (what, statements, kind, position, takes_checkpoint) in TAMPERINGS {
        let address = server.copy(&untouched);
        assert_eq!(server.run(&address, &said(statements)), "", "{what}");
        let store = open(&address).await;
        let alone = verify(&store, &[]).await;
        assert_eq!(alone.whole, *takes_checkpoint, "{what}: {alone:#?}");
        let report = verify(&store, std::slice::from_ref(&checkpoint)).await;
        let found = report
            .faults
            .iter()
            .any(|fault| (fault.kind, fault.position) == (*kind, *position));
        assert!(found && !report.whole, "{what}: {report:#?}");
        store.close().await;
    }
    let store = open(&untouched).await;
    assert!(verify(&store, &[checkpoint]).await.whole);
}

/// What decisions are found by is no part of the chains: the self-check compares it with them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_hidden_from_listings_is_found() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    let address = server.database();
    written(&address).await;
    let store = open(&address).await;
    assert!(store.misfiled(0, 100).await.unwrap().is_empty());
    for (statement, position) in [
        ("UPDATE decisions SET connection = 'other' WHERE seq = 4", 4),
        ("UPDATE decisions SET effect = 'allow' WHERE seq = 6", 6),
        ("UPDATE decisions SET record_id = NULL WHERE seq = 8", 8),
        (
            "UPDATE decisions SET id = decode(repeat('00', 16), 'hex') WHERE seq = 11",
            11,
        ),
        ("UPDATE decisions SET at = at + 1 WHERE seq = 13", 13),
        ("DELETE FROM decisions WHERE seq = 15", 15),
        ("UPDATE ledger SET envelope = '{' WHERE seq = 17", 17),
        ("DELETE FROM decision_reasons WHERE decision = 20", 20),
        ("INSERT INTO decision_reasons VALUES ('other', 22)", 22),
        ("UPDATE decisions SET package_set = 99 WHERE seq = 24", 24),
    ] {
        assert_eq!(server.run(&address, statement), "");
        let found = store.misfiled(0, 100).await.unwrap();
        assert_eq!(found.last(), Some(&position), "{statement}");
    }
    let part = store.misfiled(6, 15).await.unwrap();
    assert_eq!(part, [8, 11, 13, 15]);
}
