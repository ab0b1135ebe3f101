//! Stopping.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crmgate_queue::{Drained, QueueSpec, Workers};
use crmgate_store::Verdict;

use crate::support::{Bench, QUEUE, Told, Trouble, Troubled, millis, spec};

fn narrow() -> QueueSpec {
    QueueSpec {
        concurrency: 2,
        ..spec(QUEUE)
    }
}

/// What runs may end; what waits goes back at once and without a mark.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_may_end_and_the_rest_is_handed_back() {
    for bench in Bench::all().await {
        bench.push_many(20).await;
        let told = Told::after(millis(300));
        let workers = Workers::start(Arc::clone(&bench.jobs), "p", vec![narrow()], told.clone());
        told.saw(2).await;
        let began = Instant::now();
        let drained = workers.drain(Duration::from_secs(5)).await;
        assert!(began.elapsed() < millis(1_500), "{:?}", began.elapsed());
        assert_eq!((drained.finished, drained.cut), (2, 0));
        assert_eq!(told.seen().len(), 2);
        let depth = bench.depth().await;
        assert_eq!((depth.due, depth.claimed, depth.dead), (18, 0, 0));
        let claimed = bench
            .jobs
            .claim(QUEUE, "next", 20, millis(500))
            .await
            .unwrap();
        assert!(claimed.iter().all(|claimed| claimed.attempts == 0));
        assert_eq!(claimed[0].id, "job-000002", "the oldest is still the first");
    }
}

/// What does not end in time is cut off and handed back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_that_take_too_long_are_cut_off() {
    for bench in Bench::all().await {
        bench.push(&["a", "b", "c"]).await;
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        let told = Told::new(move |_| {
            let end = Arc::clone(&end);
            async move {
                tokio::time::sleep(Duration::from_secs(2)).await;
                end.store(true, Ordering::SeqCst);
                Verdict::Done
            }
        });
        let workers = Workers::start(Arc::clone(&bench.jobs), "p", vec![narrow()], told.clone());
        told.saw(2).await;
        let began = Instant::now();
        let drained = workers.drain(millis(200)).await;
        assert!(began.elapsed() < millis(1_000), "{:?}", began.elapsed());
        assert_eq!((drained.finished, drained.cut), (0, 2));
        let depth = bench.depth().await;
        assert_eq!((depth.due, depth.claimed), (3, 0), "all are back");
        assert!(!ended.load(Ordering::SeqCst));
    }
}

/// A store that is gone does not hold up the end for longer than agreed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_store_does_not_hold_up_the_end() {
    let bench = Bench::memory();
    let troubled = Troubled::new(Arc::clone(&bench.jobs));
    bench.push(&["a"]).await;
    let told = Told::after(millis(100));
    let workers = Workers::start(troubled.clone(), "p", vec![narrow()], told.clone());
    told.saw(1).await;
    troubled.all(Some(Trouble::Fails));
    let began = Instant::now();
    let drained = workers.drain(millis(500)).await;
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
    let finished = Drained {
        finished: 1,
        ..Drained::default()
    };
    assert_eq!(drained, finished);
    assert_eq!(bench.depth().await.claimed, 1, "left to its lease");
}
