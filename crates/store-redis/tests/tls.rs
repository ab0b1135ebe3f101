//! A Redis that is spoken to by TLS.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crmgate_store::{Jobs as _, NewJob, StoreError};
use crmgate_store_redis::{RedisStore, Settings};
use crmgate_testkit::Redis;

const QUEUE: &str = "operations/acme";

fn job(nth: u32) -> NewJob {
    NewJob {
        queue: QUEUE.to_owned(),
        id: nth.to_string(),
        due: "2026-01-01T00:00:00Z".parse().unwrap(),
        priority: 0,
        most_attempts: 3,
    }
}

fn openssl(dir: &Path, line: &str) {
    let mut openssl = Command::new("openssl");
    let made = openssl.current_dir(dir).args(line.split(' ')).output();
    let made = made.unwrap();
    let told = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{line}: {told}");
}

/// An authority, and a certificate of it for `localhost`.
fn certificates(dir: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(
        dir,
        &format!("req -x509 {key} -days 2 -subj /CN=test-authority -keyout ca.key -out ca.crt"),
    );
    openssl(
        dir,
        &format!("req {key} -subj /CN=localhost -keyout server.key -out server.csr"),
    );
    std::fs::write(dir.join("names"), "subjectAltName=DNS:localhost").unwrap();
    openssl(
        dir,
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 \
         -extfile names -out server.crt",
    );
}

/// The port at which it speaks TLS from now on.
fn secured(server: &Redis, dir: &Path) -> u16 {
    certificates(dir);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let dir = dir.display();
    let set = format!(
        "CONFIG SET tls-cert-file {dir}/server.crt tls-key-file {dir}/server.key \
         tls-auth-clients no tls-port {port}"
    );
    assert_eq!(server.command(&set), "+OK");
    port
}

fn store(host: &str, port: u16, ca_file: Option<PathBuf>) -> RedisStore {
    let address = format!("rediss://{host}:{port}");
    RedisStore::new(Settings {
        ca_file,
        ..Settings::new(address.into())
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_of_ones_own_is_trusted_and_no_other() {
    let Some(server) = Redis::start() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let port = secured(&server, dir.path());
    let ca = dir.path().join("ca.crt");

    let trusted = Arc::new(store("localhost", port, Some(ca.clone())));
    trusted.ping().await.unwrap();
    // The bells have a connection of their own.
    let heard = tokio::spawn({
        let trusted = Arc::clone(&trusted);
        async move { trusted.pushed(QUEUE, Duration::from_secs(60)).await }
    });
    let began = Instant::now();
    for n in 0.. {
        if heard.is_finished() {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "no bell");
        trusted.push(vec![job(n)]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let absent = dir.path().join("absent.crt");
    for (host, ca, what) in [
        ("localhost", None, "signed by nobody that is known"),
        ("127.0.0.1", Some(ca), "of another name"),
        ("localhost", Some(absent), "a file that is not there"),
    ] {
        let refused = store(host, port, ca).ping().await;
        assert!(
            matches!(refused, Err(StoreError::Unavailable(_))),
            "{what}: {refused:?}"
        );
    }
}
