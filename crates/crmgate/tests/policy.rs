//! What authors run, as they run it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

const POLICY: &str = "# METADATA\n# title: Names\n# custom: {owner: t, objects: [contact], operations: [create]}\n\
    package crm.people.names\n\ndeny contains {\"code\": \"name\", \"message\": \"a name is needed\"} if {\n\
    \tnot input.record.last_name\n}\n\nwarn contains \"late\" if {\n\tinput.operation.at > data.params.people.names.late\n}\n";

const TEST: &str = "package crm.people.names_test\n\nimport data.crm.people.names\n\n\
    test_name if count(names.deny) == 1 with input as {\"record\": {}}\n";

const CASES: &str = "- name: a name is needed\n  operation: create\n  object: contact\n  expect: {effect: deny, codes: [name]}\n\
    - name: late\n  operation: create\n  object: contact\n  at: 2031-01-01T00:00:00Z\n  record: {last_name: Ada}\n  expect: {effect: allow, warnings: [\"\"]}\n";

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("names.rego", POLICY),
        ("names_test.rego", TEST),
        ("cases/names.yaml", CASES),
        ("params.yaml", "people: {names: {late: \"2030\"}}\n"),
        (
            "params.schema.json",
            "{\"type\": \"object\", \"properties\": {\"people\": {\"type\": \"object\"}}}",
        ),
    ] {
        write(dir.path(), path, text);
    }
    dir
}

fn write(dir: &Path, path: &str, text: &str) {
    let file = dir.join("p/people").join(path);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crmgate"));
    command
        .arg("policy")
        .args(arguments)
        .current_dir(dir)
        .env_clear();
    command
}

fn policy(dir: &Path, arguments: &[&str]) -> Output {
    command(dir, arguments).output().unwrap()
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

#[test]
fn tests_and_cases_run_and_leave_reports() {
    let dir = folder();
    let ran = policy(
        dir.path(),
        &[
            "test",
            "p",
            "--coverage",
            "--min",
            "100",
            "--junit",
            "j.xml",
            "--lcov",
            "l.info",
            "--coverage-json",
            "c.json",
        ],
    );
    assert_eq!(code(&ran), 0, "{}{}", out(&ran), errors(&ran));
    let text = out(&ran);
    assert!(text.contains("5 passed, 0 failed"), "{text}");
    assert!(
        text.contains("100 % of the lines of 1 files are reached"),
        "{text}"
    );
    let read = |file: &str| std::fs::read_to_string(dir.path().join(file)).unwrap();
    assert!(read("j.xml").contains("<testsuite name=\"p/people/cases/names.yaml\" tests=\"4\""));
    assert!(read("l.info").contains("SF:p/people/names.rego"));
    let coverage: Value = serde_json::from_str(&read("c.json")).unwrap();
    assert_eq!(coverage["coverage"], 100.0);
    let json = policy(
        dir.path(),
        &["test", "p", "--filter", "names_test", "--output", "json"],
    );
    let report: Value = serde_json::from_str(&out(&json)).unwrap();
    assert_eq!(report["passed"], 1);
    assert_eq!(report["tests"][0]["name"], "test_name");
    assert_eq!(report["tests"][0]["line"], 5);
}

#[test]
fn what_is_missing_or_wrong_is_told_and_ends_with_its_code() {
    let dir = folder();
    write(
        dir.path(),
        "more.rego",
        "package crm.people.names\n\nwarn contains \"x\" if {\n\tinput.record.x == 1\n\tinput.record.y\n}\n",
    );
    let short = policy(
        dir.path(),
        &["test", "p", "--min", "100", "--filter", "cases"],
    );
    assert_eq!(code(&short), 1);
    assert!(
        errors(&short).contains("100 % are asked for"),
        "{}",
        errors(&short)
    );
    assert!(
        out(&short).contains("lines that nothing reached"),
        "{}",
        out(&short)
    );
    let none = policy(dir.path(), &["test", "p", "--filter", "nothing like it"]);
    assert_eq!(code(&none), 1);
    for wrong in [
        &["test", "p", "--filter", "("][..],
        &["test", "p", "--min", "101"],
    ] {
        assert_eq!(code(&policy(dir.path(), wrong)), 2);
    }
    write(
        dir.path(),
        "cases/wrong.yaml",
        "- name: x\n  operation: create\n  objct: contact\n",
    );
    let wrong = policy(dir.path(), &["test", "p"]);
    assert_eq!(code(&wrong), 1);
    let text = out(&wrong);
    assert!(
        text.contains("people/cases/wrong.yaml:3") && text.contains("did you mean `object`?"),
        "{text}"
    );
}

#[test]
fn an_input_is_explained() {
    let dir = folder();
    let case = "p/people/cases/names.yaml#a name is needed";
    let denied = policy(dir.path(), &["eval", "p", "--input", case]);
    assert_eq!(code(&denied), 1, "{}", errors(&denied));
    let text = out(&denied);
    for part in [
        "create contact at the gateway, connection salesforce (salesforce)",
        "deny crm.people.names name: a name is needed",
        "deny at people/names.rego:6 holds:",
        "warn at people/names.rego:10 stops at 11:2: input.operation.at > data.params.people.names.late",
        "data.params.people.names.late = \"2030\"",
    ] {
        assert!(text.contains(part), "nothing of `{part}` in:\n{text}");
    }
    std::fs::write(
        dir.path().join("params.yaml"),
        "people: {names: {late: \"2020\"}}",
    )
    .unwrap();
    let mut child = command(
        dir.path(),
        &[
            "eval",
            "p",
            "--input",
            "-",
            "--params",
            "params.yaml",
            "--at",
            "2029-01-01T00:00:00Z",
            "--output",
            "json",
        ],
    )
    .stdin(Stdio::piped())
    .stdout(Stdio::piped())
    .spawn()
    .unwrap();
    let input = "{\"connection\": \"acme\", \"operation\": {\"kind\": \"create\", \"object\": \"contact\", \"record\": {\"last_name\": \"A\"}}}";
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let allowed = child.wait_with_output().unwrap();
    assert_eq!(code(&allowed), 0, "{}", out(&allowed));
    let told: Value = serde_json::from_str(&out(&allowed)).unwrap();
    assert_eq!(told["judgement"]["effect"], "allow");
    assert_eq!(told["judgement"]["warnings"][0]["message"], "late");
    assert_eq!(told["packages"][0]["rules"][0]["came"], "stopped");
    assert_eq!(told["packages"][0]["rules"][0]["at"]["line"], 7);
}

#[test]
fn what_cannot_be_explained_says_why() {
    let dir = folder();
    std::fs::write(
        dir.path().join("x.json"),
        "{\"operation\": {\"kind\": \"craete\"}, \"object\": \"contact\"}",
    )
    .unwrap();
    for (arguments, part) in [
        (&["eval", "p", "--input", "none.json"][..], "`none.json`: "),
        (
            &["eval", "p", "--input", "x.json"],
            "unknown variant `craete`",
        ),
        (
            &["eval", "p", "--input", "p/people/cases/names.yaml#a name"],
            "did you mean `a name is needed`?",
        ),
        (
            &[
                "eval",
                "p",
                "--input",
                "p/people/cases/names.yaml#a name is needed",
                "--package",
                "crm.people.name",
            ],
            "did you mean `crm.people.names`?",
        ),
        (
            &[
                "eval",
                "p",
                "--input",
                "p/people/cases/names.yaml#a name is needed",
                "--system",
                "siebel",
            ],
            "`siebel` is no kind of CRM",
        ),
        (&["eval", "p"], "--input"),
        (&["eval", "p", "--decision", "x"], "which crmgate?"),
        (
            &["bench", "p", "--cases", "none"],
            "there is nothing to measure",
        ),
        (
            &["bench", "p", "--baseline", "x.json"],
            "expected what `policy bench --output json` told",
        ),
    ] {
        let told = policy(dir.path(), arguments);
        assert_eq!(code(&told), 2, "{arguments:?}: {}", out(&told));
        assert!(
            errors(&told).contains(part),
            "{arguments:?}: {}",
            errors(&told)
        );
    }
}

#[test]
fn judging_is_measured_and_compared() {
    let dir = folder();
    let first = policy(
        dir.path(),
        &["bench", "p", "--seconds", "1", "--output", "json"],
    );
    assert_eq!(code(&first), 0, "{}", errors(&first));
    std::fs::write(dir.path().join("before.json"), &first.stdout).unwrap();
    let told: Value = serde_json::from_str(&out(&first)).unwrap();
    assert_eq!(told["packages"][0]["package"], "crm.people.names");
    assert_eq!(told["rules"].as_array().unwrap().len(), 2);
    assert!(told["load"]["load"].as_f64().unwrap() > 0.0);
    let again = policy(
        dir.path(),
        &[
            "bench",
            "p",
            "--seconds",
            "1",
            "--baseline",
            "before.json",
            "--output",
            "json",
        ],
    );
    let told: Value = serde_json::from_str(&out(&again)).unwrap();
    let ratio = told["packages"][0]["ratio"].as_f64().unwrap();
    assert!(ratio > 0.0, "{told}");
    let table = policy(dir.path(), &["bench", "p", "--seconds", "1"]);
    let text = out(&table);
    assert!(
        text.contains("people/names.rego:6") && text.contains("loading as a whole"),
        "{text}"
    );
}

/// A child that is ended with the test.
struct Watching {
    child: Child,
    lines: Receiver<String>,
}

impl Watching {
    fn start(dir: &Path) -> Self {
        let mut child = command(dir, &["test", "p", "--watch"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            out.lines()
                .map_while(Result::ok)
                .try_for_each(|it| send.send(it))
        });
        Self { child, lines }
    }

    /// Waits for a line with that, and then for the end of the run.
    fn expect(&self, part: &str) {
        let mut seen = Vec::new();
        let mut found = false;
        loop {
            let Ok(line) = self.lines.recv_timeout(Duration::from_secs(60)) else {
                panic!("no `{part}` in {seen:?}");
            };
            found |= line.contains(part);
            if found && line.starts_with("watching") {
                return;
            }
            seen.push(line);
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn watching_goes_on_over_broken_files() {
    let dir = folder();
    let watching = Watching::start(dir.path());
    watching.expect("5 passed, 0 failed");
    write(
        dir.path(),
        "names.rego",
        &format!("{POLICY}\nbroken if {{\n"),
    );
    watching.expect("people/names.rego:");
    write(
        dir.path(),
        "names.rego",
        &POLICY.replace("\"name\"", "\"other\""),
    );
    watching.expect("3 passed, 2 failed");
    write(dir.path(), "names.rego", POLICY);
    watching.expect("5 passed, 0 failed");
}
