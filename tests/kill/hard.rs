//! Single hard cases, each on real processes: an operation that kills whoever decides it, a record
//! that the CRM never answers, a process that sleeps over its lease in front of a write.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::client::{Ask, get, send};
use crate::fleet::Fleet;
use crate::site::{Form, Site};

/// How long something may take to come about.
const SOON: Duration = Duration::from_secs(40);
/// Longer than a lease of the harness.
const LEASE_OVER: Duration = Duration::from_millis(2800);
/// How long a process has to stop after an operation was accepted for later.
const LATER: Duration = Duration::from_millis(1500);
/// So often a worker may break off over one operation.
const TRIES: usize = 10;

/// A site with one record in Salesforce to write to for each name.
async fn site(form: Form, names: &[&str]) -> Option<(Site, Fleet, Vec<String>)> {
    let mut site = Site::new(form).await?;
    let mut fleet = Fleet::new(form, site.dir.path());
    fleet.processes[0].start(None);
    get(
        &site.client,
        &site.gates[..1],
        &site.admin,
        "/v1/operations?limit=1",
    )
    .await;
    site.make_tokens();
    let mut records = Vec::new();
    for name in names {
        records.push(site.crms[0].make(&site.client, name).await);
    }
    Some((site, fleet, records))
}

/// An update that leaves its own name on a record.
fn update(client_id: &str, record: &str) -> Value {
    json!({
        "connection": "acme-sf",
        "client_id": client_id,
        "operation": {"kind": "update", "object": "contact", "id": record,
            "record": {"description": client_id}},
    })
}

/// Submits operations to the first gate.
async fn submit(site: &Site, lines: &[Value]) {
    let body: Vec<String> = lines.iter().map(Value::to_string).collect();
    let body = body.join("\n");
    let ask = Ask {
        token: &site.owner,
        lines: true,
        body: Some(&body),
        ..Ask::default()
    };
    let url = format!("{}/v1/operations", site.gates[0]);
    let answer = send(&site.client, "POST", &url, ask).await.unwrap();
    assert_eq!(answer.status, 202, "{}", answer.body);
}

/// The operation of this name.
async fn look(site: &Site, client_id: &str) -> Value {
    let path = format!("/v1/operations?client_id={client_id}");
    let found = get(&site.client, &site.gates[..1], &site.admin, &path).await;
    found["items"][0].clone()
}

async fn state(site: &Site, client_id: &str) -> String {
    look(site, client_id).await["state"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Waits until the operations have come to this state.
async fn come_to(site: &Site, fleet: &Fleet, wanted: &str, client_ids: &[&str]) {
    let until = Instant::now() + SOON;
    for client_id in client_ids {
        loop {
            let one = look(site, client_id).await;
            if one["state"] == wanted {
                break;
            }
            assert!(
                Instant::now() < until,
                "not {wanted}: {one}\n{}",
                fleet.said()
            );
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// How often each of these names was left on a record.
async fn effects(site: &Site, client_ids: &[&str]) -> Vec<usize> {
    let all = site.crms[0].effects(&site.client, 0).await;
    let count = |name: &&str| {
        let by_name = |effect: &&Value| effect["values"]["Description"] == **name;
        all.iter().filter(by_name).count()
    };
    client_ids.iter().map(count).collect()
}

/// In so long, as a time.
fn later() -> String {
    let later = std::time::SystemTime::now() + LATER;
    crmgate_domain::Timestamp::try_from(later)
        .unwrap()
        .to_string()
}

/// Accepted now, to be worked on by processes that are not there yet: the id of the first.
async fn accepted_for_later(site: &Site, fleet: &mut Fleet, lines: &mut [Value]) -> String {
    for line in lines.iter_mut() {
        line["not_before"] = json!(later());
    }
    submit(site, lines).await;
    let first = lines[0]["client_id"].as_str().unwrap();
    let id = look(site, first).await["id"].as_str().unwrap().to_owned();
    fleet.processes[0].kill();
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poison_operation_is_dead_and_takes_no_other_with_it() {
    let others = [
        "near-0", "near-1", "near-2", "near-3", "near-4", "near-5", "near-6", "near-7",
    ];
    let names = [&["poison"][..], &others].concat();
    let (site, mut fleet, records) = site(Form::Alone, &names).await.unwrap();
    let pairs = names.iter().zip(&records);
    let mut lines: Vec<Value> = pairs.map(|(name, record)| update(name, record)).collect();
    let id = accepted_for_later(&site, &mut fleet, &mut lines).await;
    // Each death costs a lease of waiting.
    let settings = site.dir.path().join("gate.toml");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, text.replace("lease = \"2s\"", "lease = \"1s\"")).unwrap();
    let point = format!("queue.judge:begin@{id}");
    // As whoever supervises it would.
    let gate = &mut fleet.processes[0];
    let (mut deaths, until) = (0, Instant::now() + SOON);
    gate.start(Some(&point));
    while deaths < TRIES {
        if gate.ended() {
            assert!(gate.aborted(), "{}", gate.said());
            deaths += 1;
            gate.start(Some(&point));
        }
        assert!(Instant::now() < until, "{deaths} deaths:\n{}", gate.said());
        sleep(Duration::from_millis(10)).await;
    }
    come_to(&site, &fleet, "dead", &["poison"]).await;
    come_to(&site, &fleet, "succeeded", &others).await;
    let dead = look(&site, "poison").await;
    assert_eq!(dead["why"]["code"], "tried_too_often", "{dead}");
    assert_eq!(effects(&site, &names).await, [&[0][..], &[1; 8]].concat());
    assert!(!fleet.processes[0].ended(), "nothing kills any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_the_crm_never_answers_holds_up_no_other() {
    let others = ["other-0", "other-1", "other-2", "other-3"];
    let names = [&["silent"][..], &others].concat();
    let (site, fleet, records) = site(Form::Alone, &names).await.unwrap();
    let silent = json!([{
        "method": "PATCH", "path": format!("/services/data/v66.0/sobjects/Contact/{}", records[0]),
        "kind": "delay", "millis": 600_000,
    }]);
    site.crms[0].faults(&site.client, &silent).await;
    submit(&site, &[update("silent", &records[0])]).await;
    come_to(&site, &fleet, "writing", &["silent"]).await;
    // Its next one waits for its turn.
    let behind = update("behind", &records[0]);
    let mut lines = vec![behind];
    lines.extend(
        others
            .iter()
            .zip(&records[1..])
            .map(|(name, record)| update(name, record)),
    );
    let began = Instant::now();
    submit(&site, &lines).await;
    come_to(&site, &fleet, "succeeded", &others).await;
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    // Longer than the lease, which its process keeps.
    sleep(LEASE_OVER.saturating_sub(began.elapsed())).await;
    assert_eq!(state(&site, "silent").await, "writing");
    assert_eq!(state(&site, "behind").await, "received");
    let sent = site.crms[0].calls(&site.client).await;
    let patches = sent.iter().filter(|call| {
        call["method"] == "PATCH" && call["path"].as_str().unwrap().contains(&records[0])
    });
    assert!(patches.count() <= 1, "it was sent again while nobody knew");
    assert_eq!(effects(&site, &others).await, [1; 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_sleeps_over_its_lease_writes_nothing_twice() {
    let Some((site, mut fleet, records)) = site(Form::Shared, &["slept"]).await else {
        return;
    };
    let mut lines = [update("slept", &records[0])];
    accepted_for_later(&site, &mut fleet, &mut lines).await;
    let sleeper = 2;
    fleet.processes[sleeper].start_to_pause("queue.send:begin");
    let until = Instant::now() + SOON;
    while !fleet.processes[sleeper].is_paused() {
        assert!(Instant::now() < until, "never paused:\n{}", fleet.said());
        sleep(Duration::from_millis(20)).await;
    }
    fleet.start_all();
    assert_eq!(state(&site, "slept").await, "writing");
    // Somebody else has it by then.
    sleep(LEASE_OVER).await;
    assert_eq!(effects(&site, &["slept"]).await, [0]);
    fleet.processes[sleeper].resume();
    come_to(&site, &fleet, "succeeded", &["slept"]).await;
    assert_eq!(effects(&site, &["slept"]).await, [1]);
}
