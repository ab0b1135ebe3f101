//! Handlers and leases that go wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crmgate_queue::{QueueSpec, Workers};
use crmgate_store::{NewJob, Settlement, Verdict};
use tokio::sync::mpsc::unbounded_channel;

use crate::support::{Bench, QUEUE, Told, Trouble, Troubled, millis, spec, until};

/// Two processes, more claimed at once than can run, leases shorter than what all of it takes: in
/// stock apalis every job ran twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_that_wait_their_turn_keep_their_leases() {
    for bench in Bench::all().await {
        bench.push(&["a", "b", "c", "d", "e"]).await;
        let told = Told::after(millis(300));
        let narrow = || QueueSpec {
            concurrency: 1,
            batch: 10,
            lease: millis(400),
            ..spec(QUEUE)
        };
        let start = |process| {
            let jobs = Arc::clone(&bench.jobs);
            Workers::start(jobs, process, vec![narrow()], told.clone())
        };
        let workers = [start("one"), start("two")];
        bench.emptied().await;
        assert_eq!(told.seen().len(), 5, "{:?}", told.seen());
        for workers in workers {
            workers.drain(millis(500)).await;
        }
    }
}

/// Slow jobs are not claimed ahead of what one process can do while another one has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_jobs_are_left_to_others() {
    for bench in Bench::all().await {
        bench.push(&["a", "b", "c", "d"]).await;
        let told = Told::after(millis(300));
        let narrow = || QueueSpec {
            concurrency: 2,
            batch: 10,
            ..spec(QUEUE)
        };
        let start = |process| {
            let jobs = Arc::clone(&bench.jobs);
            Workers::start(jobs, process, vec![narrow()], told.clone())
        };
        let workers = [start("one"), start("two")];
        told.saw(4).await;
        assert_eq!(bench.depth().await.claimed, 4);
        let began = Instant::now();
        bench.emptied().await;
        assert!(began.elapsed() < millis(550), "{:?}", began.elapsed());
        for workers in workers {
            workers.drain(millis(500)).await;
        }
    }
}

/// A handler that never yields keeps its lease, and others go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_blocks_its_thread_stops_nobody() {
    for bench in Bench::all().await {
        bench.push(&["blocks"]).await;
        let told = Told::new(|job| async move {
            if job.id == "blocks" {
                std::thread::sleep(millis(900));
            }
            Verdict::Done
        });
        let short = QueueSpec {
            lease: millis(300),
            ..spec(QUEUE)
        };
        let workers = Workers::start(Arc::clone(&bench.jobs), "p", vec![short], told.clone());
        told.saw(1).await;
        let began = Instant::now();
        bench.push(&["x", "y", "z"]).await;
        told.saw(4).await;
        assert!(began.elapsed() < millis(600), "{:?}", began.elapsed());
        bench.emptied().await;
        assert_eq!(told.seen().len(), 4, "{:?}", told.seen());
        workers.drain(millis(500)).await;
    }
}

/// A handler that panics has failed: it is tried again, and dead after its last try.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_is_a_failed_try() {
    for bench in Bench::all().await {
        let once = NewJob {
            most_attempts: 2,
            ..bench.job("panics")
        };
        bench.jobs.push(vec![once]).await.unwrap();
        bench.push(&["a", "b"]).await;
        let told = Told::new(|job| async move {
            assert!(job.id != "panics", "a handler's fault");
            Verdict::Done
        });
        let workers = Workers::start(
            Arc::clone(&bench.jobs),
            "p",
            vec![spec(QUEUE)],
            told.clone(),
        );
        until("it is dead", async || bench.depth().await.dead == 1).await;
        let dead = bench.jobs.dead(QUEUE, 1).await.unwrap();
        assert_eq!(dead[0].attempts, 2);
        assert!(
            dead[0].reason.contains("a handler's fault"),
            "{}",
            dead[0].reason
        );
        assert_eq!(told.times()["panics"], 2);
        bench.push(&["c"]).await;
        bench.emptied().await;
        assert_eq!(told.times()["c"], 1, "the worker lives");
        workers.drain(millis(500)).await;
    }
}

/// A job whose process dies each time ends; whoever finds it is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_loses_its_lease_each_time_is_dead() {
    for bench in Bench::all().await {
        bench.push(&["poison"]).await;
        for _ in 0..2 {
            let claimed = bench
                .jobs
                .claim(QUEUE, "gone", 1, millis(30))
                .await
                .unwrap();
            assert_eq!(claimed.len(), 1);
            tokio::time::sleep(millis(60)).await;
            bench.jobs.reap(QUEUE, 10).await.unwrap();
        }
        let claimed = bench
            .jobs
            .claim(QUEUE, "gone", 1, millis(30))
            .await
            .unwrap();
        assert_eq!(claimed[0].attempts, 2);
        let told = Told::after(Duration::ZERO);
        let short = QueueSpec {
            lease: millis(300),
            ..spec(QUEUE)
        };
        let workers = Workers::start(Arc::clone(&bench.jobs), "p", vec![short], told.clone());
        until("it is told dead", async || told.died() == ["poison"]).await;
        assert_eq!(told.seen(), Vec::<String>::new());
        workers.drain(millis(500)).await;
    }
}

/// How many of four jobs over which processes broke off are looked at at once, and in which order
/// these and eight others are.
async fn suspects(bench: &Bench, suspect_after: Option<u32>) -> (usize, Vec<String>) {
    bench.push(&["s1", "s2", "s3", "s4"]).await;
    for _ in 0..2 {
        let claimed = bench.jobs.claim(QUEUE, "gone", 9, millis(30)).await;
        assert_eq!(claimed.unwrap().len(), 4);
        tokio::time::sleep(millis(60)).await;
        bench.jobs.reap(QUEUE, 10).await.unwrap();
    }
    let fresh: Vec<String> = (0..8).map(|n| format!("fresh {n}")).collect();
    let fresh: Vec<&str> = fresh.iter().map(String::as_str).collect();
    bench.push(&fresh).await;
    let (running, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let (now, seen) = (Arc::clone(&running), Arc::clone(&most));
    let told = Told::new(move |job| {
        let (now, seen) = (Arc::clone(&now), Arc::clone(&seen));
        async move {
            if job.id.starts_with('s') {
                seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(millis(200)).await;
                now.fetch_sub(1, Ordering::SeqCst);
            }
            Verdict::Done
        }
    });
    let spec = QueueSpec {
        suspect_after,
        ..spec(QUEUE)
    };
    let workers = Workers::start(Arc::clone(&bench.jobs), "p", vec![spec], told.clone());
    bench.emptied().await;
    workers.drain(millis(500)).await;
    (most.load(Ordering::SeqCst), told.seen())
}

/// Jobs over which processes broke off are looked at one at a time, and hold up no others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suspects_go_one_at_a_time() {
    for bench in Bench::all().await {
        let (at_once, seen) = suspects(&bench, Some(2)).await;
        assert_eq!((at_once, seen.len()), (1, 12), "{seen:?}");
        let last_fresh = seen.iter().rposition(|id| id.starts_with('f'));
        assert!(last_fresh < Some(10), "{seen:?}");
    }
    let (at_once, seen) = suspects(&Bench::memory(), None).await;
    assert_eq!((at_once, seen.len()), (4, 12), "a queue may have none");
}

/// A process whose leases are not renewed: another one takes over, the first one is told, and what
/// it says does not count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_lost_a_lease_is_told_and_settles_nothing() {
    for bench in Bench::all().await {
        let troubled = Troubled::new(Arc::clone(&bench.jobs));
        let (lost, mut losses) = unbounded_channel();
        let paused = Told::new(move |job| {
            let lost = lost.clone();
            async move {
                job.lost.cancelled().await;
                lost.send(Instant::now()).unwrap();
                Verdict::Dead("nobody must see this".to_owned())
            }
        });
        let short = || QueueSpec {
            lease: millis(300),
            ..spec(QUEUE)
        };
        let first = Workers::start(troubled.clone(), "first", vec![short()], paused.clone());
        bench.push(&["a"]).await;
        paused.saw(1).await;
        let began = Instant::now();
        troubled.all(Some(Trouble::Fails));
        let told = Told::after(millis(600));
        let second = Workers::start(
            Arc::clone(&bench.jobs),
            "second",
            vec![short()],
            told.clone(),
        );
        losses.recv().await.unwrap();
        assert!(began.elapsed() < millis(1_000));
        told.saw(1).await;
        // The first one can say now what it has to say.
        troubled.all(None);
        bench.emptied().await;
        assert_eq!(bench.depth().await.dead, 0);
        first.drain(millis(500)).await;
        second.drain(millis(500)).await;
    }
}

/// Running handlers go on while the store fails or panics; what they said is stored once it can be,
/// and each job is looked at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_in_trouble_ends_no_worker() {
    for bench in Bench::all().await {
        for trouble in [Trouble::Fails, Trouble::Panics] {
            let troubled = Troubled::new(Arc::clone(&bench.jobs));
            let told = Told::after(millis(150));
            let workers = Workers::start(troubled.clone(), "p", vec![spec(QUEUE)], told.clone());
            bench.push(&["a", "b", "c", "d", "e", "f"]).await;
            told.saw(4).await;
            troubled.all(Some(trouble));
            tokio::time::sleep(millis(350)).await;
            assert_eq!(told.seen().len(), 4);
            troubled.all(None);
            bench.emptied().await;
            assert_eq!(told.seen().len(), 6, "{:?}", told.seen());
            workers.drain(millis(500)).await;
        }
    }
}

/// A handler that says more than once, by its worker's end and its own, is heard once; and many
/// jobs at once are settled in few calls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_job_is_settled_once() {
    for bench in Bench::all().await {
        let running = Arc::new(AtomicUsize::new(0));
        let over = Arc::new(AtomicBool::new(false));
        let (count, broken) = (Arc::clone(&running), Arc::clone(&over));
        let told = Told::new(move |_| {
            let (count, broken) = (Arc::clone(&count), Arc::clone(&broken));
            async move {
                if count.fetch_add(1, Ordering::SeqCst) >= 4 {
                    broken.store(true, Ordering::SeqCst);
                }
                tokio::task::yield_now().await;
                count.fetch_sub(1, Ordering::SeqCst);
                Verdict::Done
            }
        });
        bench.push_many(300).await;
        let workers = Workers::start(
            Arc::clone(&bench.jobs),
            "p",
            vec![spec(QUEUE)],
            told.clone(),
        );
        bench.emptied().await;
        assert_eq!(told.seen().len(), 300);
        assert!(!over.load(Ordering::SeqCst), "more at once than allowed");
        workers.drain(millis(500)).await;
        let late = Settlement {
            id: "job-000000".to_owned(),
            lease: 1,
            verdict: Verdict::Done,
        };
        let lost = bench.jobs.settle(QUEUE, vec![late]).await.unwrap();
        assert_eq!(lost, ["job-000000"]);
    }
}
