//! Queued operations through the real binary: submitted from the example's file, written once,
//! shown, and told to receivers that verify the signature.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::needs;
use crate::process::binary;
use crate::served::Site;

/// Denies contacts without a last name that is their own.
const POLICY: &str = r#"# METADATA
# title: Names
# description: Nobody is called Nobody.
# scope: package
# custom:
#   owner: tests
#   objects: [contact]
#   operations: [create]
package crm.tests.nobody

deny contains {"code": "unwanted", "message": "such names are not wanted"} if {
	input.record.last_name == "Nobody"
}
"#;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/operations")
}

pub(crate) async fn site(more: &str) -> Site {
    let site = Site::new(&[("nobody", POLICY)]).await;
    add(&site, more);
    site
}

/// Adds to the configuration.
fn add(site: &Site, more: &str) {
    let file = site.path().join("crmgate.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}{more}")).unwrap();
}

/// Runs `crmgate ops`; its exit code and all that it said.
fn ops(site: &Site, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(binary())
        .arg("ops")
        .args(arguments)
        .args(["--url", &site.control_url(), "--token", &site.admin])
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

fn submit(site: &Site, lines: &str, more: &[&str]) -> (i32, String) {
    let file = site.path().join("lines.ndjson");
    fs::write(&file, lines).unwrap();
    let file = file.to_str().unwrap();
    ops(
        site,
        &[&["submit", file, "--connection", "acme-dv"], more].concat(),
    )
}

pub(crate) fn contact(name: &str, more: &str) -> String {
    format!(
        r#"{{"client_id": "{name}", "operation": {{"kind": "create", "object": "contact", "record": {{"last_name": "{name}"}}}}{more}}}"#
    )
}

pub(crate) async fn stored(site: &Site, set: &str) -> Vec<Value> {
    let url = format!("{}/_sim/records/{set}", site.dynamics.url);
    let answer = crate::control::call(&site.plain, "GET", &url, "", None).await;
    answer.unwrap().body.as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_is_written_once_and_in_order() {
    let site = site("").await;
    let _gate = site.start(&[]);
    let file = examples().join("import.ndjson");
    let file = file.to_str().unwrap();
    let send = || {
        ops(
            &site,
            &["submit", file, "--connection", "acme-dv", "--follow"],
        )
    };
    let (code, said) = send();
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("6 taken") && said.contains("succeeded"),
        "{said}"
    );
    let accounts = stored(&site, "account").await;
    let account = accounts
        .iter()
        .find(|account| account["name"] == "Northwind")
        .unwrap();
    assert_eq!(account["telephone1"], "+49 30 3", "the last line won");
    assert_eq!(account["address1_city"], "Berlin");
    let written = site.writes(&site.dynamics).await.len();
    let (code, said) = send();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("0 taken, 6 were there already"), "{said}");
    assert_eq!(site.writes(&site.dynamics).await.len(), written);
    let (code, listed) = ops(&site, &["list", "--state", "succeeded", "--output", "json"]);
    assert_eq!(code, 0, "{listed}");
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.len(), 6);
    let ada = items
        .iter()
        .find(|item| item["client_id"] == "ada")
        .unwrap();
    let (code, told) = ops(&site, &["show", ada["id"].as_str().unwrap()]);
    assert_eq!(code, 0, "{told}");
    for part in [
        "SUCCEEDED",
        "received",
        "deciding",
        "permitted",
        "writing",
        "ALLOWED",
        "ada",
    ] {
        assert!(told.contains(part), "`{part}` is missing:\n{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exit_codes_tell_how_it_went() {
    let site = site("").await;
    let _gate = site.start(&[]);
    let mixed = [contact("Good", ""), contact("Nobody", "")].join("\n");
    let (code, said) = submit(&site, &mixed, &["--dry-run"]);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("unwanted") && said.contains("allow"),
        "{said}"
    );
    assert!(site.writes(&site.dynamics).await.is_empty());
    let (code, said) = submit(&site, &mixed, &["--follow"]);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("denied") && said.contains("unwanted"),
        "{said}"
    );
    let broken = format!("{}\nnot JSON", contact("Late", ""));
    let (code, said) = submit(&site, &broken, &[]);
    assert_eq!(code, 5, "{said}");
    assert!(
        said.contains("1 of 2 lines are refused") && said.contains("invalid_json"),
        "{said}"
    );
    let (code, said) = submit(&site, &broken, &["--on-error", "skip", "--follow"]);
    assert_eq!(code, 1, "a line that was left out did not succeed: {said}");
    let (code, said) = submit(&site, "[{\"a\":", &[]);
    assert_eq!(code, 2, "{said}");
    let later = contact("Later", r#", "not_before": "2099-01-01T00:00:00Z""#);
    let (code, said) = submit(&site, &later, &["--output", "json"]);
    assert_eq!(code, 0, "{said}");
    let taken: Value = serde_json::from_str(&said).unwrap();
    let submission = taken["submission"].as_str().unwrap();
    let (code, said) = ops(
        &site,
        &["cancel", "--submission", submission, "--reason", "enough"],
    );
    assert_eq!((code, said.contains("1 moved")), (0, true), "{said}");
    let (code, said) = ops(&site, &["watch", submission]);
    assert_eq!((code, said.contains("cancelled")), (1, true), "{said}");
    let (code, said) = ops(&site, &["cancel"]);
    assert_eq!(code, 2, "{said}");
    let (code, said) = ops(&site, &["show", "0197a1b2-0000-7000-8000-000000000001"]);
    assert_eq!(code, 5, "{said}");
}

/// A receiver of the examples; ended when dropped.
struct Receiver {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    url: String,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Receiver {
    fn start(interpreter: &Path, file: &str) -> Self {
        let mut child = Command::new(interpreter)
            .arg(examples().join(file))
            .arg("0")
            .env("WEBHOOK_SECRET", SECRET)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let url = first.strip_prefix("listening on ").unwrap().to_owned();
        Self { child, lines, url }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_are_told_to_receivers_that_verify_them() {
    for (name, file) in [("python3", "receiver.py"), ("node", "receiver.mjs")] {
        let Some(interpreter) = needs::interpreter(name) else {
            continue;
        };
        let mut receiver = Receiver::start(&interpreter, file);
        let site = site("").await;
        let token = site.admin.split('_').nth(1).unwrap();
        add(
            &site,
            &format!(
                "[operations.callbacks]\nhosts = [\"127.0.0.1\"]\nprivate = true\n\
                 secrets = [\"file:others.secret\"]\n\
                 [operations.callbacks.tokens.{token}]\n\
                 secrets = [\"file:new.secret\", \"file:old.secret\"]\n"
            ),
        );
        for (name, key) in [("others", "C"), ("new", "A")] {
            let file = site.path().join(format!("{name}.secret"));
            fs::write(file, format!("whsec_{}", key.repeat(32))).unwrap();
        }
        // The receiver still has the old one.
        fs::write(site.path().join("old.secret"), SECRET).unwrap();
        let _gate = site.start(&[]);
        let callback = format!(
            r#", "callback": {{"url": "{}/x?token=s3cr3t"}}"#,
            receiver.url
        );
        let lines = [contact("Good", &callback), contact("Nobody", &callback)].join("\n");
        let (code, said) = submit(&site, &lines, &["--follow"]);
        assert_eq!(code, 1, "{said}");
        let mut told = [0, 1].map(|_| receiver.lines.next().unwrap().unwrap());
        told.sort();
        assert_eq!(told[0].trim(), "Good succeeded", "{file}");
        assert_eq!(told[1], "Nobody denied crm.tests.nobody/unwanted", "{file}");
        let (_, listed) = ops(&site, &["list", "--output", "json"]);
        let listed: Value = serde_json::from_str(&listed).unwrap();
        let id = listed["items"][0]["id"].as_str().unwrap();
        let mut shown = String::new();
        // The try is noted after the receiver has answered.
        for _ in 0..100 {
            shown = ops(&site, &["show", id]).1;
            if shown.contains("was told") {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert!(
            shown.contains("was told") && shown.contains("204"),
            "{shown}"
        );
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }
}
