//! A Redis that is lost, frozen, forgetful, closed, or set up dangerously.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crmgate_domain::Timestamp;
use crmgate_store::{Cells as _, Jobs as _, NewJob, Settlement, StoreError, Swapped, Verdict};
use crmgate_store_redis::{RedisStore, Risk, Settings};
use crmgate_testkit::Redis;

const QUEUE: &str = "operations/acme";

fn job(id: &str) -> NewJob {
    NewJob {
        queue: QUEUE.to_owned(),
        id: id.to_owned(),
        due: Timestamp::now(),
        priority: 0,
        most_attempts: 3,
    }
}

fn store(server: &Redis) -> RedisStore {
    RedisStore::new(Settings::new(server.url().into()))
}

fn unavailable<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> String {
    let error = answer.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_server_is_told_in_time_and_found_again() {
    let Some(server) = Redis::start() else {
        return;
    };
    let store = store(&server);
    store.push(vec![job("a")]).await.unwrap();
    // Written for good after a second.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    server.kill();
    for _ in 0..3 {
        let began = Instant::now();
        unavailable(store.claim(QUEUE, "w", 1, Duration::from_secs(9)).await);
        unavailable(store.cell("x").await);
        assert!(began.elapsed() < Duration::from_millis(4_400));
    }
    server.restart();
    let began = Instant::now();
    let claimed = loop {
        match store.claim(QUEUE, "w", 1, Duration::from_secs(9)).await {
            Ok(claimed) => break claimed,
            Err(_) => assert!(began.elapsed() < Duration::from_secs(3)),
        }
    };
    assert_eq!(claimed[0].id, "a", "the append-only file kept it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_is_told_in_time() {
    let Some(server) = Redis::start() else {
        return;
    };
    let store = store(&server);
    store.push(vec![job("a")]).await.unwrap();
    server.pause();
    let began = Instant::now();
    unavailable(store.push(vec![job("b")]).await);
    assert!(
        began.elapsed() < Duration::from_millis(2_300),
        "{:?}",
        began.elapsed()
    );
    let began = Instant::now();
    // A new connection is accepted by the system, and not answered either.
    unavailable(store.push(vec![job("b")]).await);
    assert!(
        began.elapsed() < Duration::from_millis(2_300),
        "{:?}",
        began.elapsed()
    );
    server.resume();
    store.push(vec![job("b")]).await.unwrap();
    assert_eq!(store.depth(QUEUE).await.unwrap().due, 2);
}

/// Whoever held a lease or saw a cell before all was lost must not take new ones for his own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_do_not_come_again_when_all_is_lost() {
    let Some(server) = Redis::start() else {
        return;
    };
    let store = store(&server);
    store.push(vec![job("a")]).await.unwrap();
    let claim = async || {
        let claimed = store.claim(QUEUE, "w", 1, Duration::from_secs(9)).await;
        claimed.unwrap().remove(0)
    };
    let old = claim().await;
    let swap = async |seen| {
        let swapped = store.swap("c", seen, "x".to_owned(), None).await;
        swapped.unwrap()
    };
    let Swapped::Done(seen) = swap(None).await else {
        unreachable!("nobody else is here")
    };
    server.command("FLUSHALL");
    store.push(vec![job("a")]).await.unwrap();
    let new = claim().await;
    let late = Settlement {
        id: "a".to_owned(),
        lease: old.lease,
        verdict: Verdict::Done,
    };
    assert_eq!(store.settle(QUEUE, vec![late]).await.unwrap(), ["a"]);
    assert_eq!(swap(Some(seen)).await, Swapped::Lost(None));
    let Swapped::Done(version) = swap(None).await else {
        unreachable!("nobody else is here")
    };
    assert!(version > seen && new.lease > old.lease);
    // The scripts are gone, too.
    server.command("SCRIPT FLUSH");
    assert_eq!(store.depth(QUEUE).await.unwrap().claimed, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_in_no_error_and_may_change() {
    let Some(server) = Redis::start() else {
        return;
    };
    let port = server.port();
    assert_eq!(server.command("CONFIG SET requirepass first-secret"), "+OK");
    let password = Arc::new(Mutex::new("wrong-secret".to_owned()));
    let current = Arc::clone(&password);
    let store = RedisStore::new(Settings {
        address: Arc::new(move || {
            let password = current.lock().unwrap();
            Ok(format!("redis://:{password}@127.0.0.1:{port}").into())
        }),
        ..Settings::new(String::new().into())
    });
    let told = unavailable(store.ping().await);
    assert!(!told.contains("secret"), "{told}");
    "first-secret".clone_into(&mut password.lock().unwrap());
    store.ping().await.unwrap();

    let odd = RedisStore::new(Settings::new("redis://:a-secret@[".to_owned().into()));
    let told = unavailable(odd.ping().await);
    assert!(!told.contains("secret"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_at_risk_is_told() {
    let Some(server) = Redis::start() else {
        return;
    };
    let store = store(&server);
    let found = store.durability().await.unwrap();
    assert_eq!(found.sync.as_deref(), Some("everysec"));
    assert_eq!(found.risks(), []);
    server.command("CONFIG SET maxmemory-policy allkeys-lru");
    server.command("CONFIG SET appendonly no");
    let risks = store.durability().await.unwrap().risks();
    assert_eq!(risks, [Risk::Evicts, Risk::Forgets]);
    assert!(risks[0].to_string().contains("`noeviction`"));
    // As managed services do.
    server.command("ACL SETUSER limited on >pw ~* &* +@all -config");
    let url = format!("redis://limited:pw@127.0.0.1:{}", server.port());
    let limited = RedisStore::new(Settings::new(url.into()));
    assert_eq!(limited.durability().await.unwrap().risks(), [Risk::Unknown]);
    server.kill();
    unavailable(limited.durability().await);
}

/// Memory that is full is an answer, not a loss.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_refuses() {
    let Some(server) = Redis::start() else {
        return;
    };
    let store = store(&server);
    store.push(vec![job("a")]).await.unwrap();
    server.command("CONFIG SET maxmemory 1mb");
    let told = unavailable(store.push(vec![job("b")]).await);
    assert!(told.contains("OOM"), "{told}");
    server.command("CONFIG SET maxmemory 0");
    assert_eq!(store.push(vec![job("b")]).await.unwrap(), 1);
}
