//! Processes that die or are paused in the middle of a job.

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crmgate_queue::{QueueSpec, Workers};
use crmgate_store::{Jobs, NewJob, Verdict};
use crmgate_store_redis::{RedisStore, Settings};
use crmgate_testkit::Redis;

use crate::support::{QUEUE, Told, millis, spec, until};

/// Names the server to a process that this test binary starts of itself.
const URL: &str = "CRMGATE_TEST_QUEUE";

fn store(url: &str) -> Arc<RedisStore> {
    Arc::new(RedisStore::new(Settings::new(url.to_owned().into())))
}

fn short() -> QueueSpec {
    QueueSpec {
        lease: millis(400),
        suspect_after: Some(2),
        ..spec(QUEUE)
    }
}

fn job(id: &str) -> NewJob {
    NewJob {
        queue: QUEUE.to_owned(),
        id: id.to_owned(),
        due: crmgate_domain::Timestamp::now(),
        priority: 0,
        most_attempts: 3,
    }
}

/// Not a test of its own: what a started process does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process() {
    let Ok(url) = std::env::var(URL) else { return };
    let told = Told::new(|job| async move {
        println!("began {}", job.id);
        match job.id.as_str() {
            "poison" => std::process::abort(),
            "slow" => tokio::select! {
                () = job.lost.cancelled() => println!("lost {}", job.id),
                () = tokio::time::sleep(Duration::from_secs(30)) => println!("done {}", job.id),
            },
            good if good.starts_with("near") => tokio::time::sleep(millis(50)).await,
            _ => println!("done {}", job.id),
        }
        Verdict::Done
    });
    let _workers = Workers::start(store(&url), "child", vec![short()], told);
    std::future::pending::<()>().await;
}

struct Process {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(server: &Redis) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "processes::a_process", "--nocapture"])
            .env(URL, server.url())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, said }
    }

    /// Waits until it says this.
    fn says(&mut self, what: &str) {
        // The harness begins the line.
        let found = self.said.any(|line| line.unwrap().ends_with(what));
        assert!(found, "the process never said `{what}`");
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([name, &pid]).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A job that takes its process down with it is tried no more often than agreed, and holds up
/// nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poison_job_ends() {
    let Some(server) = Redis::start() else {
        return;
    };
    let jobs = store(&server.url());
    jobs.push(vec![job("poison")]).await.unwrap();
    for _ in 0..3 {
        let mut process = Process::start(&server);
        process.says("began poison");
        assert!(!process.child.wait().unwrap().success());
    }
    jobs.push(vec![job("good")]).await.unwrap();
    let told = Told::after(Duration::ZERO);
    let workers = Workers::start(jobs.clone(), "parent", vec![short()], told.clone());
    until("it is told dead", async || told.died() == ["poison"]).await;
    told.saw(1).await;
    assert_eq!(told.seen(), ["good"]);
    let dead = jobs.dead(QUEUE, 9).await.unwrap();
    assert_eq!((dead[0].id.as_str(), dead[0].attempts), ("poison", 3));
    workers.drain(millis(500)).await;
}

/// Jobs that are in hand whenever a poison job takes their process down outlive it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poison_job_takes_no_other_with_it() {
    let Some(server) = Redis::start() else {
        return;
    };
    let jobs = store(&server.url());
    let near = (0..12).map(|n| job(&format!("near {n}")));
    let all = std::iter::once(job("poison")).chain(near);
    jobs.push(all.collect()).await.unwrap();
    for _ in 0..3 {
        let mut process = Process::start(&server);
        process.says("began poison");
        assert!(!process.child.wait().unwrap().success());
    }
    let told = Told::after(Duration::ZERO);
    let workers = Workers::start(jobs.clone(), "parent", vec![short()], told.clone());
    until("nothing is left", async || {
        let depth = jobs.depth(QUEUE).await.unwrap();
        depth.due + depth.delayed + depth.claimed == 0
    })
    .await;
    assert_eq!(told.died(), ["poison"]);
    workers.drain(millis(500)).await;
}

/// A process that was paused finds out that its job is another one's now, and changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_process_finds_its_job_lost() {
    let Some(server) = Redis::start() else {
        return;
    };
    let jobs = store(&server.url());
    jobs.push(vec![job("slow")]).await.unwrap();
    let mut process = Process::start(&server);
    process.says("began slow");
    process.signal("-STOP");
    let told = Told::after(Duration::from_secs(60));
    let workers = Workers::start(jobs.clone(), "parent", vec![short()], told.clone());
    told.saw(1).await;
    process.signal("-CONT");
    process.says("lost slow");
    tokio::time::sleep(millis(300)).await;
    let depth = jobs.depth(QUEUE).await.unwrap();
    assert_eq!(
        (depth.claimed, depth.due),
        (1, 0),
        "it is still the other one's"
    );
    let drained = workers.drain(Duration::ZERO).await;
    assert_eq!(drained.cut, 1);
}
