//! Random lives of queued operations on SQLite, held against a plain model.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails, fails"
)]

#[path = "model/plain.rs"]
mod plain;
#[path = "model/steps.rs"]
mod steps;
#[path = "model/world.rs"]
mod world;

use std::sync::Arc;

use crmgate_store::suite::Ticking;
use crmgate_store_sql::{Settings, SqliteStore};

#[test]
fn operations_live_as_the_model_says() {
    // In memory where there is such a place: what is tried here is not durability.
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let dir = dir.unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ambient = Arc::new(world::Late(Ticking::after(77 << 32)));
    let settings = Settings::default();
    let store = runtime.block_on(SqliteStore::open(dir.path(), &settings, ambient));
    let store = store.unwrap();
    steps::hold_against_the_model(&runtime, &store, 96);
    runtime.block_on(store.close());
}
