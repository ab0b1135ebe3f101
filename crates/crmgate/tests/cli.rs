//! The commands as a stranger runs them: what they print, and how they end.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The binary in a folder, with nothing of this process's own settings.
fn crmgate(dir: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crmgate"))
        .args(arguments)
        .current_dir(dir)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn help_names_every_command_and_every_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let help = crmgate(dir.path(), &["--help"], &[]);
    assert_eq!(code(&help), 0);
    let text = out(&help);
    for word in [
        "demo",
        "serve",
        "check",
        "simulate",
        "validate",
        "decisions",
        "connections",
        "token",
        "policy",
        "Exit codes:",
    ] {
        assert!(text.contains(word), "`{word}` is not in the help:\n{text}");
    }
    assert!(!text.contains("try-policies"));
    let wrong = crmgate(dir.path(), &["serv"], &[]);
    assert_eq!(code(&wrong), 2);
}

#[test]
fn check_tells_every_fault_of_a_configuration_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("policies")).unwrap();
    std::fs::write(
        dir.path().join("crmgate.toml"),
        "[control]\nlisten = \"0.0.0.0:1\"\nportt = 7\n\n[connections.a]\nsystem = \"siebel\"\n\
         listen = \"127.0.0.1:0\"\nmode = \"watch\"\n",
    )
    .unwrap();
    let check = ["check", "--config", "crmgate.toml"];
    let told = crmgate(dir.path(), &check, &[]);
    assert_eq!(code(&told), 1, "{}", errors(&told));
    let json = crmgate(
        dir.path(),
        &[&check[..], &["--output", "json"]].concat(),
        &[],
    );
    assert_eq!(code(&json), 1);
    let report: Value = serde_json::from_str(&out(&json)).unwrap();
    assert_eq!(report["sound"], false);
    let places: Vec<(&str, &str)> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| {
            (
                check["what"].as_str().unwrap(),
                check["place"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        places,
        [
            ("connections.a.mode", "crmgate.toml:8"),
            ("control.listen", "crmgate.toml:2"),
            ("control.portt", "crmgate.toml:3"),
        ]
    );
}

#[test]
fn check_tells_faults_of_connectors_secrets_certificates_and_policies_together() {
    let dir = tempfile::tempdir().unwrap();
    let broken = dir.path().join("policies/sales");
    std::fs::create_dir_all(&broken).unwrap();
    std::fs::write(
        broken.join("x.rego"),
        "package crm.sales.x\n\ndeny contains if {\n",
    )
    .unwrap();
    std::fs::write(
        dir.path().join("crmgate.toml"),
        "[connections.a]\nsystem = \"salesforce\"\nlisten = \"127.0.0.1:0\"\n\
         tls = { certificate = \"none.pem\", key = \"none.key\" }\n\
         instance_url = \"https://acme.my.salesforce.com\"\n\
         [connections.a.auth]\nflow = \"client_credentials\"\nclient_id = \"x\"\n\
         client_secret = \"env:NO_SUCH_SECRET\"\nclient_sceret = \"y\"\n\
         [connections.b]\nsystem = \"siebel\"\nlisten = \"127.0.0.1:1\"\n",
    )
    .unwrap();
    let told = crmgate(
        dir.path(),
        &[
            "check",
            "--offline",
            "--config",
            "crmgate.toml",
            "--output",
            "json",
        ],
        &[],
    );
    assert_eq!(code(&told), 1, "{}", errors(&told));
    let text = out(&told);
    for part in [
        "none.pem",
        "sales/x.rego",
        "`NO_SUCH_SECRET` is not set",
        "client_sceret",
        "`siebel` is no kind of CRM; expected one of: salesforce, dynamics",
    ] {
        assert!(text.contains(part), "nothing of `{part}` in:\n{text}");
    }
}

#[test]
fn the_example_is_sound() {
    use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    for folder in ["tls", "secrets"] {
        std::fs::create_dir(file(folder)).unwrap();
    }
    std::os::unix::fs::symlink(root().join("policies"), file("policies")).unwrap();
    std::fs::copy(root().join("examples/crmgate.toml"), file("crmgate.toml")).unwrap();
    let names = vec!["*.gate.example.com".to_owned()];
    let issued = rcgen::generate_simple_self_signed(names).unwrap();
    std::fs::write(file("tls/gate.pem"), issued.cert.pem()).unwrap();
    std::fs::write(file("tls/gate.key"), issued.signing_key.serialize_pem()).unwrap();
    let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    std::fs::write(file("secrets/salesforce.key"), rsa.serialize_pem()).unwrap();
    std::fs::write(file("secrets/salesforce-app"), "secret\n").unwrap();
    let check = ["check", "--offline", "--config", "crmgate.toml"];
    let sound = crmgate(dir.path(), &check, &[("CRMGATE_DYNAMICS_SECRET", "s3cr3t")]);
    assert_eq!(code(&sound), 0, "{}{}", out(&sound), errors(&sound));
    assert!(!out(&sound).contains("s3cr3t"));
    let without = crmgate(dir.path(), &check, &[]);
    assert_eq!(code(&without), 1);
    assert!(
        out(&without).contains("CRMGATE_DYNAMICS_SECRET"),
        "{}",
        out(&without)
    );
}

#[test]
fn an_expired_certificate_is_a_fault() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("policies")).unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["gate.example.com".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    std::fs::write(dir.path().join("old.pem"), certificate.pem()).unwrap();
    std::fs::write(dir.path().join("old.key"), key.serialize_pem()).unwrap();
    std::fs::write(
        dir.path().join("crmgate.toml"),
        "[control]\nlisten = \"127.0.0.1:0\"\ntls = { certificate = \"old.pem\", key = \"old.key\" }\n",
    )
    .unwrap();
    let told = crmgate(
        dir.path(),
        &[
            "check",
            "--offline",
            "--config",
            "crmgate.toml",
            "--output",
            "json",
        ],
        &[],
    );
    assert_eq!(code(&told), 1);
    assert!(
        out(&told).contains("expired at 2021-01-01"),
        "{}",
        out(&told)
    );
    let serve = crmgate(dir.path(), &["serve", "--config", "crmgate.toml"], &[]);
    assert_eq!(code(&serve), 8);
    assert!(
        errors(&serve).contains("expired at 2021-01-01"),
        "{}",
        errors(&serve)
    );
}

#[test]
fn the_shipped_policies_are_sound_and_pass_their_cases() {
    let dir = tempfile::tempdir().unwrap();
    let policies = root().join("policies");
    let policies = policies.to_str().unwrap();
    let check = crmgate(dir.path(), &["policy", "check", policies], &[]);
    assert_eq!(code(&check), 0, "{}{}", out(&check), errors(&check));
    let test = crmgate(
        dir.path(),
        &["policy", "test", policies, "--output", "json"],
        &[],
    );
    assert_eq!(code(&test), 0, "{}", out(&test));
    let report: Value = serde_json::from_str(&out(&test)).unwrap();
    assert!(report["passed"].as_u64().unwrap() > 20, "{report}");
}

#[test]
fn a_failing_case_and_a_broken_policy_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let pack = dir.path().join("p/quality");
    std::fs::create_dir_all(pack.join("cases")).unwrap();
    let rego = "# METADATA\n# title: None\n# description: Nothing passes.\n# scope: package\n\
                # custom:\n#   owner: t\n#   objects: [contact]\n#   operations: [create]\n\
                package crm.quality.none\n\ndeny contains {\"code\": \"no\", \"message\": \"no\"}\n";
    std::fs::write(pack.join("none.rego"), rego).unwrap();
    std::fs::write(
        pack.join("cases/a.yaml"),
        "- name: passes\n  operation: create\n  object: contact\n  record: {last_name: Ada}\n  \
         expect: {effect: allow}\n",
    )
    .unwrap();
    let test = crmgate(dir.path(), &["policy", "test", "p"], &[]);
    assert_eq!(code(&test), 1);
    assert!(out(&test).contains("0 passed, 2 failed"), "{}", out(&test));
    std::fs::write(
        pack.join("none.rego"),
        format!("{rego}\nallow if {{ input.record. }}\n"),
    )
    .unwrap();
    let check = crmgate(dir.path(), &["policy", "check", "p"], &[]);
    assert_eq!(code(&check), 1);
    assert!(
        out(&check).contains("quality/none.rego:13"),
        "{}",
        out(&check)
    );
    let missing = crmgate(dir.path(), &["policy", "check", "nowhere"], &[]);
    assert_eq!(code(&missing), 2);
    assert!(errors(&missing).contains("nowhere"), "{}", errors(&missing));
}

#[test]
fn a_first_token_is_made_without_one_and_is_all_of_standard_output() {
    let dir = tempfile::tempdir().unwrap();
    let made = crmgate(
        dir.path(),
        &["token", "create", "--bootstrap", "--name", "first"],
        &[("CRMGATE__DATA_DIR", "data")],
    );
    assert_eq!(code(&made), 0, "{}", errors(&made));
    let token = out(&made);
    assert!(
        token.starts_with("crmgate_") && token.trim_end().lines().count() == 1,
        "{token}"
    );
    assert!(dir.path().join("data").is_dir());
}

#[test]
fn clients_without_an_address_or_a_server_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = crmgate(dir.path(), &["decisions", "list"], &[]);
    assert_eq!(code(&nowhere), 2);
    assert!(
        errors(&nowhere).contains("CRMGATE_URL"),
        "{}",
        errors(&nowhere)
    );
    let no_token = crmgate(
        dir.path(),
        &["token", "list", "--url", "http://127.0.0.1:9"],
        &[],
    );
    assert_eq!(code(&no_token), 2);
    let unreachable = crmgate(
        dir.path(),
        &["connections", "list"],
        &[
            ("CRMGATE_URL", "http://127.0.0.1:9"),
            ("CRMGATE_TOKEN", "crmgate_x_y"),
        ],
    );
    assert_eq!(code(&unreachable), 4);
    let said = errors(&unreachable);
    assert!(
        said.contains("127.0.0.1:9") && !said.contains("crmgate_x_y"),
        "{said}"
    );
}

#[test]
fn missing_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let serve = crmgate(dir.path(), &["serve", "--config", "none.toml"], &[]);
    assert_eq!(code(&serve), 3);
    assert!(errors(&serve).contains("none.toml"), "{}", errors(&serve));
}

/// Answers one request with one decision.
fn tell(listener: &TcpListener, sequence: u64, username: &str) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut head = [0_u8; 4096];
    let read = stream.read(&mut head).unwrap();
    assert!(head.get(..read).unwrap().starts_with(b"GET /v1/decisions?"));
    let actor = serde_json::json!({"id": "005A", "username": username});
    let item = serde_json::json!({"sequence": sequence, "operation": {"actor": actor}});
    let body = serde_json::json!({"items": [item], "next": null}).to_string();
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    );
    stream.write_all(answer.as_bytes()).unwrap();
}

#[test]
fn following_outlives_a_restart_and_tells_hidden_names_by_id() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let url = format!("http://{address}");
    let follow = [
        "decisions",
        "list",
        "--follow",
        "--token",
        "t",
        "--url",
        &url,
    ];
    let mut child = Command::new(env!("CARGO_BIN_EXE_crmgate"))
        .args(follow)
        .current_dir(dir.path())
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut problems = BufReader::new(child.stderr.take().unwrap()).lines();
    tell(&listener, 1, "ada");
    assert!(lines.next().unwrap().unwrap().contains("ada"));
    drop(listener);
    let problem = problems.next().unwrap().unwrap();
    assert!(problem.contains("asking again every second"), "{problem}");
    let listener = TcpListener::bind(address).unwrap();
    tell(&listener, 2, "**REDACTED**");
    assert!(lines.next().unwrap().unwrap().contains("005A"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn check_tells_what_could_not_be_written() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("policies")).unwrap();
    std::fs::write(dir.path().join("in-the-way"), "").unwrap();
    let config = "data_dir = \"in-the-way/data\"\n[record]\ncheckpoint_file = \"not-mounted/c.jws\"\n\
                  [decision_log.sinks.a]\nkind = \"file\"\npath = \"in-the-way/d.ndjson\"\n\
                  [decision_log.sinks.b]\nkind = \"file\"\npath = \"new/d.ndjson\"\n";
    std::fs::write(dir.path().join("gate.toml"), config).unwrap();
    let check = [
        "check",
        "--offline",
        "--config",
        "gate.toml",
        "--output",
        "json",
    ];
    let check = crmgate(dir.path(), &check, &[]);
    assert_eq!(code(&check), 1, "{}", out(&check));
    let told: Value = serde_json::from_slice(&check.stdout).unwrap();
    let told = told["checks"].as_array().unwrap().iter();
    let mut faults: Vec<&str> = told
        .filter(|line| line["verdict"] == "fault")
        .map(|line| line["what"].as_str().unwrap())
        .collect();
    faults.sort_unstable();
    let expected = [
        "data_dir",
        "decision_log.sinks.a.path",
        "record.checkpoint_file",
    ];
    assert_eq!(faults, expected);
    let left = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left, 3, "it leaves nothing behind");
}

#[test]
fn an_export_into_a_pipe_that_closes_ends_quietly() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut child = Command::new(env!("CARGO_BIN_EXE_crmgate"))
        .args([
            "decisions",
            "export",
            "--out",
            "-",
            "--token",
            "t",
            "--url",
            &url,
        ])
        .current_dir(dir.path())
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let (mut stream, _) = listener.accept().unwrap();
    let mut head = [0_u8; 4096];
    assert!(stream.read(&mut head).unwrap() > 0);
    let line = "{\"req_id\": 1}\n".repeat(10_000);
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{line}",
        line.len()
    );
    // It may hang up before it has read all.
    stream.write_all(answer.as_bytes()).ok();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(code(&ended), 0, "{}", errors(&ended));
    assert_eq!(errors(&ended), "");
    assert!(!dir.path().join("-").exists());
}
