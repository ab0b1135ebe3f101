//! What goes wrong.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::dice::Dice;
use crate::fleet::Fleet;
use crate::site::{Form, Site};

/// Longer than a lease.
const PAUSE: Duration = Duration::from_millis(2600);
/// How long a process has to come to the point at which it shall die.
const REACH: Duration = Duration::from_secs(4);

/// What was done to the processes.
#[derive(Default)]
pub(crate) struct Toll {
    pub(crate) at_points: BTreeMap<String, usize>,
    pub(crate) at_random: usize,
    pub(crate) pauses: usize,
    pub(crate) stops: usize,
    pub(crate) servers: usize,
}

impl Toll {
    /// Processes that were killed.
    pub(crate) fn kills(&self) -> usize {
        self.at_random + self.at_points.values().sum::<usize>()
    }
}

/// The points at which a process of this form can die.
pub(crate) fn points(form: Form) -> Vec<String> {
    let mut points = crmgate_worker::stages::kill_points();
    // What is relayed goes to a queue elsewhere.
    points.retain(|point| form == Form::Shared || !point.starts_with("queue.relay"));
    points
}

/// Kills, pauses and restarts until there were so many kills.
pub(crate) async fn reign(site: &Site, fleet: &mut Fleet, mut dice: Dice, kills: usize) -> Toll {
    let mut points = points(site.form);
    let from = dice.below(points.len());
    points.rotate_left(from);
    let mut points = VecDeque::from(points);
    let mut toll = Toll::default();
    while toll.kills() < kills {
        sleep(Duration::from_millis(dice.between(50, 600))).await;
        let victim = dice.below(fleet.processes.len());
        match dice.below(8) {
            0 => pause(fleet, victim, &mut toll).await,
            1 => stop(fleet, victim, &mut toll).await,
            2 if site.form == Form::Shared => fell_server(site, &mut dice, &mut toll).await,
            2..=4 => {
                fleet.processes[victim].kill();
                fleet.processes[victim].start(None);
                toll.at_random += 1;
            }
            _ => {
                // What was not reached comes again sooner than what was.
                let point = points.pop_front().unwrap();
                let at_gates = ["queue.stage", "queue.accept", "queue.vote"];
                let victim = match site.gates.len() {
                    gates if at_gates.iter().any(|one| point.starts_with(one)) => victim % gates,
                    _ => victim,
                };
                let there = die_at((site, fleet), victim, &point, &mut toll).await;
                let place = if there {
                    points.len()
                } else {
                    points.len() / 2
                };
                points.insert(place, point);
            }
        }
    }
    toll
}

async fn pause(fleet: &Fleet, victim: usize, toll: &mut Toll) {
    fleet.processes[victim].pause();
    sleep(PAUSE).await;
    fleet.processes[victim].resume();
    toll.pauses += 1;
}

/// As a rolling restart does it: told, and killed only when it does not go.
async fn stop(fleet: &mut Fleet, victim: usize, toll: &mut Toll) {
    let process = &mut fleet.processes[victim];
    process.stop();
    let until = Instant::now() + Duration::from_secs(15);
    while !process.ended() {
        assert!(
            Instant::now() < until,
            "{} does not stop:\n{}",
            process.name,
            process.said()
        );
        sleep(Duration::from_millis(20)).await;
    }
    process.start(None);
    toll.stops += 1;
}

/// Whether it died there.
async fn die_at(
    (site, fleet): (&Site, &mut Fleet),
    victim: usize,
    point: &str,
    toll: &mut Toll,
) -> bool {
    let process = &mut fleet.processes[victim];
    process.kill();
    toll.at_random += 1;
    process.start(Some(point));
    let began = Instant::now();
    while began.elapsed() < REACH {
        if process.ended() {
            let there = process.aborted();
            if there {
                *toll.at_points.entry(point.to_owned()).or_default() += 1;
            }
            process.start(None);
            return there;
        }
        // Work is handed back where the CRM has no time for it.
        if point.starts_with("queue.hand_back") {
            for crm in &site.crms {
                crm.faults(
                    &site.client,
                    &json!([{"kind": "status", "status": 429, "retry_after": 1, "times": 2}]),
                )
                .await;
            }
        }
        sleep(Duration::from_millis(20)).await;
    }
    // Not reached: it must not die there when all is counted.
    process.kill();
    toll.at_random += 1;
    process.start(None);
    false
}

async fn fell_server(site: &Site, dice: &mut Dice, toll: &mut Toll) {
    let Some((postgres, redis)) = &site.servers else {
        return;
    };
    let gone = Duration::from_millis(dice.between(50, 700));
    toll.servers += 1;
    if dice.one_in(2) {
        postgres.kill();
        sleep(gone).await;
        postgres.restart();
    } else {
        redis.kill();
        sleep(gone).await;
        redis.restart();
    }
}

/// Makes the CRMs ill-tempered for as long as it is let.
pub(crate) async fn weather(site: &Site, mut dice: Dice) {
    loop {
        for crm in &site.crms {
            let faults: Vec<Value> = (0..dice.between(1, 3)).map(|_| fault(&mut dice)).collect();
            crm.faults(&site.client, &json!(faults)).await;
        }
        sleep(Duration::from_millis(dice.between(300, 900))).await;
    }
}

fn fault(dice: &mut Dice) -> Value {
    let method = *dice.pick(&["POST", "PATCH", "DELETE"]);
    let mut fault = match dice.below(7) {
        0 | 1 => json!({"kind": "drop_after_commit"}),
        2 => json!({"kind": "drop_before_commit"}),
        3 => json!({"kind": "status", "status": 429, "retry_after": 1}),
        4 => json!({"kind": "status", "status": 503}),
        5 => json!({"kind": "lock_row"}),
        _ => json!({"kind": "delay", "millis": dice.between(50, 900)}),
    };
    fault["method"] = json!(method);
    fault["times"] = json!(dice.between(1, 2));
    let path = if dice.one_in(2) {
        "/api/data"
    } else {
        "/services/data"
    };
    fault["path"] = json!(path);
    fault
}
