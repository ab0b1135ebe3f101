//! Policies in OPA bundles: from a file and from a server, changed, broken, mended, kept.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::control::call;
use crate::process::binary;
use crate::served::{Site, contact};

const SECRET: &str = "a secret that is long enough for it";

fn policy(team: &str, code: &str) -> String {
    format!(
        "# METADATA
# title: Bundle
# scope: package
# custom:
#   owner: tests
#   objects: [contact]
#   operations: [create]
package crm.{team}.bundle

deny contains {{\"code\": \"{code}\", \"message\": \"by the bundle\", \"fields\": []}}
"
    )
}

/// A signed bundle whose policy refuses everything with this code.
fn bundle(site: &Site, team: &str, code: &str) -> Vec<u8> {
    let dir = site.path();
    let folder = dir.join("sources").join(team).join("pack");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("bundle.rego"), policy(team, code)).unwrap();
    fs::write(dir.join("hmac"), SECRET).unwrap();
    let built = Command::new(binary())
        .current_dir(dir)
        .args([
            "policy",
            "bundle",
            "build",
            &format!("sources/{team}"),
            "-o",
            "built.tar.gz",
        ])
        .args([
            "--key",
            "hmac",
            "--algorithm",
            "HS256",
            "--keyid",
            "release",
        ])
        .args(["--revision", code, "--output", "json"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{told}");
    let about: Value = serde_json::from_slice(&built.stdout).unwrap();
    assert_eq!(about["revision"], code);
    fs::read(dir.join("built.tar.gz")).unwrap()
}

/// By rename, as deployments do.
fn put(dir: &Path, name: &str, bytes: &[u8]) {
    fs::write(dir.join("next"), bytes).unwrap();
    fs::rename(dir.join("next"), dir.join(name)).unwrap();
}

fn configure(site: &Site, text: &str) {
    let file = site.path().join("crmgate.toml");
    let before = fs::read_to_string(&file).unwrap();
    let keys = "[policies.keys.release]\nalgorithm = \"HS256\"\nkey = \"file:hmac\"\n";
    fs::write(file, format!("{before}{keys}{text}")).unwrap();
}

/// The codes by which a contact is refused now.
async fn codes(site: &Site) -> Vec<String> {
    let url = format!(
        "{}/services/data/v66.0/sobjects/Contact",
        site.salesforce_url()
    );
    let body = contact(true, "Bundle");
    let client = site.fresh_client();
    let answer = call(&client, "POST", &url, &site.salesforce_token, Some(&body));
    let answer = answer.await.unwrap();
    assert_eq!(answer.status, 400, "{}", answer.body);
    let decision = answer.header("crmgate-decision").unwrap().to_owned();
    let stored = site
        .control(&format!("/v1/decisions/{decision}"))
        .await
        .body;
    let reasons = stored["decision"]["reasons"]
        .as_array()
        .unwrap_or_else(|| panic!("{stored}"));
    let mut codes: Vec<String> = reasons
        .iter()
        .map(|reason| reason["code"].as_str().unwrap().to_owned())
        .collect();
    codes.sort();
    codes
}

/// How a bundle stands, once it stands so.
async fn until(site: &Site, name: &str, ready: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    for _ in 0..600 {
        let status = site.control("/v1/policies").await.body;
        let bundles = status["bundles"]
            .as_array()
            .unwrap_or_else(|| panic!("{status}"));
        last = bundles
            .iter()
            .find(|bundle| bundle["name"] == name)
            .unwrap()
            .clone();
        if ready(&last) {
            return last;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("`{name}` never stood as it should: {last}");
}

/// What health says of a bundle.
async fn health(site: &Site, name: &str) -> (String, Value) {
    let ready = site.control("/readyz").await.body;
    let checks = ready["checks"]
        .as_array()
        .unwrap_or_else(|| panic!("{ready}"));
    let name = format!("bundle {name}");
    let check = checks.iter().find(|check| check["name"] == name.as_str());
    let check = check.unwrap_or_else(|| panic!("{ready}"));
    (
        check["state"].as_str().unwrap().to_owned(),
        check["detail"].clone(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_in_a_file_changes_breaks_and_mends() {
    let site = Site::new(&[("folder", &policy("folder", "by_folder"))]).await;
    put(
        site.path(),
        "central.tar.gz",
        &bundle(&site, "central", "one"),
    );
    configure(
        &site,
        "[policies.bundles.central]\nfile = \"central.tar.gz\"\n",
    );
    let _gate = site.start(&[]);
    until(&site, "central", |bundle| bundle["revision"] == "one").await;
    assert_eq!(codes(&site).await, ["by_folder", "one"]);
    assert_eq!(health(&site, "central").await.0, "ok");

    let next = bundle(&site, "central", "two");
    put(site.path(), "central.tar.gz", &next);
    let told = until(&site, "central", |bundle| bundle["revision"] == "two").await;
    assert_eq!(told["signed_by"], "release");
    assert_eq!(codes(&site).await, ["by_folder", "two"]);

    // Half an archive, another key's signature, the place of the folder's policies.
    let foreign = bundle(&site, "folder", "three");
    for (broken, code) in [
        (next[..next.len() / 2].to_vec(), "no_archive"),
        (foreign, "not_loaded"),
    ] {
        put(site.path(), "central.tar.gz", &broken);
        let told = until(&site, "central", |bundle| bundle["trouble"]["code"] == code).await;
        assert_eq!(told["revision"], "two", "{told}");
        let (state, detail) = health(&site, "central").await;
        assert_eq!(state, "degraded");
        assert!(
            detail.as_str().unwrap().contains("revision `two`"),
            "{detail}"
        );
        assert_eq!(codes(&site).await, ["by_folder", "two"]);
    }
    put(
        site.path(),
        "central.tar.gz",
        &bundle(&site, "central", "four"),
    );
    until(&site, "central", |bundle| bundle["trouble"].is_null()).await;
    assert_eq!(codes(&site).await, ["by_folder", "four"]);
    assert_eq!(health(&site, "central").await.0, "ok");
    let metrics = site.control("/metrics").await.body;
    let metrics = metrics.as_str().unwrap();
    assert!(
        metrics.contains("crmgate_bundle_healthy{bundle=\"central\"} 1"),
        "{metrics}"
    );
}

/// A server of one bundle that knows `If-None-Match`.
struct Server {
    url: String,
    shown: Arc<Mutex<(u16, Vec<u8>)>>,
    asked: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn start(body: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shown = Arc::new(Mutex::new((200, body)));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (now, log) = (Arc::clone(&shown), Arc::clone(&asked));
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => break,
                    }
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let (status, body) = now.lock().unwrap().clone();
                let etag = format!(
                    "\"{}-{}\"",
                    body.len(),
                    body.iter().fold(7_u32, |hash, byte| {
                        hash.wrapping_mul(31).wrapping_add(u32::from(*byte))
                    })
                );
                let same = status == 200 && head.contains(&format!("if-none-match: {etag}"));
                log.lock().unwrap().push(head);
                let (status, body) = if same {
                    (304, Vec::new())
                } else {
                    (status, body)
                };
                let answer = format!(
                    "HTTP/1.1 {status} x\r\netag: {etag}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.ok();
                stream.write_all(&body).await.ok();
            }
        });
        Self {
            url,
            shown,
            asked,
            task,
        }
    }

    fn show(&self, status: u16, body: Vec<u8>) {
        *self.shown.lock().unwrap() = (status, body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_on_a_server_is_followed_and_its_copy_outlives_the_server() {
    let site = Site::new(&[("folder", &policy("folder", "by_folder"))]).await;
    let server = Server::start(bundle(&site, "own", "one")).await;
    fs::write(site.path().join("token"), "t0ken-of-bundles").unwrap();
    configure(
        &site,
        &format!(
            "[policies.bundles.own]\nurl = \"{}/own.tar.gz\"\nconnection = \"acme-sf\"\n\
             bearer = \"file:token\"\nmin_delay = \"50ms\"\nmax_delay = \"100ms\"\n",
            server.url
        ),
    );
    let mut gate = site.start(&[]);
    until(&site, "own", |bundle| bundle["revision"] == "one").await;
    assert_eq!(codes(&site).await, ["by_folder", "one"]);

    server.show(200, bundle(&site, "own", "two"));
    until(&site, "own", |bundle| bundle["revision"] == "two").await;
    assert_eq!(codes(&site).await, ["by_folder", "two"]);
    let known = |head: &String| head.contains("if-none-match") && head.contains("Bearer t0ken");
    assert!(server.asked.lock().unwrap().iter().any(known));

    server.show(503, Vec::new());
    until(&site, "own", |bundle| bundle["trouble"]["code"] == "status").await;
    server.show(200, b"<html>maintenance</html>".to_vec());
    until(&site, "own", |bundle| {
        bundle["trouble"]["code"] == "no_archive"
    })
    .await;
    assert_eq!(health(&site, "own").await.0, "degraded");
    assert_eq!(codes(&site).await, ["by_folder", "two"]);

    // A start without the server goes by the copy, and says so.
    server.task.abort();
    gate.kill();
    let mut gate = site.start(&[]);
    let told = until(&site, "own", |bundle| {
        bundle["trouble"]["code"] == "unreachable"
    })
    .await;
    assert_eq!(
        (&told["from_copy"], &told["revision"]),
        (&Value::Bool(true), &"two".into())
    );
    assert_eq!(codes(&site).await, ["by_folder", "two"]);
    let log = gate.output();
    assert!(!log.contains("t0ken-of-bundles"), "{log}");
    gate.kill();
}

#[test]
fn bundles_are_verified_and_shown_by_commands() {
    let dir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(binary());
        command
            .current_dir(dir.path())
            .args(["policy", "bundle"])
            .args(arguments);
        let output = command.output().unwrap();
        let told = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(told).unwrap())
    };
    let folder = dir.path().join("pack/a");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("a.rego"), policy("a", "x")).unwrap();
    fs::write(dir.path().join("hmac"), format!("{SECRET}\n")).unwrap();
    fs::write(
        dir.path().join("other"),
        "another secret that is long enough",
    )
    .unwrap();
    let sign = ["--key", "hmac", "--algorithm", "HS256"];
    let (code, told) = run(&[&["build", "pack", "-o", "a.tar.gz"], &sign[..]].concat());
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("signed by `default`"), "{told}");
    let (code, told) = run(&[&["verify", "a.tar.gz"], &sign[..]].concat());
    assert_eq!(code, Some(0), "{told}");
    let (code, told) = run(&["show", "a.tar.gz"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains("/a/a.rego") && told.contains("`crm/a`"),
        "{told}"
    );
    let (code, told) = run(&[
        "verify",
        "a.tar.gz",
        "--key",
        "other",
        "--algorithm",
        "HS256",
    ]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("does not verify"), "{told}");
    let (code, told) = run(&["verify", "a.tar.gz"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("no key is configured"), "{told}");
    let (code, told) = run(&["build", "pack", "--key", "hmac", "--algorithm", "RS256"]);
    assert_eq!(code, Some(3), "{told}");
    assert!(
        told.contains("--key") && !told.contains("a secret that"),
        "{told}"
    );
    fs::write(folder.join("a.rego"), "package crm.a.a\n\ndeny contains").unwrap();
    let (code, told) = run(&["build", "pack", "-o", "b.tar.gz", "--output", "json"]);
    assert_eq!(code, Some(1), "{told}");
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["faults"][0]["file"], "a/a.rego");
    assert!(!dir.path().join("b.tar.gz").exists());
}

#[test]
fn the_example_works_as_it_says() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/bundles");
    let dir = tempfile::tempdir().unwrap();
    fs::copy(here.join("crmgate.toml"), dir.path().join("crmgate.toml")).unwrap();
    fs::create_dir(dir.path().join("own")).unwrap();
    let pair = rcgen::KeyPair::generate().unwrap();
    fs::write(dir.path().join("release.key"), pair.serialize_pem()).unwrap();
    fs::write(dir.path().join("release.pub.pem"), pair.public_key_pem()).unwrap();
    let policies = here.join("../../policies");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(binary());
        let output = command
            .current_dir(dir.path())
            .args(arguments)
            .output()
            .unwrap();
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8(told).unwrap();
        assert!(output.status.success(), "{told}");
        told
    };
    let build = [
        "policy",
        "bundle",
        "build",
        policies.to_str().unwrap(),
        "-o",
        "central.tar.gz",
    ];
    let key = [
        "--key",
        "release.key",
        "--algorithm",
        "ES256",
        "--keyid",
        "release",
    ];
    run(&[&build[..], &key[..]].concat());
    let key = [
        "--key",
        "release.pub.pem",
        "--algorithm",
        "ES256",
        "--keyid",
        "release",
    ];
    run(&[&["policy", "bundle", "verify", "central.tar.gz"], &key[..]].concat());
    let told = run(&["check", "--offline", "--config", "crmgate.toml"]);
    assert!(told.contains("signed by `release`"), "{told}");
}
