//! Random lives of queued operations, held against a plain model.

use std::sync::Arc;

use crmgate_domain::ProcessId;
use crmgate_store::suite::Ticking;
use crmgate_store_sql::PostgresStore;
use crmgate_testkit::Postgres;

use crate::{settings, steps, world};

#[test]
fn operations_live_as_the_model_says() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ambient = Arc::new(world::Late(Ticking::after(78 << 32)));
    let process = ProcessId::fresh(ambient.as_ref());
    let settings = settings(&server.database());
    let store = runtime.block_on(PostgresStore::open(&settings, process, ambient));
    let store = store.unwrap();
    steps::hold_against_the_model(&runtime, &store, 8);
    runtime.block_on(store.close());
}
