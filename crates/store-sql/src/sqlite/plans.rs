//! SQLite's plans.

use std::sync::Arc;

use crmgate_store::suite::Ticking;
use sqlx::Row as _;

use super::{Settings, Store};

#[path = "../shared/plans.rs"]
mod statements;

use super::operations;

#[tokio::test]
async fn what_is_asked_for_is_found_by_an_index() {
    let dir = tempfile::tempdir().unwrap();
    let ambient = Arc::new(Ticking::default());
    let settings = Settings::default();
    let store = Store::open(dir.path(), &settings, ambient).await.unwrap();
    let write = |text: String| text.replace('?', "1");
    for (statement, index) in statements::statements("x'00'", write) {
        let index = if index.is_empty() {
            "PRIMARY KEY"
        } else {
            index
        };
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let plan = sqlx::query(explain)
            .fetch_all(store.reader())
            .await
            .unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
        let by_index = plan.iter().any(|step| step.contains(index));
        let sorted = plan.iter().any(|step| step.contains("TEMP B-TREE"));
        let values = |step: &String| {
            step == "SCAN v" || step.contains("CONSTANT ROW") || step.starts_with("SCAN (subquery")
        };
        let scanned = plan
            .iter()
            .any(|step| step.starts_with("SCAN") && !step.contains("USING") && !values(step));
        assert!(by_index && !sorted && !scanned, "{statement}: {plan:#?}");
    }
    store.close().await;
}
