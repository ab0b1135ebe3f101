//! The store in memory behaves as every store.

use crmgate_testkit::MemoryStore;

#[tokio::test]
async fn behaves_as_a_store() {
    crmgate_store::suite::run(|| async { MemoryStore::default() }).await;
}
