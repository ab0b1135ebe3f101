//! The behaviour that every store of jobs and cells must show, on a real Redis.

#![expect(clippy::disallowed_methods, reason = "a test")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crmgate_domain::Timestamp;
use crmgate_store::suite::{self, Clock};
use crmgate_store_redis::{RedisStore, Settings};
use crmgate_testkit::Redis;

/// The machine's own: the server's is the same.
struct Real;

impl Clock for Real {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

fn store(server: &Redis) -> RedisStore {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let nth = MADE.fetch_add(1, Ordering::Relaxed);
    RedisStore::new(Settings {
        prefix: format!("t{nth}"),
        ..Settings::new(server.url().into())
    })
}

#[tokio::test]
async fn jobs() {
    let Some(server) = Redis::shared() else {
        return;
    };
    suite::run_jobs(|| async { (store(server), Real) }).await;
}

#[tokio::test]
async fn cells() {
    let Some(server) = Redis::shared() else {
        return;
    };
    suite::run_cells(|| async { (store(server), Real) }).await;
}
