//! A Redis that crashes, forgets, freezes, or drops its lines, under work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crmgate_queue::{QueueSpec, Workers};
use crmgate_testkit::Redis;

use crate::support::{Bench, QUEUE, Told, millis, spec, until};

const COUNT: usize = 300;

fn short() -> QueueSpec {
    QueueSpec {
        lease: millis(900),
        concurrency: 8,
        ..spec(QUEUE)
    }
}

/// Works while something happens to the server: every job is looked at, and the queue ends empty.
async fn under_work(server: &Redis, happens: impl AsyncFnOnce()) -> Arc<Told> {
    // As it is, it may lose its last second; that is not what is looked at here.
    server.command("CONFIG SET appendfsync always");
    let bench = Bench::redis(server);
    bench.push_many(COUNT).await;
    let told = Told::after(millis(15));
    let workers = Workers::start(Arc::clone(&bench.jobs), "p", vec![short()], told.clone());
    told.saw(50).await;
    happens().await;
    bench.emptied().await;
    assert_eq!(told.times().len(), COUNT, "all are looked at");
    workers.drain(millis(500)).await;
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_loses_no_job() {
    let Some(server) = Redis::start() else {
        return;
    };
    under_work(&server, async || {
        server.kill();
        tokio::time::sleep(millis(300)).await;
        server.restart();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_lines_are_made_anew() {
    let Some(server) = Redis::start() else {
        return;
    };
    under_work(&server, async || {
        for _ in 0..5 {
            server.command("CLIENT KILL TYPE normal SKIPME yes");
            server.command("CLIENT KILL TYPE pubsub");
            tokio::time::sleep(millis(50)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_goes_on_where_it_was() {
    let Some(server) = Redis::start() else {
        return;
    };
    under_work(&server, async || {
        server.pause();
        tokio::time::sleep(millis(400)).await;
        server.resume();
    })
    .await;
}

/// All is forgotten: workers live, old leases count for nothing, and what is pushed again is done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_forgot_everything_is_filled_again() {
    let Some(server) = Redis::start() else {
        return;
    };
    let bench = Bench::redis(&server);
    bench.push_many(20).await;
    let told = Told::after(millis(150));
    let workers = Workers::start(Arc::clone(&bench.jobs), "p", vec![short()], told.clone());
    told.saw(8).await;
    server.command("FLUSHALL");
    server.command("SCRIPT FLUSH");
    bench.push_many(20).await;
    until("all are looked at", async || told.times().len() == 20).await;
    bench.emptied().await;
    workers.drain(millis(500)).await;
}

/// Work goes on as soon as the server does, not only with the next look.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wake_ups_come_back_after_a_crash() {
    let Some(server) = Redis::start() else {
        return;
    };
    let bench = Bench::redis(&server);
    let slow = QueueSpec {
        poll: Duration::from_secs(60),
        ..spec(QUEUE)
    };
    let told = Told::after(Duration::ZERO);
    let workers = Workers::start(Arc::clone(&bench.jobs), "p", vec![slow], told.clone());
    tokio::time::sleep(millis(200)).await;
    server.kill();
    tokio::time::sleep(millis(200)).await;
    server.restart();
    until("it answers again", async || {
        bench.jobs.depth(QUEUE).await.is_ok()
    })
    .await;
    let began = Instant::now();
    bench.push(&["a"]).await;
    told.saw(1).await;
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
    workers.drain(millis(500)).await;
}
