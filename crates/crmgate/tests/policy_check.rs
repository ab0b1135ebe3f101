//! `crmgate policy check`, as authors and their pipelines run it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

const HEAD: &str = "# METADATA\n# title: Names\n# custom: {owner: t, objects: [contact], operations: [create]}\n\
    package crm.people.names\n\n";
const SOUND: &str = "deny contains {\"code\": \"name\", \"message\": \"a name is needed\"} if not input.record.last_name\n";
const MISSPELT: &str = "deny contains \"x\" if input.record.emial == \"x\"\n";
const UNUSED: &str =
    "deny contains \"x\" if {\n\tmail := input.record.email\n\tinput.record.title == \"x\"\n}\n";
const EXTENDED: &str = "deny contains \"x\" if input.record.loyalty_tier == \"x\"\n";

const CONFIG: &str = r#"
[connections.acme-sf]
system = "salesforce"
identity = "pass_through"
instance_url = "https://acme.my.salesforce.com"
listen = "127.0.0.1:0"

[connections.acme-sf.mapping.contact.fields.loyalty_tier]
native = "Tier__c"
type = "text"
"#;

fn write(dir: &Path, text: &str) {
    std::fs::create_dir_all(dir.join("p/people")).unwrap();
    std::fs::write(dir.join("p/people/names.rego"), format!("{HEAD}{text}")).unwrap();
}

fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crmgate"));
    command
        .args(["policy", "check", "p"])
        .args(arguments)
        .current_dir(dir)
        .env_clear();
    command
}

/// What it says, and its exit code.
fn check(text: &str, arguments: &[&str]) -> (String, i32) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), text);
    std::fs::write(dir.path().join("gate.toml"), CONFIG).unwrap();
    said(&command(dir.path(), arguments).output().unwrap())
}

fn said(output: &Output) -> (String, i32) {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    (
        String::from_utf8(text).unwrap(),
        output.status.code().unwrap(),
    )
}

#[test]
fn exit_codes_tell_how_bad_it_is() {
    for (text, arguments, expected) in [
        (SOUND, &[][..], 0),
        (SOUND, &["--strict"], 0),
        (MISSPELT, &[], 1),
        (UNUSED, &[], 0),
        (UNUSED, &["--strict"], 1),
        (UNUSED, &["--fail-on", "warning"], 1),
        (SOUND, &["--fail-on", "fatal"], 2),
        (SOUND, &["--strict", "--fail-on", "error"], 2),
    ] {
        let (told, code) = check(text, arguments);
        assert_eq!(code, expected, "{arguments:?}: {told}");
    }
    let dir = tempfile::tempdir().unwrap();
    let (told, code) = said(&command(dir.path(), &[]).output().unwrap());
    assert_eq!((told.as_str(), code), ("error: `p` is not a folder\n", 2));
}

#[test]
fn people_see_the_line_and_what_was_meant() {
    let (told, _) = check(MISSPELT, &[]);
    for part in [
        "error[unknown_field]: `input.record` has no field `emial`",
        "--> people/names.rego:6:35",
        "did you mean `email`?",
        "1 error",
    ] {
        assert!(told.contains(part), "`{part}` is not in {told}");
    }
    let caret = told.lines().find(|line| line.contains('^')).unwrap();
    let shown = told.lines().find(|line| line.starts_with("6 |")).unwrap();
    assert_eq!(caret.find('^'), shown.find("emial"), "{told}");
}

#[test]
fn notes_are_counted_and_told_when_asked_for() {
    let text = "deny contains \"x\" if {\n\tis_string(input.record.email)\n\t\
                count(input.record.email) > 200\n}\n";
    let note = "info[count_text]";
    let (told, code) = check(text, &["--fail-on", "info"]);
    assert!(told.contains(note) && code == 1, "{told}");
    let (told, _) = check(text, &[]);
    assert!(!told.contains(note), "{told}");
    assert!(told.contains("1 note (`--fail-on info` tells"), "{told}");
}

#[test]
fn programs_get_json_and_sarif() {
    let (told, _) = check(MISSPELT, &["--output", "json"]);
    let json: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(json["sound"], true);
    assert_eq!(json["errors"], 1);
    assert_eq!(json["findings"][0]["code"], "unknown_field");
    assert_eq!(json["findings"][0]["line"], 6);

    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), MISSPELT);
    command(dir.path(), &["--sarif", "found.sarif"])
        .output()
        .unwrap();
    let text = std::fs::read_to_string(dir.path().join("found.sarif")).unwrap();
    let sarif: Value = serde_json::from_str(&text).unwrap();
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "unknown_field");
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "p/people/names.rego");
    assert_eq!(place["region"]["startColumn"], 35);
}

#[test]
fn a_configuration_brings_the_fields_of_its_connections() {
    let (told, code) = check(EXTENDED, &["--strict"]);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("no field `loyalty_tier`"), "{told}");
    let (told, code) = check(EXTENDED, &["--strict", "--config", "gate.toml"]);
    assert_eq!(code, 0, "{told}");
}

#[test]
fn what_does_not_load_is_told_beside_the_rest() {
    let broken =
        format!("{MISSPELT}\ndeny contains \"y\" if {{\n\t== 1\n}}\n\ndeny contains \"z\" if )\n");
    let (told, code) = check(&broken, &[]);
    assert_eq!(code, 1);
    assert_eq!(told.matches("error[syntax]").count(), 2, "{told}");
    assert!(told.contains("error[unknown_field]"), "{told}");
    assert!(told.contains("which do not load"), "{told}");
}

/// A running check, ended with the test.
struct Watching(Child);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn watching_tells_again_after_each_change() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), MISSPELT);
    let child = command(dir.path(), &["--watch"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut watching = Watching(child);
    let mut lines = BufReader::new(watching.0.stdout.take().unwrap()).lines();
    let mut until = |part: &str| {
        let mut told = Vec::new();
        for line in lines.by_ref() {
            let line = line.unwrap();
            let end = line.starts_with("watching");
            told.push(line);
            if end {
                break;
            }
        }
        let told = told.join("\n");
        assert!(told.contains(part), "`{part}` is not in {told}");
    };
    until("1 error");
    write(dir.path(), SOUND);
    until("nothing found");
}
