//! Commits whose answer is lost on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crmgate_domain::Ambient as _;
use crmgate_store::suite::full_record;
use crmgate_store::{DecisionLog as _, Ledger as _, StoredCheckpoint};
use crmgate_testkit::Postgres;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::writers::verified;
use crate::{ambient, open};

/// Stands between a store and its server, and loses commits: every other one before the server has
/// it, every other one's answer.
struct Lossy {
    address: String,
    lost: Arc<AtomicUsize>,
}

impl Lossy {
    async fn before(address: &str) -> Self {
        let (head, tail) = address.split_once('@').unwrap();
        let (server, database) = tail.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap();
        let lost = Arc::new(AtomicUsize::new(0));
        tokio::spawn({
            let (server, lost) = (server.to_owned(), Arc::clone(&lost));
            let commits = Arc::new(AtomicUsize::new(0));
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    let server = TcpStream::connect(&server).await.unwrap();
                    let (commits, lost) = (Arc::clone(&commits), Arc::clone(&lost));
                    tokio::spawn(pass(client, server, commits, lost));
                }
            }
        });
        Self {
            address: format!("{head}@{own}/{database}?sslmode=disable"),
            lost,
        }
    }
}

/// Passes on what both say, until a commit is to be lost.
async fn pass(
    mut client: TcpStream,
    mut server: TcpStream,
    commits: Arc<AtomicUsize>,
    lost: Arc<AtomicUsize>,
) {
    let (mut asked, mut told) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(length @ 1..) = read else { return };
                let said = &asked[..length];
                let commit = said.windows(7).any(|part| part == b"COMMIT\0");
                // The commit of the start, then one in two.
                let number = if commit { commits.fetch_add(1, Ordering::SeqCst) } else { 1 };
                if number == 1 || number % 2 == 1 {
                    if server.write_all(said).await.is_err() {
                        return;
                    }
                    continue;
                }
                lost.fetch_add(1, Ordering::SeqCst);
                if number % 4 == 0 {
                    // The server gets it, and its answer comes to nobody.
                    server.write_all(said).await.unwrap();
                    let _ = server.read(&mut told).await;
                }
                return;
            }
            read = server.read(&mut told) => {
                let Ok(length @ 1..) = read else { return };
                if client.write_all(&told[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_heard_of_is_looked_up_and_never_done_twice() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    let address = server.database();
    // The tables are made without losses.
    open(&address).await.close().await;
    let lossy = Lossy::before(&address).await;
    let store = open(&lossy.address).await;
    let ambient = ambient();
    let mut places = Vec::new();
    for _ in 0..40 {
        let record = full_record(ambient.as_ref());
        let id = record.decision.id;
        let place = store.append_decision(record).await.unwrap();
        let found = store.decision(id).await.unwrap().unwrap();
        assert_eq!(found.sequence, place, "where it was said to be");
        places.push(place);
    }
    places.dedup();
    assert_eq!(places.len(), 40);
    let lost = lossy.lost.load(Ordering::SeqCst);
    assert!(lost > 10, "only {lost} commits were lost");
    let decisions = server.run(
        &address,
        "SELECT count(*), count(DISTINCT envelope::json ->> 'id') FROM ledger \
         WHERE kind = 'decision'",
    );
    assert_eq!(decisions, "40|40");
    let whole = open(&address).await;
    let report = verified(&whole).await;
    assert!(report.whole, "{:#?}", report.faults);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_heard_of_is_answered_as_it_ended() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    let address = server.database();
    open(&address).await.close().await;
    let lossy = Lossy::before(&address).await;
    let store = open(&lossy.address).await;
    // Done twice, the second one would be told that the first one's row exists.
    for number in 1..=20 {
        let checkpoint = StoredCheckpoint {
            number,
            at: ambient().now(),
            jws: String::new(),
        };
        store.add_checkpoint(checkpoint).await.unwrap();
    }
    assert!(lossy.lost.load(Ordering::SeqCst) > 5);
    assert_eq!(store.checkpoints(0, 99).await.unwrap().len(), 20);
}
