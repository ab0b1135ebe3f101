//! How often the task that moves operations goes to the server and back: while it does, it holds
//! the lock that all processes share, so that this is what bounds their rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crmgate_domain::ProcessId;
use crmgate_store::suite::{Lives, Ticking};
use crmgate_store::{NewJob, Wakening};
use crmgate_store_sql::PostgresStore;
use crmgate_testkit::Postgres;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};

use crate::{ambient, settings};

/// Stands between a store and its server, and counts what the connection that appends asks.
#[derive(Default)]
struct Trips {
    there_and_back: AtomicUsize,
    transactions: AtomicUsize,
}

impl Trips {
    /// Those of one call.
    async fn of<T>(&self, call: impl Future<Output = T>) -> (T, usize) {
        let before = self.there_and_back.load(Ordering::SeqCst);
        let done = call.await;
        (done, self.there_and_back.load(Ordering::SeqCst) - before)
    }

    async fn before(self: &Arc<Self>, address: &str) -> String {
        let (head, tail) = address.split_once('@').unwrap();
        let (server, database) = tail.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap();
        let (server, all) = (server.to_owned(), Arc::clone(self));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                let (mut told, to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                tokio::spawn(async move {
                    let mut to_client = to_client;
                    let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
                });
                let all = Arc::clone(&all);
                tokio::spawn(async move {
                    let mut appends = false;
                    let mut startup = true;
                    while let Some(message) = next(&mut told, startup).await {
                        startup = false;
                        appends |= contains(&message, b"pg_advisory_xact_lock");
                        if appends {
                            all.count(&message);
                        }
                        if to_server.write_all(&message).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        format!("{head}@{own}/{database}?sslmode=disable")
    }

    fn count(&self, message: &[u8]) {
        // A query, or the end of what is asked at once.
        if matches!(message.first(), Some(b'Q' | b'S')) {
            self.there_and_back.fetch_add(1, Ordering::SeqCst);
        }
        if contains(message, b"COMMIT\0") {
            self.transactions.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn contains(message: &[u8], part: &[u8]) -> bool {
    message.windows(part.len()).any(|found| found == part)
}

/// One message; the first one has no letter.
async fn next(from: &mut OwnedReadHalf, startup: bool) -> Option<Vec<u8>> {
    let mut message = vec![0; if startup { 4 } else { 5 }];
    from.read_exact(&mut message).await.ok()?;
    let head = message.len();
    let length = u32::from_be_bytes(message[head - 4..].try_into().unwrap());
    message.resize(head + usize::try_from(length).unwrap() - 4, 0);
    from.read_exact(&mut message[head..]).await.ok()?;
    Some(message)
}

/// Jobs lie in Redis where there is Postgres.
struct Elsewhere;

impl Wakening for Elsewhere {
    fn wake(&self, _: Vec<NewJob>) {}
}

async fn counted() -> Option<(Arc<Trips>, Lives<PostgresStore>)> {
    let server = Postgres::shared()?;
    let trips = Arc::new(Trips::default());
    let address = trips.before(&server.database()).await;
    let ambient: Arc<Ticking> = ambient();
    let process = ProcessId::fresh(ambient.as_ref());
    let shared = Arc::clone(&ambient) as _;
    let store = PostgresStore::open(&settings(&address), process, shared).await;
    let store = store.unwrap();
    store.waken_through(Arc::new(Elsewhere));
    let lives = Lives::new(Arc::new(store), ambient as _);
    // From here on all statements are known to the server.
    let ids = lives.submit("warm", 300).await;
    lives.all_live(ids, 64).await;
    let ids = lives.submit("warm", 3).await;
    lives.all_live(ids, 1).await;
    Some((trips, lives))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_step_alone_takes_few() {
    let Some((trips, lives)) = counted().await else {
        return;
    };
    let id = lives.submit("alone", 1).await.remove(0);
    let (life, begin) = trips.of(lives.begin(id)).await;
    let (life, permit) = trips.of(lives.permit(life)).await;
    let (life, write) = trips.of(lives.write(life)).await;
    let ((), end) = trips.of(lives.end(life)).await;
    // Each with the beginning and the end of its transaction.
    assert_eq!([begin, permit, write, end], [6, 6, 5, 8]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_steps_at_once_share_them() {
    const MANY: usize = 640;
    let Some((trips, lives)) = counted().await else {
        return;
    };
    let ids = lives.submit("many", MANY as u64).await;
    let transactions = trips.transactions.load(Ordering::SeqCst);
    let ((), all) = trips.of(lives.all_live(ids, 64)).await;
    let transactions = trips.transactions.load(Ordering::SeqCst) - transactions;
    println!("{all} in {transactions} transactions for {MANY} lives");
    assert!(all < 3 * MANY / 2, "{all} for {MANY} lives");
    assert!(
        all < 9 * transactions,
        "{all} for {transactions} transactions"
    );
}
