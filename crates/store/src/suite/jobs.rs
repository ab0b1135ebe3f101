//! What queues of jobs must do.

use std::collections::BTreeMap;
use std::time::Duration;

use crmgate_domain::Timestamp;

use super::Clock;
use crate::{Claimed, Depth, Jobs, NewJob, Settlement, Verdict};

/// Long enough for a lease that must not run out in a test, on a machine that has much to do.
const LONG: Duration = Duration::from_secs(60);
/// A lease that runs out in a test.
const SHORT: Duration = Duration::from_millis(400);

const QUEUE: &str = "operations/acme";

fn job(id: &str, due: Timestamp) -> NewJob {
    NewJob {
        queue: QUEUE.to_owned(),
        id: id.to_owned(),
        due,
        priority: 0,
        most_attempts: 3,
    }
}

fn urgent(id: &str, due: Timestamp, priority: i16) -> NewJob {
    NewJob {
        priority,
        ..job(id, due)
    }
}

fn said(claimed: &Claimed, verdict: Verdict) -> Settlement {
    Settlement {
        id: claimed.id.clone(),
        lease: claimed.lease,
        verdict,
    }
}

async fn claim<J: Jobs>(jobs: &J, most: usize) -> Vec<Claimed> {
    jobs.claim(QUEUE, "suite", most, LONG).await.unwrap()
}

async fn names<J: Jobs>(jobs: &J, most: usize) -> Vec<String> {
    let claimed = claim(jobs, most).await.into_iter();
    claimed.map(|claimed| claimed.id).collect()
}

async fn one<J: Jobs>(jobs: &J) -> Claimed {
    claim(jobs, 1)
        .await
        .pop()
        .expect("a job that can be claimed")
}

async fn settle<J: Jobs>(jobs: &J, claimed: &Claimed, verdict: Verdict) {
    let lost = jobs.settle(QUEUE, vec![said(claimed, verdict)]).await;
    assert_eq!(lost.unwrap(), Vec::<String>::new());
}

async fn depth<J: Jobs>(jobs: &J) -> (u64, u64, u64, u64) {
    let depth = jobs.depth(QUEUE).await.unwrap();
    (depth.due, depth.delayed, depth.claimed, depth.dead)
}

pub(super) async fn the_order_is_kept<J: Jobs>(jobs: &J, clock: &impl Clock) {
    let now = clock.now();
    let before = |millis| now - Duration::from_millis(millis);
    let pushed = vec![
        job("c", before(10)),
        job("b", before(20)),
        job("a", before(20)),
        urgent("first", before(1), 5),
        urgent("last", before(500), -5),
        job("d", before(10)),
    ];
    assert_eq!(jobs.push(pushed).await.unwrap(), 6);
    assert_eq!(names(jobs, 4).await, ["first", "b", "a", "c"]);
    assert_eq!(names(jobs, 4).await, ["d", "last"]);
    assert_eq!(names(jobs, 4).await, Vec::<String>::new());
}

pub(super) async fn what_is_there_is_not_pushed_twice<J: Jobs>(jobs: &J, clock: &impl Clock) {
    let now = clock.now();
    let later = now + LONG;
    let pushed = vec![job("a", now), job("b", later), urgent("c", now, -3)];
    assert_eq!(jobs.push(pushed).await.unwrap(), 3);
    let pushed = vec![
        job("a", later),
        job("b", now),
        urgent("c", now, 3),
        job("d", now),
    ];
    assert_eq!(jobs.push(pushed).await.unwrap(), 1);
    let mut found = names(jobs, 9).await;
    assert_eq!(
        found.first().map(String::as_str),
        Some("c"),
        "the higher priority holds"
    );
    found.sort();
    assert_eq!(found, ["a", "b", "c", "d"], "the earlier time holds");
}

pub(super) async fn nothing_comes_before_its_time<J: Jobs>(jobs: &J, clock: &impl Clock) {
    let soon = clock.now() + Duration::from_millis(900);
    jobs.push(vec![job("soon", soon), job("late", clock.now() + LONG)])
        .await
        .unwrap();
    assert_eq!(names(jobs, 9).await, Vec::<String>::new());
    assert_eq!(depth(jobs).await, (0, 2, 0, 0));
    clock.pass(Duration::from_millis(1_000)).await;
    let told = jobs.depth(QUEUE).await.unwrap();
    assert_eq!((told.due, told.delayed), (1, 1));
    let since = told
        .oldest_due
        .expect("the oldest due one")
        .as_millisecond();
    assert_eq!(since, soon.as_millisecond());
    assert_eq!(names(jobs, 9).await, ["soon"]);
}

pub(super) async fn leases_run_out_and_are_counted<J: Jobs>(jobs: &J, clock: &impl Clock) {
    jobs.push(vec![job("poison", clock.now())]).await.unwrap();
    let mut leases = Vec::new();
    for attempts in 0..3 {
        let claimed = jobs.claim(QUEUE, "gone", 9, SHORT).await.unwrap();
        assert_eq!(claimed.len(), 1);
        assert_eq!(
            (claimed[0].attempts, claimed[0].most_attempts),
            (attempts, 3)
        );
        leases.push(claimed[0].lease);
        assert_eq!(jobs.reap(QUEUE, 9).await.unwrap(), crate::Reaped::default());
        assert_eq!(names(jobs, 9).await, Vec::<String>::new(), "it is claimed");
        clock.pass(SHORT * 2).await;
        let reaped = jobs.reap(QUEUE, 9).await.unwrap();
        if attempts < 2 {
            assert_eq!((reaped.returned, reaped.dead.len()), (1, 0));
        } else {
            assert_eq!(
                (reaped.returned, reaped.dead),
                (0, vec!["poison".to_owned()])
            );
        }
    }
    leases.dedup();
    assert_eq!(leases.len(), 3, "every lease has another number");
    assert_eq!(depth(jobs).await, (0, 0, 0, 1));
    let dead = jobs.dead(QUEUE, 9).await.unwrap();
    assert_eq!((dead[0].id.as_str(), dead[0].attempts), ("poison", 3));
    assert!(!dead[0].reason.is_empty());
    // What nobody takes away stays dead; what was taken away is new.
    assert_eq!(
        jobs.push(vec![job("poison", clock.now())]).await.unwrap(),
        0
    );
    assert_eq!(names(jobs, 9).await, Vec::<String>::new());
    assert_eq!(jobs.remove(QUEUE, &["poison".to_owned()]).await.unwrap(), 1);
    assert_eq!(
        jobs.push(vec![job("poison", clock.now())]).await.unwrap(),
        1
    );
    assert_eq!(one(jobs).await.attempts, 0);
}

pub(super) async fn a_renewed_lease_lasts<J: Jobs>(jobs: &J, clock: &impl Clock) {
    let two = vec![job("kept", clock.now()), job("lost", clock.now())];
    jobs.push(two).await.unwrap();
    let lease = SHORT * 4;
    let claimed = jobs.claim(QUEUE, "w", 9, lease).await.unwrap();
    let held: Vec<(String, u64)> = claimed.iter().map(|c| (c.id.clone(), c.lease)).collect();
    let kept: Vec<_> = held
        .iter()
        .filter(|(id, _)| id == "kept")
        .cloned()
        .collect();
    for _ in 0..3 {
        clock.pass(SHORT * 2).await;
        assert_eq!(
            jobs.renew(QUEUE, &kept, lease).await.unwrap(),
            Vec::<String>::new()
        );
    }
    assert_eq!(jobs.reap(QUEUE, 9).await.unwrap().returned, 1);
    assert_eq!(jobs.renew(QUEUE, &held, LONG).await.unwrap(), ["lost"]);
    assert_eq!(names(jobs, 9).await, ["lost"]);
}

pub(super) async fn a_lost_lease_settles_nothing<J: Jobs>(jobs: &J, clock: &impl Clock) {
    jobs.push(vec![job("a", clock.now())]).await.unwrap();
    let paused = jobs.claim(QUEUE, "paused", 1, SHORT).await.unwrap();
    clock.pass(SHORT * 2).await;
    jobs.reap(QUEUE, 9).await.unwrap();
    let other = one(jobs).await;
    assert_ne!(other.lease, paused[0].lease);
    for verdict in [
        Verdict::Done,
        Verdict::HandedBack,
        Verdict::Dead("no".into()),
    ] {
        let lost = jobs.settle(QUEUE, vec![said(&paused[0], verdict)]).await;
        assert_eq!(lost.unwrap(), ["a"]);
    }
    assert_eq!(depth(jobs).await, (0, 0, 1, 0));
    settle(jobs, &other, Verdict::Done).await;
    let again = jobs.settle(QUEUE, vec![said(&other, Verdict::Done)]).await;
    assert_eq!(again.unwrap(), ["a"], "it is settled once");
    assert_eq!(depth(jobs).await, (0, 0, 0, 0));
}

pub(super) async fn verdicts_do_what_they_say<J: Jobs>(jobs: &J, clock: &impl Clock) {
    let now = clock.now();
    jobs.push(vec![job("a", now)]).await.unwrap();
    settle(jobs, &one(jobs).await, Verdict::Again(Duration::ZERO)).await;
    let claimed = one(jobs).await;
    assert_eq!(claimed.attempts, 0, "looking again is no try");
    settle(jobs, &claimed, Verdict::Again(SHORT)).await;
    assert_eq!(depth(jobs).await, (0, 1, 0, 0));
    clock.pass(SHORT * 2).await;
    let failed = |after| Verdict::Failed(after, "broken".to_owned());
    settle(jobs, &one(jobs).await, failed(SHORT)).await;
    assert_eq!(depth(jobs).await, (0, 1, 0, 0));
    clock.pass(SHORT * 2).await;
    let claimed = one(jobs).await;
    assert_eq!(claimed.attempts, 1);
    settle(jobs, &claimed, failed(Duration::ZERO)).await;
    settle(jobs, &one(jobs).await, failed(SHORT)).await;
    let dead = jobs.dead(QUEUE, 9).await.unwrap();
    assert_eq!((dead[0].id.as_str(), dead[0].attempts), ("a", 3));
    assert_eq!(dead[0].reason, "broken");

    let earlier = now - Duration::from_millis(50);
    jobs.push(vec![job("b", earlier), job("c", now)])
        .await
        .unwrap();
    settle(jobs, &one(jobs).await, Verdict::HandedBack).await;
    let claimed = one(jobs).await;
    assert_eq!(
        (claimed.id.as_str(), claimed.attempts),
        ("b", 0),
        "it is where it was"
    );
    settle(jobs, &claimed, Verdict::Dead("hopeless".to_owned())).await;
    clock.pass(Duration::from_millis(5)).await;
    settle(jobs, &one(jobs).await, Verdict::Done).await;
    let dead = jobs.dead(QUEUE, 1).await.unwrap();
    assert_eq!(dead[0].reason, "hopeless", "the newest first");
    assert_eq!(depth(jobs).await, (0, 0, 0, 2));
}

pub(super) async fn what_is_pushed_meanwhile_counts<J: Jobs>(jobs: &J, clock: &impl Clock) {
    jobs.push(vec![job("a", clock.now())]).await.unwrap();
    let claimed = one(jobs).await;
    assert_eq!(jobs.push(vec![job("a", clock.now())]).await.unwrap(), 0);
    assert_eq!(names(jobs, 9).await, Vec::<String>::new(), "it is claimed");
    settle(jobs, &claimed, Verdict::Done).await;
    let claimed = one(jobs).await;
    assert_eq!(claimed.attempts, 0);
    jobs.push(vec![urgent("a", clock.now(), 7)]).await.unwrap();
    settle(jobs, &claimed, Verdict::Again(LONG)).await;
    jobs.push(vec![urgent("b", clock.now(), 5)]).await.unwrap();
    assert_eq!(
        names(jobs, 9).await,
        ["a", "b"],
        "its time and its priority"
    );
}

pub(super) async fn what_is_removed_is_gone<J: Jobs>(jobs: &J, clock: &impl Clock) {
    let now = clock.now();
    jobs.push(vec![urgent("claimed", now, 9)]).await.unwrap();
    let claimed = one(jobs).await;
    jobs.push(vec![
        job("due", now),
        job("delayed", now + LONG),
        job("stays", now),
    ])
    .await
    .unwrap();
    let ids = ["due", "delayed", "claimed", "absent"].map(str::to_owned);
    assert_eq!(jobs.remove(QUEUE, &ids).await.unwrap(), 3);
    assert_eq!(depth(jobs).await, (1, 0, 0, 0));
    let held = [(claimed.id.clone(), claimed.lease)];
    assert_eq!(jobs.renew(QUEUE, &held, LONG).await.unwrap(), ["claimed"]);
    let lost = jobs
        .settle(QUEUE, vec![said(&claimed, Verdict::HandedBack)])
        .await;
    assert_eq!(lost.unwrap(), ["claimed"]);
    assert_eq!(names(jobs, 9).await, ["stays"]);
}

pub(super) async fn queues_are_apart<J: Jobs>(jobs: &J, clock: &impl Clock) {
    let now = clock.now();
    let there = NewJob {
        queue: "operations/other".to_owned(),
        ..job("a", now)
    };
    assert_eq!(jobs.push(vec![job("a", now), there]).await.unwrap(), 2);
    let claimed = one(jobs).await;
    let depths: BTreeMap<String, Depth> = jobs.depths().await.unwrap();
    let told = |queue: &str| depths.get(queue).map(|depth| (depth.due, depth.claimed));
    assert_eq!(told(QUEUE), Some((0, 1)));
    assert_eq!(told("operations/other"), Some((1, 0)));
    let wrong = jobs.settle("operations/other", vec![said(&claimed, Verdict::Done)]);
    assert_eq!(wrong.await.unwrap(), ["a"]);
    settle(jobs, &claimed, Verdict::Done).await;
}

pub(super) async fn many_come_in_any_batches<J: Jobs>(jobs: &J, clock: &impl Clock) {
    let now = clock.now();
    let wanted: Vec<String> = (0..1_200).map(|n| format!("job-{n:04}")).collect();
    let all: Vec<NewJob> = wanted.iter().map(|id| job(id, now)).collect();
    assert_eq!(jobs.push(all).await.unwrap(), 1_200);
    let mut found = Vec::new();
    loop {
        let claimed = claim(jobs, 500).await;
        if claimed.is_empty() {
            break;
        }
        assert!(claimed.len() <= 500, "no more than was asked for");
        found.extend(claimed.iter().map(|claimed| claimed.id.clone()));
        let done = claimed.iter().map(|claimed| said(claimed, Verdict::Done));
        assert!(jobs.settle(QUEUE, done.collect()).await.unwrap().is_empty());
    }
    assert_eq!(found, wanted, "in the order in which they came");
    assert_eq!(jobs.depth(QUEUE).await.unwrap(), Depth::default());
}
