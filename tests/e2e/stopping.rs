//! Submissions and queued operations over the end of the process that has them.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use crmgate_sim::serve;
use http::Request;
use serde_json::{Value, json};

use crate::control::{Answer, call, http};
use crate::operations::{contact, site, stored};
use crate::process::{Running, binary};
use crate::served::Site;

/// Submits lines under a key, over a connection of its own; the error when none answers.
async fn submit(site: &Site, key: &str, lines: &str) -> Result<Answer, String> {
    let url = format!("{}/v1/operations?connection=acme-dv", site.control_url());
    let request = Request::post(url)
        .header("authorization", format!("Bearer {}", site.admin))
        .header("content-type", "application/x-ndjson")
        .header("idempotency-key", key)
        .body(Bytes::copy_from_slice(lines.as_bytes()))
        .unwrap();
    let answer = http(None).execute_bytes(request, 1 << 20).await;
    let (head, body) = answer.map_err(|error| error.to_string())?.into_parts();
    Ok(Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: serde_json::from_slice(&body).unwrap(),
    })
}

async fn faults(simulator: &serve::Running, faults: &Value) {
    let url = format!("{}/_sim/faults", simulator.url);
    let answer = call(
        &http(None),
        "PUT",
        &url,
        "",
        Some(&json!({"faults": faults})),
    )
    .await;
    assert!(answer.unwrap().status < 300);
}

async fn until_dead(gate: &mut Running) {
    let until = Instant::now() + Duration::from_secs(10);
    while !gate.ended() {
        assert!(Instant::now() < until, "still running:\n{}", gate.output());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Asks for operations until all stand so.
async fn reach(site: &Site, filter: &str, count: usize) -> Vec<Value> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = site.control(&format!("/v1/operations?{filter}")).await;
        let items = answer.body["items"].as_array().unwrap().clone();
        if items.len() == count {
            return items;
        }
        assert!(Instant::now() < until, "{filter}: {}", answer.body);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_process_keeps_no_key() {
    let site = site("").await;
    let lines = [contact("Ada", ""), contact("Grace", "")].join("\n");
    let other = contact("Other", "");
    // All is stored, and none of it accepted.
    let mut gate = site.start(&[("CRMGATE_TEST_KILL_AT", "queue.accept:begin")]);
    assert!(submit(&site, "k", &lines).await.is_err());
    until_dead(&mut gate).await;
    // Then: all is accepted, and nobody was told so.
    let mut gate = site.start(&[("CRMGATE_TEST_KILL_AT", "queue.accept:end")]);
    let asked = Instant::now();
    assert!(submit(&site, "k", &lines).await.is_err());
    until_dead(&mut gate).await;
    assert!(asked.elapsed() < Duration::from_secs(5));
    let _gate = site.start(&[]);
    let again = submit(&site, "k", &lines).await.unwrap();
    assert_eq!(again.status, 202, "{}", again.body);
    assert_eq!(again.body["accepted"], 2, "{}", again.body);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let reused = submit(&site, "k", &other).await.unwrap();
    assert_eq!(reused.status, 422);
    assert_eq!(reused.body["code"], "idempotency_key_reused");
    reach(&site, "state=succeeded", 2).await;
    let contacts = stored(&site, "contact").await;
    let named = |name: &str| {
        let named = contacts.iter().filter(|one| one["lastname"] == *name);
        named.count()
    };
    assert_eq!((named("Ada"), named("Grace"), named("Other")), (1, 1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_told_to_stop_ends_what_is_sent_until_its_deadline() {
    let site = site("[limits]\nshutdown = \"2s\"\n").await;
    for (simulator, millis) in [(&site.salesforce, 900), (&site.dynamics, 60_000)] {
        let slow = json!([
            {"kind": "delay", "method": "POST", "path": "*ontact*", "times": 1, "millis": millis},
        ]);
        faults(simulator, &slow).await;
    }
    let gate = site.start(&[]);
    let soon = contact("Soon", r#", "connection": "acme-sf""#);
    let lines = [soon, contact("Never", "")].join("\n");
    assert_eq!(submit(&site, "k", &lines).await.unwrap().status, 202);
    let writing = reach(&site, "state=writing", 2).await;
    let never = writing
        .iter()
        .find(|one| one["client_id"] == "Never")
        .unwrap();
    let path = format!("/v1/operations/{}", never["id"].as_str().unwrap());
    let (waiting, stopped) = tokio::join!(
        async {
            let asked = Instant::now();
            let url = format!("{}{path}?wait=30s", site.control_url());
            let answer = call(&http(None), "GET", &url, &site.admin, None).await;
            (answer.unwrap(), asked.elapsed())
        },
        async {
            // It waits by now, or would not be answered at all.
            tokio::time::sleep(Duration::from_millis(200)).await;
            let told = Instant::now();
            tokio::task::spawn_blocking(move || gate.end())
                .await
                .unwrap();
            told.elapsed()
        }
    );
    let (answer, waited) = waiting;
    assert_eq!(answer.body["state"], "writing", "{}", answer.body);
    assert!(
        waited < Duration::from_secs(1),
        "nobody is kept waiting: {waited:?}"
    );
    assert!(stopped < Duration::from_millis(3_500), "{stopped:?}");
    let _gate = site.start(&[]);
    let soon = reach(&site, "client_id=Soon", 1).await;
    assert_eq!(soon[0]["state"], "succeeded", "its call was waited for");
    let left = site.control(&path).await;
    assert_eq!(left.body["state"], "writing", "its call was cut off");
    let url = format!("{}/_sim/records/Contact", site.salesforce.url);
    let records = call(&site.plain, "GET", &url, "", None).await.unwrap().body;
    let records = records.as_array().unwrap().iter();
    assert_eq!(records.filter(|one| one["LastName"] == "Soon").count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_follows_a_submission_outlives_a_restart() {
    let site = site("[worker]\nlease = \"2s\"\n").await;
    faults(
        &site.dynamics,
        &json!([{"kind": "status", "method": "POST", "path": "*ontact*", "times": 1,
            "status": 503, "retry_after": 2}]),
    )
    .await;
    let mut gate = site.start(&[]);
    let taken = submit(&site, "k", &contact("Ada", "")).await.unwrap();
    let mut following = Command::new(binary())
        .args(["ops", "watch", taken.body["submission"].as_str().unwrap()])
        .args(["--url", &site.control_url(), "--token", &site.admin])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(following.stderr.take().unwrap()).lines();
    tokio::time::sleep(Duration::from_millis(500)).await;
    gate.kill();
    let told = tokio::task::spawn_blocking(move || said.next().unwrap().unwrap());
    assert!(told.await.unwrap().contains("asking again every second"));
    let _gate = site.start(&[]);
    let ended = tokio::task::spawn_blocking(move || following.wait().unwrap());
    assert_eq!(ended.await.unwrap().code(), Some(0), "all succeeded");
}
