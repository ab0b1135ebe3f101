//! Bringing the tables up to date.

use crmgate_store::suite::full_record;
use crmgate_store::{DecisionFilter, DecisionLog as _};
use crmgate_store_sql::OpenError;
use crmgate_testkit::Postgres;

use crate::{ambient, open, try_open};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_starts_first_makes_the_tables_and_the_others_wait() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    let address = server.database();
    let opened = futures::future::join_all((0..6).map(|_| open(&address))).await;
    for store in &opened {
        let record = full_record(ambient().as_ref());
        store.append_decision(record).await.unwrap();
    }
    let applied = server.run(&address, "SELECT count(*) FROM _sqlx_migrations");
    let versions = server.run(
        &address,
        "SELECT count(DISTINCT version) FROM _sqlx_migrations",
    );
    assert_eq!(applied, versions, "each once");
    let page = opened[0]
        .decisions(&DecisionFilter::default(), None, 99)
        .await;
    assert_eq!(page.unwrap().items.len(), 6);
}

/// What a later version would leave in the table of migrations.
fn later(description: &str) -> String {
    format!(
        "INSERT INTO _sqlx_migrations SELECT 9999, '{description}', installed_on, true, \
         decode(repeat('00', 48), 'hex'), 0 FROM _sqlx_migrations LIMIT 1; \
         CREATE TABLE later (n int); ALTER TABLE pulse ADD COLUMN later int"
    )
}

#[tokio::test]
async fn a_later_version_that_only_added_is_lived_with() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    let address = server.database();
    let before = open(&address).await;
    assert_eq!(server.run(&address, &later("additive later")), "");
    // The one that runs goes on, and one that starts does.
    let record = full_record(ambient().as_ref());
    before.append_decision(record).await.unwrap();
    let started = open(&address).await;
    let record = full_record(ambient().as_ref());
    started.append_decision(record).await.unwrap();
}

#[tokio::test]
async fn any_other_version_is_told_and_left_alone() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    for change in [
        // Tables that were made otherwise.
        "UPDATE _sqlx_migrations SET checksum = decode(repeat('00', 48), 'hex')".to_owned(),
        // Tables of a later version that took something away.
        later("took away"),
    ] {
        let address = server.database();
        open(&address).await.close().await;
        assert_eq!(server.run(&address, &change), "");
        let Err(error @ OpenError::OtherTables { .. }) = try_open(&address).await else {
            panic!("tables of another version were opened: {change}");
        };
        assert!(error.to_string().contains("do not fit"), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_without_the_password() {
    let address = "postgres://gate:hunter2@127.0.0.1:1/crmgate";
    let Err(error @ OpenError::Unreachable { .. }) = try_open(address).await else {
        panic!("nobody listens there");
    };
    let told = error.to_string();
    assert!(
        told.contains("postgres://gate@127.0.0.1:1/crmgate"),
        "{told}"
    );
    assert!(!told.contains("hunter2"), "{told}");
}

#[tokio::test]
async fn a_server_that_does_not_flush_is_told() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    // As the tests' server is set up.
    let store = open(&server.database()).await;
    let risks = store.risks().join("; ");
    assert!(risks.contains("`fsync = off`"), "{risks}");
}
