//! `crmgate serve` as a process: start, reloads, restart over broken policies, shutdown.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crmgate_outbound::{Client, Settings};
use http::Request;
use serde_json::Value;

/// Allows contacts to be made.
const POLICY: &str = "# METADATA\n# title: Contacts\n# description: Contacts may be made.\n\
                      # scope: package\n# custom:\n#   owner: tests\n#   objects: [contact]\n\
                      #   operations: [create]\npackage crm.tests.contacts\n\nallow := true\n";

/// A running gate; killed when dropped.
struct Gate {
    child: Child,
    port: u16,
    dir: Arc<tempfile::TempDir>,
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn certificate(dir: &Path) -> String {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let issued = rcgen::generate_simple_self_signed(names).unwrap();
    let pem = issued.cert.pem();
    std::fs::write(dir.join("gate.pem"), &pem).unwrap();
    std::fs::write(dir.join("gate.key"), issued.signing_key.serialize_pem()).unwrap();
    pem
}

fn put_policy(dir: &Path, text: &str) {
    std::fs::create_dir_all(dir.join("policies/tests")).unwrap();
    std::fs::write(dir.join("policies/tests/contacts.rego"), text).unwrap();
}

impl Gate {
    /// A site with one connection to a CRM that is not there, and its gate.
    fn start() -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        certificate(dir.path());
        put_policy(dir.path(), POLICY);
        std::fs::write(dir.path().join("secret"), "s3cr3t-of-the-connection\n").unwrap();
        let port = free_port();
        std::fs::write(
            dir.path().join("crmgate.toml"),
            format!(
                "data_dir = \"data\"\n[logging]\nformat = \"json\"\n\
                 [control]\nlisten = \"127.0.0.1:{port}\"\n\
                 tls = {{ certificate = \"gate.pem\", key = \"gate.key\" }}\n\
                 [connections.acme-dv]\nsystem = \"dynamics\"\nlisten = \"127.0.0.1:0\"\n\
                 url = \"http://127.0.0.1:9\"\nauthority = \"http://127.0.0.1:9\"\n\
                 tenant = \"5d2f8a1c-6b3e-4f70-9c21-7e8d4a5b6c90\"\n\
                 client_id = \"1b7e4c2d-9a30-4d6f-b582-6c1e9f04a7d3\"\n\
                 [connections.acme-dv.auth]\nflow = \"client_secret\"\nsecret = \"file:secret\"\n"
            ),
        )
        .unwrap();
        Self::again(dir, port)
    }

    fn again(dir: Arc<tempfile::TempDir>, port: u16) -> Self {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(dir.path().join("log"))
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_crmgate"))
            .args(["serve", "--config", "crmgate.toml"])
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let gate = Self { child, port, dir };
        gate.until("it listens", || {
            TcpStream::connect(("127.0.0.1", gate.port)).is_ok()
        });
        gate
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Waits for something that must happen.
    fn until(&self, what: &str, happened: impl Fn() -> bool) {
        let late = Instant::now() + Duration::from_secs(30);
        while !happened() {
            assert!(
                Instant::now() < late,
                "{what}: not within 30 s\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A client that trusts the certificate on disk now.
    fn client(&self) -> Client {
        Client::new(Settings {
            extra_ca_files: vec![self.dir.path().join("gate.pem")],
            system_roots: false,
            ..Settings::default()
        })
        .unwrap()
    }

    /// GETs a path; `None` when there is no connection to be had.
    fn get(&self, path: &str) -> Option<(u16, String)> {
        let request = Request::get(format!("https://127.0.0.1:{}{path}", self.port))
            .body(Vec::new())
            .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let client = self.client();
        let answer = runtime
            .unwrap()
            .block_on(client.execute(request, 1 << 24))
            .ok()?;
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        Some((answer.status().as_u16(), text))
    }

    fn ready(&self) -> Value {
        let (_, text) = self.get("/readyz").unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Asks it to stop and gives its exit code.
    fn stop(mut self) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        let mut code = None;
        for _ in 0..1500 {
            if let Some(status) = self.child.try_wait().unwrap() {
                code = status.code();
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        (code, self.log())
    }
}

fn state(ready: &Value, name: &str) -> String {
    let checks = ready["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["name"] == name);
    found.unwrap()["state"].as_str().unwrap().to_owned()
}

#[test]
fn it_serves_counts_and_stops_when_asked() {
    let gate = Gate::start();
    assert_eq!(gate.get("/healthz").unwrap().0, 200);
    assert_eq!(state(&gate.ready(), "store"), "ok");
    let (status, metrics) = gate.get("/metrics").unwrap();
    assert_eq!(status, 200);
    assert!(metrics.contains("crmgate_"), "{metrics}");
    let (status, text) = gate.get("/v1/decisions").unwrap();
    assert_eq!(status, 401, "{text}");
    let (code, log) = gate.stop();
    assert_eq!(code, Some(0), "{log}");
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(line["level"].is_string());
    }
    assert!(!log.contains("s3cr3t"), "{log}");
}

#[test]
fn changed_policies_come_into_force_and_broken_ones_do_not() {
    let gate = Gate::start();
    let in_force = |part: &str| gate.log().matches(part).count();
    assert_eq!(state(&gate.ready(), "policies"), "ok");
    put_policy(
        gate.dir.path(),
        "package crm.tests.contacts\n\nallow if {\n",
    );
    gate.until("the fault is told", || {
        state(&gate.ready(), "policies") == "degraded"
    });
    assert!(in_force("contacts.rego:") > 0, "{}", gate.log());
    put_policy(
        gate.dir.path(),
        &POLICY.replace("may be made", "may be made by all"),
    );
    gate.until("the mended ones are in force", || {
        state(&gate.ready(), "policies") == "ok"
    });
    gate.until("it is told", || {
        in_force("changed policies are in force") == 1
    });
    put_policy(
        gate.dir.path(),
        "package crm.tests.contacts\n\nallow if {\n",
    );
    gate.until("the fault is told", || {
        state(&gate.ready(), "policies") == "degraded"
    });
    let (dir, port) = (Arc::clone(&gate.dir), gate.port);
    let (code, log) = gate.stop();
    assert_eq!(code, Some(0), "{log}");
    let again = Gate::again(dir, port);
    assert_eq!(state(&again.ready(), "policies"), "degraded");
    assert_eq!(again.get("/healthz").unwrap().0, 200);
}

#[test]
fn a_changed_certificate_is_in_use_without_a_restart() {
    let gate = Gate::start();
    let old = gate.client();
    assert_eq!(gate.get("/healthz").unwrap().0, 200);
    certificate(gate.dir.path());
    // A client that trusts the new one alone.
    gate.until("the new certificate is in use", || {
        gate.get("/healthz").is_some()
    });
    drop(old);
    std::fs::write(gate.dir.path().join("gate.key"), "nonsense").unwrap();
    gate.until("the fault is told", || {
        gate.log().contains("changed certificates cannot be used")
    });
    assert_eq!(gate.get("/healthz").unwrap().0, 200);
}

#[test]
fn a_port_in_use_and_a_store_in_use_are_told() {
    let gate = Gate::start();
    let second = Command::new(env!("CARGO_BIN_EXE_crmgate"))
        .args(["serve", "--config", "crmgate.toml"])
        .current_dir(gate.dir.path())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(8));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("error: ") && said.contains("data"), "{said}");
    let elsewhere = Command::new(env!("CARGO_BIN_EXE_crmgate"))
        .args(["serve", "--config", "crmgate.toml"])
        .env("CRMGATE__DATA_DIR", "other")
        .current_dir(gate.dir.path())
        .output()
        .unwrap();
    assert_eq!(elsewhere.status.code(), Some(8));
    let said = String::from_utf8_lossy(&elsewhere.stderr).into_owned();
    assert!(said.contains("already in use"), "{said}");
}

#[test]
fn a_client_that_says_nothing_does_not_keep_it_from_stopping() {
    let gate = Gate::start();
    let mut idle = TcpStream::connect(("127.0.0.1", gate.port)).unwrap();
    idle.write_all(b"\x16").unwrap();
    let (code, log) = gate.stop();
    assert_eq!(code, Some(0), "{log}");
    let mut rest = Vec::new();
    idle.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    idle.read_to_end(&mut rest).ok();
}
