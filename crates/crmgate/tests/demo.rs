//! The commands against a running demo, and the simulators alone.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A child that ends with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The first of fifteen free ports in a row, below the ephemeral ones.
fn port_base() -> u16 {
    let start = 24_000 + u16::try_from(std::process::id() % 300).unwrap() * 16;
    (0..50)
        .map(|step| start + step * 16)
        .find(|base| (*base..base + 15).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()))
        .unwrap()
}

fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crmgate"));
    command.args(arguments).current_dir(dir).env_clear();
    command
}

/// Starts a demo in the folder's usual place and waits until it is ready.
fn demo(dir: &Path) -> Ended {
    let base = port_base().to_string();
    let log = std::fs::File::create(dir.join("log")).unwrap();
    let child = command(dir, &["demo", "--port-base", &base])
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut demo = Ended(child);
    let late = Instant::now() + Duration::from_secs(60);
    while !dir.join(".crmgate-demo/demo.json").exists() {
        let log = || std::fs::read_to_string(dir.join("log")).unwrap_or_default();
        assert!(
            demo.0.try_wait().unwrap().is_none(),
            "the demo ended:\n{}",
            log()
        );
        assert!(Instant::now() < late, "no demo within a minute:\n{}", log());
        std::thread::sleep(Duration::from_millis(20));
    }
    demo
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs a command to its end and expects an exit code.
fn run(dir: &Path, arguments: &[&str], code: i32) -> Output {
    let output = command(dir, arguments).output().unwrap();
    let said = || format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}: {}",
        said()
    );
    output
}

fn json(dir: &Path, arguments: &[&str], code: i32) -> Value {
    let output = run(dir, &[arguments, &["--output", "json"]].concat(), code);
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_commands_work_on_a_running_demo() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let _demo = demo(dir);

    let denied = json(dir, &["decisions", "list", "--effect", "deny"], 0);
    let id = denied["items"][0]["decision"]["id"].as_str().unwrap();
    let shown = text(&run(dir, &["decisions", "show", id], 0).stdout);
    assert!(
        shown.starts_with("DENIED\n") && shown.contains(id),
        "{shown}"
    );
    let listed = text(&run(dir, &["decisions", "list"], 0).stdout);
    assert!(listed.contains(id), "ids are not whole:\n{listed}");
    run(
        dir,
        &["decisions", "show", "0197a1b2-0000-7000-8000-000000000001"],
        5,
    );
    run(dir, &["decisions", "list", "--effect", "denied"], 5);

    let report = json(dir, &["connections", "report", "acme-sf"], 1);
    assert_eq!(report["safe_to_enforce"], false);
    let observing = text(&run(dir, &["connections", "mode", "acme-dv", "observe"], 0).stdout);
    assert!(observing.contains("NOTHING IS PROTECTED"), "{observing}");
    run(dir, &["connections", "mode", "acme-dv", "watch"], 5);
    run(dir, &["connections", "mode", "acme-dv", "enforce"], 0);

    let ask = |record: &str, code: i32| {
        let fixed = [
            "validate",
            "--connection",
            "acme-sf",
            "--operation",
            "create",
        ];
        let record = ["--object", "contact", "--record", record];
        run(dir, &[&fixed[..], &record[..]].concat(), code)
    };
    ask(r#"{"last_name": "Ada", "email": "ada@example.com"}"#, 0);
    let refused = ask(r#"{"last_name": "Ada", "email": "ada"}"#, 1);
    assert!(text(&refused.stdout).contains("`ada` is not an e-mail address"));
    let newest = json(dir, &["decisions", "list", "--effect", "deny"], 0);
    let id = newest["items"][0]["decision"]["id"].as_str().unwrap();
    let eval = ["policy", "eval", "current", "--decision", id];
    let told = json(dir, &eval, 1);
    assert_eq!(told["judgement"]["reasons"][0]["code"], "email_form");
    let only = [&eval[..], &["--package", "crm.quality.email"]].concat();
    let told = text(&run(dir, &only, 1).stdout);
    assert!(
        told.contains("note: recorded as deny by revision"),
        "{told}"
    );
    assert!(told.contains("deny at quality/email.rego:"), "{told}");
    let gone = "0".repeat(64);
    run(dir, &["policy", "eval", &gone, "--decision", id], 5);
    ask("{", 2);
    std::fs::write(
        dir.join("big.json"),
        r#"{"name": "x", "discount_percent": 30}"#,
    )
    .unwrap();
    let held = ["--object", "opportunity", "--record", "@big.json"];
    let fixed = [
        "validate",
        "--connection",
        "acme-dv",
        "--operation",
        "create",
    ];
    run(dir, &[&fixed[..], &held[..]].concat(), 6);

    sale(dir);
    verified(dir);
    tokens(dir);
    check(dir);
    let second = run(dir, &["demo", "--once"], 8);
    assert!(text(&second.stderr).contains("another demo is using"));
}

/// An amount is judged in an org whose records name no currency.
fn sale(dir: &Path) {
    let sale =
        r#"{"name": "x", "stage": "prospecting", "close_date": "2027-01-01", "amount": 100}"#;
    let sale = ["--object", "opportunity", "--record", sale];
    let fixed = [
        "validate",
        "--connection",
        "acme-sf",
        "--operation",
        "create",
    ];
    run(dir, &[&fixed[..], &sale[..]].concat(), 0);
}

/// The record is whole as the gate gives it, as it is in the file, and as it was saved; a changed
/// entry is found.
fn verified(dir: &Path) {
    let running = json(dir, &["decisions", "verify", "--save", "entries"], 0);
    assert!(running["whole"].as_bool().unwrap() && running["entries"].as_u64().unwrap() > 30);
    let file = ".crmgate-demo/data/crmgate.db";
    run(dir, &["decisions", "verify", file], 0);
    run(dir, &["decisions", "verify", "entries"], 0);
    let entries = std::fs::read_to_string(dir.join("entries")).unwrap();
    let forged = entries.replacen(r#"\"effect\":\"deny\""#, r#"\"effect\":\"allow\""#, 1);
    assert_ne!(entries, forged);
    std::fs::write(dir.join("entries"), forged).unwrap();
    let found = text(&run(dir, &["decisions", "verify", "entries"], 1).stdout);
    assert!(found.contains("does not fit its hash"), "{found}");
}

/// A token is made, used, refused what it may not do, and revoked.
fn tokens(dir: &Path) {
    let made = run(
        dir,
        &["token", "create", "--name", "n", "--role", "auditor"],
        0,
    );
    let token = text(&made.stdout).trim().to_owned();
    let with = |arguments: &[&str], code: i32| {
        run(dir, &[arguments, &["--token", &token]].concat(), code);
    };
    with(&["decisions", "list"], 0);
    with(&["connections", "mode", "acme-sf", "observe"], 5);
    let id = token.split('_').nth(1).unwrap();
    run(dir, &["token", "revoke", id], 0);
    with(&["decisions", "list"], 5);
    run(dir, &["token", "revoke", id], 5);
}

/// The demo's configuration is sound, and a wrong secret is told.
fn check(dir: &Path) {
    let config = [".crmgate-demo/crmgate.toml"];
    let check = [&["check", "--config"][..], &config[..]].concat();
    let sound = text(&run(dir, &check, 0).stdout);
    assert_eq!(sound.matches("signed in as").count(), 2, "{sound}");
    std::fs::write(dir.join(".crmgate-demo/secrets/dynamics"), "wrong").unwrap();
    let faults = json(dir, &check, 1);
    let fault = faults["checks"].as_array().unwrap().iter();
    let fault = fault
        .filter(|line| line["verdict"] == "fault")
        .collect::<Vec<_>>();
    assert_eq!(fault.len(), 1, "{faults}");
    assert_eq!(fault[0]["what"], "acme-dv");
}

#[test]
fn a_simulator_alone_prints_its_credentials_and_serves() {
    let dir = tempfile::tempdir().unwrap();
    for (system, secret) in [
        ("salesforce", "access_token"),
        ("dynamics", "client_secret"),
    ] {
        let arguments = ["simulate", system, "--tls", "--output", "json"];
        let child = command(dir.path(), &arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut simulator = Ended(child);
        let mut lines = BufReader::new(simulator.0.stdout.take().unwrap()).lines();
        let mut said = String::new();
        while serde_json::from_str::<Value>(&said).is_err() {
            said += &lines.next().unwrap().unwrap();
        }
        let facts: Value = serde_json::from_str(&said).unwrap();
        assert!(facts[secret].as_str().unwrap().len() > 10, "{facts}");
        let settings = crmgate_outbound::Settings {
            extra_ca_files: vec![facts["ca_pem"].as_str().unwrap().into()],
            system_roots: false,
            ..crmgate_outbound::Settings::default()
        };
        let client = crmgate_outbound::Client::new(settings).unwrap();
        let url = format!("{}/_sim/requests", facts["url"].as_str().unwrap());
        let request = http::Request::get(url).body(Vec::new()).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let answer = runtime.block_on(client.execute(request, 1 << 20)).unwrap();
        assert_eq!(answer.status(), 200);
    }
}
