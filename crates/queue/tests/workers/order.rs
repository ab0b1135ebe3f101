//! What comes first, how soon, and who waits for whom.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crmgate_queue::{QueueSpec, Workers};
use crmgate_store::{NewJob, Verdict};
use crmgate_testkit::Redis;
use tokio::sync::mpsc::unbounded_channel;

use crate::support::{Bench, QUEUE, Told, millis, spec, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_highest_priority_and_then_the_oldest_come_first() {
    for bench in Bench::all().await {
        let mut jobs: Vec<NewJob> = (0..20).map(|n| bench.job(&format!("low-{n:02}"))).collect();
        for job in jobs.iter_mut().skip(1) {
            job.due = bench.job("").due;
        }
        jobs.extend((0..3).map(|n| NewJob {
            priority: 10,
            ..bench.job(&format!("high-{n}"))
        }));
        bench.jobs.push(jobs).await.unwrap();
        let told = Told::after(Duration::ZERO);
        let one = QueueSpec {
            concurrency: 1,
            batch: 3,
            ..spec(QUEUE)
        };
        let workers = Workers::start(Arc::clone(&bench.jobs), "p", vec![one], told.clone());
        told.saw(23).await;
        let seen = told.seen();
        assert_eq!(seen[..3], ["high-0", "high-1", "high-2"]);
        let low: Vec<String> = (0..20).map(|n| format!("low-{n:02}")).collect();
        assert_eq!(seen[3..], low);
        workers.drain(millis(500)).await;
    }
}

/// Sixteen idle workers: none of them may fall asleep for good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_workers_stay_awake() {
    for bench in Bench::all().await {
        let told = Told::after(Duration::ZERO);
        let queues: Vec<String> = (0..16).map(|n| format!("operations/idle-{n}")).collect();
        let specs = queues.iter().map(|queue| spec(queue)).collect();
        let workers = Workers::start(Arc::clone(&bench.jobs), "p", specs, told.clone());
        tokio::time::sleep(millis(700)).await;
        for round in 0..2 {
            let jobs = queues.iter().map(|queue| NewJob {
                queue: queue.clone(),
                ..bench.job(&format!("{queue}-{round}"))
            });
            let began = Instant::now();
            bench.jobs.push(jobs.collect()).await.unwrap();
            told.saw(16 * (round + 1)).await;
            assert!(began.elapsed() < millis(1_000), "{:?}", began.elapsed());
        }
        workers.drain(millis(500)).await;
    }
}

/// A wake-up does not wait for the next look.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_wakes_at_once() {
    for bench in Bench::all().await {
        let (started, mut starts) = unbounded_channel();
        let told = Told::new(move |_| {
            started.send(Instant::now()).unwrap();
            async { Verdict::Done }
        });
        let slow = QueueSpec {
            poll: Duration::from_secs(30),
            ..spec(QUEUE)
        };
        let workers = Workers::start(Arc::clone(&bench.jobs), "p", vec![slow], told);
        tokio::time::sleep(millis(300)).await;
        let mut waits = Vec::new();
        for n in 0..40 {
            tokio::time::sleep(millis(5)).await;
            let began = Instant::now();
            bench.push(&[&format!("job-{n}")]).await;
            let start = starts.recv().await.unwrap();
            waits.push(start.saturating_duration_since(began));
        }
        waits.sort();
        assert!(waits[20] < millis(100), "half of them: {:?}", waits[20]);
        workers.drain(millis(500)).await;
    }
}

/// What is to be looked at again comes back in its time, without a look in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delayed_job_comes_in_its_time() {
    let Some(server) = Redis::shared() else {
        return;
    };
    let bench = Bench::redis(server);
    let began = Instant::now();
    let looked = Arc::new(AtomicBool::new(false));
    let told = Told::new(move |_| {
        let again = !looked.swap(true, Ordering::SeqCst);
        async move {
            if again {
                return Verdict::Again(millis(400));
            }
            Verdict::Done
        }
    });
    let slow = QueueSpec {
        poll: Duration::from_secs(30),
        ..spec(QUEUE)
    };
    let workers = Workers::start(Arc::clone(&bench.jobs), "p", vec![slow], told.clone());
    bench.push(&["again"]).await;
    told.saw(2).await;
    let took = began.elapsed();
    assert!(
        took >= millis(400) && took < Duration::from_secs(10),
        "{took:?}"
    );
    workers.drain(millis(500)).await;
}

/// One queue is full of slow jobs; another one's do not wait for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queues_do_not_wait_for_each_other() {
    for bench in Bench::all().await {
        bench.push_many(1_000).await;
        let told = Told::new(|job| async move {
            if &*job.queue == QUEUE {
                tokio::time::sleep(millis(300)).await;
            }
            Verdict::Done
        });
        let specs = vec![spec(QUEUE), spec("operations/other")];
        let workers = Workers::start(Arc::clone(&bench.jobs), "p", specs, told.clone());
        told.saw(4).await;
        let began = Instant::now();
        let other = NewJob {
            queue: "operations/other".to_owned(),
            ..bench.job("quick")
        };
        bench.jobs.push(vec![other]).await.unwrap();
        until("the other queue's job is seen", async || {
            told.seen().iter().any(|id| id == "quick")
        })
        .await;
        assert!(began.elapsed() < millis(200), "{:?}", began.elapsed());
        workers.drain(Duration::ZERO).await;
    }
}

/// More than Redis' scripts could once unpack.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_is_worked_off() {
    let Some(server) = Redis::start() else {
        return;
    };
    let bench = Bench::redis(&server);
    bench.push_many(12_000).await;
    assert_eq!(bench.depth().await.due, 12_000);
    let told = Told::after(Duration::ZERO);
    let wide = QueueSpec {
        concurrency: 64,
        batch: 100,
        ..spec(QUEUE)
    };
    let workers = Workers::start(Arc::clone(&bench.jobs), "p", vec![wide], told.clone());
    bench.emptied().await;
    assert_eq!(told.times().len(), 12_000);
    assert_eq!(told.seen().len(), 12_000, "each once");
    workers.drain(millis(500)).await;
}

/// A hundred thousand jobs cost a claim no more than a thousand do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_cost_the_same_at_any_depth() {
    let Some(server) = Redis::start() else {
        return;
    };
    let (shallow, deep) = (Bench::redis(&server), Bench::redis(&server));
    shallow.push_many(1_000).await;
    for part in 0..10 {
        let jobs = (0..10_000).map(|n| deep.job(&format!("job-{part}-{n}")));
        deep.jobs.push(jobs.collect()).await.unwrap();
    }
    assert_eq!(deep.depth().await.due, 100_000);
    let mut took = Vec::new();
    for bench in [&shallow, &deep] {
        let began = Instant::now();
        for _ in 0..100 {
            let claimed = bench.jobs.claim(QUEUE, "w", 10, Duration::from_secs(60));
            assert_eq!(claimed.await.unwrap().len(), 10);
        }
        took.push(began.elapsed());
    }
    assert!(took[1] < took[0] * 4, "{took:?}");
}
