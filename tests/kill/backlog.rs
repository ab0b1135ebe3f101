//! A large backlog: submitted as one file, worked off by one process that was told of it only when
//! it started.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use crmgate_domain::Timestamp;
use tokio::time::sleep;

use crate::client::{Ask, get, send};
use crate::fleet::Fleet;
use crate::site::{Form, Site};

/// What memory, start-up and rate are held against.
const FEW: usize = 1_000;
/// Longest time without anything new at the CRMs.
const STILL: Duration = Duration::from_secs(60);
/// How often a start is timed; the quickest counts, for machines are busy with other things, too.
const STARTS: usize = 3;

/// One process and its numbers.
struct Gate {
    site: Site,
    fleet: Fleet,
}

/// How a backlog was worked off.
struct Worked {
    /// The most memory, in KiB, of the process that did it.
    memory: u64,
    /// When each operation happened at its CRM.
    at: Vec<Timestamp>,
}

impl Gate {
    async fn new() -> Self {
        let site = Site::new(Form::Alone).await.unwrap();
        let fleet = Fleet::new(Form::Alone, site.dir.path());
        Self { site, fleet }
    }

    /// Whether the process works on what is queued, from its next start on.
    fn works(&self, works: bool) {
        let path = self.site.dir.path().join("gate.toml");
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with("in_serve"));
        let lines: Vec<&str> = lines.collect();
        let switched = format!("[worker]\nin_serve = {works}");
        fs::write(&path, lines.join("\n").replace("[worker]", &switched)).unwrap();
    }

    /// Starts the process anew, as after a power cut: how long until it serves.
    async fn start(&mut self) -> Duration {
        self.fleet.processes[0].kill();
        let began = Instant::now();
        self.fleet.processes[0].start(None);
        let url = format!("{}/readyz", self.site.gates[0]);
        while !matches!(send(&self.site.client, "GET", &url, Ask::default()).await, Ok(answer) if answer.status == 200)
        {
            let said = self.fleet.said();
            assert!(began.elapsed() < STILL, "it does not start:\n{said}");
            sleep(Duration::from_millis(5)).await;
        }
        began.elapsed()
    }

    /// The quickest of a few starts.
    async fn started_in(&mut self) -> Duration {
        let mut best = self.start().await;
        for _ in 1..STARTS {
            best = best.min(self.start().await);
        }
        best
    }

    /// Submits creates to both CRMs by the command that people use: how long that took.
    fn submit(&self, name: &str, count: usize) -> Duration {
        let mut lines = String::new();
        for number in 0..count {
            let connection = self.site.crms[number % 2].connection;
            let operation = format!(
                r#"{{"kind":"create","object":"contact","record":{{"last_name":"{name} {number}","description":"plain"}}}}"#
            );
            writeln!(
                lines,
                r#"{{"connection":"{connection}","client_id":"{name}-{number}","operation":{operation}}}"#
            )
            .unwrap();
        }
        let file = self.site.dir.path().join(format!("{name}.ndjson"));
        fs::write(&file, lines).unwrap();
        let began = Instant::now();
        let (taken, said) = self
            .site
            .crmgate(&["ops", "submit", file.to_str().unwrap()]);
        assert!(taken, "{said}");
        began.elapsed()
    }

    /// Waits until so many things happened at the CRMs after these numbers.
    async fn work_off(&self, count: usize, seen: &mut [u64; 2]) -> Worked {
        let (mut at, mut last) = (Vec::with_capacity(count), Instant::now());
        while at.len() < count {
            if last.elapsed() > STILL {
                let path = "/v1/operations?limit=1";
                let newest = get(&self.site.client, &self.site.gates, &self.site.admin, path).await;
                let said = self.fleet.said();
                panic!("stuck at {} of {count}: {newest}\n{said}", at.len());
            }
            for (crm, seen) in self.site.crms.iter().zip(seen.iter_mut()) {
                let new = crm.effects(&self.site.client, *seen).await;
                for effect in &new {
                    *seen = effect["seq"].as_u64().unwrap();
                    at.push(effect["at"].as_str().unwrap().parse().unwrap());
                    last = Instant::now();
                }
            }
            sleep(Duration::from_millis(200)).await;
        }
        assert_eq!(at.len(), count, "more happened than was asked for");
        at.sort_unstable();
        let path = "/v1/operations?limit=1&state=received,deciding,permitted,writing";
        let until = Instant::now() + STILL;
        loop {
            let open = get(&self.site.client, &self.site.gates, &self.site.admin, path).await;
            if open["items"].as_array().unwrap().is_empty() {
                break;
            }
            assert!(Instant::now() < until, "stuck: {open}");
            sleep(Duration::from_millis(100)).await;
        }
        let memory = self.fleet.processes[0].most_memory();
        Worked { memory, at }
    }
}

/// So many a second.
fn rate(at: &[Timestamp]) -> f64 {
    let [first, .., last] = at else {
        panic!("too few to tell a rate");
    };
    let took = Duration::try_from(last.duration_since(*first)).unwrap();
    f64::from(u32::try_from(at.len()).unwrap()) / took.as_secs_f64()
}

fn mebibytes(kibibytes: u64) -> f64 {
    f64::from(u32::try_from(kibibytes).unwrap()) / 1024.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes many minutes: see the head of main.rs"]
async fn backlog() {
    let many = std::env::var("BACKLOG").map_or(100_000, |text| text.parse().expect("a number"));
    let mut gate = Gate::new().await;
    let mut seen = [0; 2];
    gate.works(false);
    let empty = gate.started_in().await;
    gate.submit("few", FEW);
    gate.works(true);
    gate.start().await;
    let few = gate.work_off(FEW, &mut seen).await;

    gate.works(false);
    gate.start().await;
    let idle = gate.fleet.processes[0].most_memory();
    let took = gate.submit("many", many);
    let submitting = gate.fleet.processes[0].most_memory();
    let full = gate.started_in().await;
    gate.works(true);
    gate.start().await;
    let worked = gate.work_off(many, &mut seen).await;
    let (first, last) = (
        rate(&worked.at[..many / 10]),
        rate(&worked.at[many - many / 10..]),
    );

    let [idle, submitting, few, worked] =
        [idle, submitting, few.memory, worked.memory].map(mebibytes);
    eprintln!("start-up: {empty:.2?} with nothing queued, {full:.2?} with {many}");
    eprintln!("submitted in {took:.1?}, {submitting:.0} MiB at most ({idle:.0} MiB before)");
    eprintln!("worked off: {first:.0} a second in the first tenth, {last:.0} in the last");
    eprintln!("most memory: {few:.0} MiB for {FEW}, {worked:.0} MiB for {many}");
    assert!(full < empty * 2 + Duration::from_secs(1), "start-up grows");
    assert!(submitting < idle + 64.0, "submitting takes memory");
    assert!(worked < few * 1.25 + 32.0, "a backlog takes memory");
    assert!(last > first / 2.0, "it slows down");
}
