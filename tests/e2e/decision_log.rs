//! The decision log end to end: what is planted is nowhere, and what was decided is everywhere.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::control::call;
use crate::process::binary;
use crate::served::Site;

/// In every planted value, and nowhere else.
const PLANTED: &str = "pl4nted";
/// Planted values that can hold no letters.
const NUMBERS: [&str; 2] = ["1907-05-23", "5550147733"];

/// Quotes what it is asked about wherever it can.
const TALKATIVE: &str = r#"# METADATA
# scope: package
# title: Talkative
# description: Quotes what it sees.
# custom:
#   owner: tests
#   objects: [contact]
#   operations: [create, update]
package crm.tests.talkative

said := sprintf("%v, %v, %v, %s", [input.record.email, input.record.phone, input.record.birth_date, lower(input.record.description)])

deny contains {"code": "no", "message": said, "fields": ["email"]} if startswith(input.record.last_name, "Deny")

warn contains {"code": "odd", "message": upper(said)}

patch contains {"op": "set", "field": "title", "value": sprintf("of %s", [input.record.email])} if {
	startswith(input.record.last_name, "Patch")
}

deny contains {"code": "broken", "message": said} if {
	startswith(input.record.last_name, "Error")
	to_number(input.record.email) > 0
}
"#;

/// A service that takes OPA's decision logs, when it is well.
#[derive(Clone, Default)]
struct Service {
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
    ill: Arc<AtomicBool>,
}

impl Service {
    async fn serve(self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/opa/logs/crm", post(Self::take))
            .with_state(self);
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    async fn take(State(service): State<Self>, headers: HeaderMap, body: Bytes) -> StatusCode {
        if service.ill.load(Ordering::SeqCst) {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        assert_eq!(headers["content-encoding"], "gzip");
        assert_eq!(headers["authorization"], "Bearer log-token");
        let mut text = Vec::new();
        GzDecoder::new(body.as_ref())
            .read_to_end(&mut text)
            .unwrap();
        service.bodies.lock().unwrap().push(text);
        StatusCode::OK
    }

    fn events(&self) -> Vec<Value> {
        let bodies = self.bodies.lock().unwrap();
        let events = bodies
            .iter()
            .map(|body| serde_json::from_slice::<Vec<Value>>(body).unwrap());
        events.flatten().collect()
    }
}

async fn site(log_rules: Option<&str>, service: &str) -> Site {
    let log = log_rules.map(|rules| format!("package system.log\n\n{rules}\n"));
    let mut policies = vec![("talk", TALKATIVE)];
    policies.extend(log.as_deref().map(|log| ("log", log)));
    let site = Site::new(&policies).await;
    fs::write(site.path().join("log-token"), "log-token\n").unwrap();
    let sinks = format!(
        r#"
[decision_log]
mask_time_limit = "2s"
[policies]
time_limit = "2s"
[decision_log.sinks.file]
kind = "file"
path = "log/decisions.ndjson"
rotate_size = "20 KiB"
[decision_log.sinks.service]
kind = "http"
url = "{service}/opa"
partition_name = "crm"
token = "file:log-token"
[decision_log.sinks.console]
kind = "stdout"
"#
    );
    let config = site.path().join("crmgate.toml");
    let mut file = fs::OpenOptions::new().append(true).open(config).unwrap();
    file.write_all(sinks.as_bytes()).unwrap();
    site
}

/// Writes that plant values in both CRMs, through the gateway and through the validate call.
async fn write(site: &Site, round: usize) {
    for (number, name) in ["Deny", "Patch", "Error", "Plain"].into_iter().enumerate() {
        let name = format!("{name} {PLANTED}-{round}");
        let email = format!("{PLANTED}.{round}.{number}@example.com");
        let text = format!("call {PLANTED}-{number} at once");
        let contact = json!({"LastName": name, "Email": email, "Phone": NUMBERS[1],
            "Birthdate": NUMBERS[0], "Description": text, "MailingStreet": format!("{PLANTED} street")});
        let url = format!(
            "{}/services/data/v66.0/sobjects/Contact?access_token={PLANTED}",
            site.salesforce_url()
        );
        let answer = call(
            &site.gate,
            "POST",
            &url,
            &site.salesforce_token,
            Some(&contact),
        )
        .await;
        answer.unwrap();
        let url = url.split('?').next().unwrap().to_owned();
        let answer = call(
            &site.gate,
            "POST",
            &url,
            &site.salesforce_token,
            Some(&contact),
        )
        .await
        .unwrap();
        if number == 0 {
            assert_eq!(answer.status, 400, "{}", answer.body);
            let told = answer.body.to_string();
            assert!(told.contains(&email), "the caller is told all: {told}");
        }
        let contact = json!({"lastname": name, "emailaddress1": email, "telephone1": NUMBERS[1],
            "birthdate": NUMBERS[0], "description": text});
        let url = format!("{}/api/data/v9.2/contacts", site.dynamics_url());
        call(
            &site.gate,
            "POST",
            &url,
            &site.dynamics_token,
            Some(&contact),
        )
        .await
        .unwrap();
        let asked = json!({"connection": "acme-sf", "operation": "create", "object": "contact",
            "record": {"last_name": name, "email": email, "phone": NUMBERS[1], "birth_date": NUMBERS[0], "description": text},
            "purpose": format!("for {email}")});
        let url = format!("{}/v1/validate", site.control_url());
        call(&site.plain, "POST", &url, &site.admin, Some(&asked))
            .await
            .unwrap();
    }
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The events in the file sink's files, oldest first.
fn filed(site: &Site) -> Vec<Value> {
    let mut files = files(&site.path().join("log"));
    // What was being packed when the gate ended is there as it was, too.
    files.retain(|file| file.extension().is_none_or(|extension| extension != "part"));
    files.sort();
    let mut text = String::new();
    for file in files {
        let bytes = fs::read(&file).unwrap();
        if file.extension().is_some_and(|extension| extension == "gz") {
            GzDecoder::new(bytes.as_slice())
                .read_to_string(&mut text)
                .unwrap();
        } else {
            text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }
    lines(&text)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect()
}

fn decisions(events: &[Value]) -> Vec<String> {
    let decisions = events
        .iter()
        .filter(|event| event["path"] == "crm/decision");
    decisions
        .map(|event| event["decision_id"].as_str().unwrap().to_owned())
        .collect()
}

/// Waits until both sinks have every decision that the record has.
async fn taken(site: &Site, service: &Service) -> Vec<String> {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let recorded = site.decisions().await;
        let mut ids: Vec<String> = recorded
            .iter()
            .map(|it| it["decision"]["id"].as_str().unwrap().to_owned())
            .collect();
        ids.reverse();
        let all: BTreeSet<&String> = ids.iter().collect();
        let (file, sent) = (decisions(&filed(site)), decisions(&service.events()));
        let missing = |got: &[String]| !all.iter().all(|id| got.contains(id));
        if !missing(&file) && !missing(&sent) {
            return ids;
        }
        assert!(
            Instant::now() < until,
            "{} of {} filed, {} sent",
            file.len(),
            ids.len(),
            sent.len()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Fails where a planted value stands.
fn assert_clean(what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    for planted in [PLANTED].iter().chain(&NUMBERS) {
        if let Some(at) = text.find(planted) {
            let around: String = text
                .get(at.saturating_sub(200)..)
                .unwrap_or(&text)
                .chars()
                .take(300)
                .collect();
            panic!("`{planted}` stands in {what}: …{around}…");
        }
    }
}

fn exporting(site: &Site, form: &str, out: &Path, more: &[&str]) -> std::process::Output {
    Command::new(binary())
        .args(["decisions", "export", "--form", form, "--url"])
        .args([&site.control_url(), "--token", &site.admin, "--out"])
        .arg(out)
        .args(more)
        .output()
        .unwrap()
}

fn export(site: &Site, form: &str, out: &Path, more: &[&str]) {
    let run = exporting(site, form, out, more);
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
}

async fn scan_answers(site: &Site, ids: &[String]) {
    for path in [
        "/v1/decisions?limit=500",
        "/v1/record/entries?limit=500",
        "/metrics",
    ] {
        let answer = site.control(path).await;
        assert_clean(path, answer.body.to_string().as_bytes());
    }
    for id in ids.iter().take(20) {
        let answer = site.control(&format!("/v1/decisions/{id}")).await;
        assert_eq!(answer.status, 200);
        assert_clean("a decision", answer.body.to_string().as_bytes());
    }
    for form in ["opa", "crmgate", "csv"] {
        let out = site.path().join(format!("export.{form}"));
        export(site, form, &out, &[]);
        let text = fs::read(&out).unwrap();
        assert_clean(&format!("the export {form}"), &text);
        let heads = usize::from(form == "csv");
        let count = text.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(count, ids.len() + heads, "{form}");
    }
}

fn scan_files(site: &Site, service: &Service) {
    for body in service.bodies.lock().unwrap().iter() {
        assert_clean("what the service got", body);
    }
    for event in filed(site) {
        assert_clean("the sink's files", event.to_string().as_bytes());
    }
    let data = files(&site.path().join("data"));
    assert!(
        data.iter().any(|file| file.ends_with("crmgate.db")),
        "{data:?}"
    );
    for file in data {
        assert_clean(&file.display().to_string(), &fs::read(&file).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_planted_is_remembered_anywhere() {
    let service = Service::default();
    let url = service.clone().serve().await;
    let site = site(None, &url).await;
    let running = site.start(&[]);
    write(&site, 1).await;
    let ids = taken(&site, &service).await;
    assert!(ids.len() >= 8, "{ids:?}");
    scan_answers(&site, &ids).await;
    let output = running.output();
    assert_clean("standard output and the log", output.as_bytes());
    running.end();
    scan_files(&site, &service);
    let events = filed(&site);
    let effects: BTreeSet<&str> = events
        .iter()
        .filter_map(|it| it["crm"]["effect"].as_str())
        .collect();
    assert_eq!(effects, BTreeSet::from(["allow", "deny", "error"]));
    let decided: Vec<&Value> = events
        .iter()
        .filter(|it| it["path"] == "crm/decision")
        .collect();
    for event in decided.iter().filter(|it| it["crm"]["opaque"].is_null()) {
        assert_eq!(event["crm"]["payload"], "kept", "{event:#}");
        assert_eq!(event["input"]["object"], "contact");
        assert!(!event["crm"]["packages"].as_array().unwrap().is_empty());
        assert_eq!(event["crm"]["chain"]["hash"].as_str().unwrap().len(), 64);
    }
    let outcomes = events.iter().filter(|it| it["path"] == "crm/outcome");
    assert!(outcomes.clone().count() >= 2);
    let ids: BTreeSet<&str> = decided
        .iter()
        .map(|it| it["decision_id"].as_str().unwrap())
        .collect();
    for outcome in outcomes {
        assert!(
            ids.contains(outcome["crm"]["decision"].as_str().unwrap()),
            "{outcome:#}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_masks_remember_nothing_but_the_envelope_and_say_so() {
    let service = Service::default();
    let url = service.clone().serve().await;
    let site = site(Some("mask contains input.input.record.email"), &url).await;
    let running = site.start(&[]);
    write(&site, 1).await;
    let ids = taken(&site, &service).await;
    scan_answers(&site, &ids).await;
    let metrics = site.control("/metrics").await.body.to_string();
    assert!(
        metrics.contains("crmgate_decision_log_mask_failed_total"),
        "{metrics}"
    );
    assert_clean("standard output and the log", running.output().as_bytes());
    running.end();
    scan_files(&site, &service);
    for event in filed(&site)
        .iter()
        .filter(|it| it["path"] == "crm/decision" && it["crm"]["opaque"].is_null())
    {
        assert_eq!(event["crm"]["payload"], "mask_failed", "{event:#}");
        assert!(event.get("input").is_none());
        assert_eq!(event["crm"]["object"], "contact");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_gate_and_a_dead_service_lose_no_event() {
    let service = Service::default();
    let url = service.clone().serve().await;
    let site = site(None, &url).await;
    service.ill.store(true, Ordering::SeqCst);
    for round in 0..3 {
        let mut running = site.start(&[]);
        write(&site, round).await;
        if round == 1 {
            service.ill.store(false, Ordering::SeqCst);
        }
        running.kill();
    }
    let running = site.start(&[]);
    let ids = taken(&site, &service).await;
    for got in [decisions(&filed(&site)), decisions(&service.events())] {
        let mut seen = BTreeSet::new();
        let firsts: Vec<&String> = got.iter().filter(|id| seen.insert((*id).clone())).collect();
        assert_eq!(
            firsts,
            ids.iter().collect::<Vec<_>>(),
            "in the order of the record"
        );
    }
    // The number follows what was taken by a moment.
    let patience = Instant::now() + Duration::from_secs(10);
    loop {
        let metrics = site.control("/metrics").await.body;
        let metrics = metrics.as_str().unwrap();
        if metrics.contains("crmgate_decision_log_lag{sink=\"service\"} 0") {
            break;
        }
        assert!(Instant::now() < patience, "{metrics}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    running.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_that_broke_off_is_gone_on_with() {
    let service = Service::default();
    let url = service.clone().serve().await;
    let site = site(None, &url).await;
    let running = site.start(&[]);
    write(&site, 1).await;
    let ids = taken(&site, &service).await;
    for form in ["opa", "csv"] {
        let out = site.path().join(form);
        export(&site, form, &out, &[]);
        let whole = fs::read(&out).unwrap();
        let again = exporting(&site, form, &out, &[]);
        assert!(!again.status.success(), "a file is not written over");
        fs::write(&out, &whole[..whole.len() / 2]).unwrap();
        export(&site, form, &out, &["--resume"]);
        assert_eq!(fs::read(&out).unwrap(), whole, "{form} of {}", ids.len());
    }
    running.end();
}
