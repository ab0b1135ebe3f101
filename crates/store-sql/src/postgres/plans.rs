//! Postgres' plans.

use std::sync::Arc;

use crmgate_domain::ProcessId;
use crmgate_store::suite::Ticking;
use crmgate_testkit::Postgres;
use sqlx::Row as _;

use super::{PostgresSettings, Store};

#[path = "../shared/plans.rs"]
mod statements;

use super::operations;

#[tokio::test]
async fn what_is_asked_for_can_be_found_by_an_index() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    let settings = PostgresSettings {
        url: server.database().into(),
        connections: 1,
    };
    let ambient = Arc::new(Ticking::default());
    let process = ProcessId::fresh(ambient.as_ref());
    let store = Store::open(&settings, process, ambient).await.unwrap();
    let mut connection = store.reader().acquire().await.unwrap();
    // The tables are empty: what counts is whether there is another way than reading them whole.
    for setting in ["enable_seqscan", "enable_sort", "enable_bitmapscan"] {
        let set = sqlx::AssertSqlSafe(format!("SET {setting} = off"));
        sqlx::query(set).execute(&mut *connection).await.unwrap();
    }
    let write = |text: String| {
        let kinds = [("bigint", "1,2"), ("text", "a,b"), ("bytea", "a,b")];
        let mut text = text;
        for n in (1..=30).rev() {
            for (kind, values) in kinds {
                let value = format!("${n}::{kind}[]");
                text = text.replace(&value, &format!("'{{{values}}}'::{kind}[]"));
            }
        }
        text
    };
    for (statement, index) in statements::statements("'\\x00'", write) {
        let index = if index.is_empty() { "_pkey" } else { index };
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN {statement}"));
        let plan = sqlx::query(explain)
            .fetch_all(&mut *connection)
            .await
            .unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
        let by_index = plan.iter().any(|step| step.contains(index));
        let scanned = plan
            .iter()
            .any(|step| step.contains("Seq Scan") || step.contains("Sort"));
        assert!(by_index && !scanned, "{statement}: {plan:#?}");
    }
    drop(connection);
    store.close().await;
}
