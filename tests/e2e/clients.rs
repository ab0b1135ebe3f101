//! Other people's clients: through the gate they see what they see without it, and a refusal
//! reaches them as an error they can show.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::control::{call, http};
use crate::demo::Demo;
use crate::needs;

/// Everything passes.
const ALLOW_ALL: &str = "# METADATA
# title: Everything passes
# description: Through the gate, clients must see what they see without it.
# scope: package
# custom:
#   owner: tests
#   objects: [\"*\"]
#   operations: [\"*\"]
package crm.tests.allow_all

allow := true
";

/// A program that drives a client.
pub(crate) enum Program {
    Python(&'static str),
    Node(&'static str),
}

impl Program {
    /// Runs the program with a configuration and gives its transcript; `None` when it is not here.
    pub(crate) fn run(&self, config: &Value, scratch: &Path) -> Option<Vec<Value>> {
        let (folder, name) = match self {
            Self::Python(name) => ("python", name),
            Self::Node(name) => ("node", name),
        };
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("clients")
            .join(folder)
            .join(name);
        let file = scratch.join("client.json");
        fs::write(&file, config.to_string()).unwrap();
        let ca = config["ca"].as_str().unwrap();
        let mut command = match self {
            Self::Python(_) => Command::new(needs::python()?),
            Self::Node(_) => {
                let modules = needs::node()?;
                let mut command = Command::new("node");
                command.env("CLIENT_MODULES", modules);
                command
            }
        };
        let output = command
            .arg(script)
            .arg(&file)
            .env("NODE_EXTRA_CA_CERTS", ca)
            .env("REQUESTS_CA_BUNDLE", ca)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{name} failed:\n{errors}");
        let steps = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|e| panic!("{name}: {e}:\n{errors}"));
        Some(steps)
    }
}

fn config(demo: &Demo, crm: &str, url: &str, extra: &Value) -> Value {
    let mut config = demo.facts[crm].clone();
    config["url"] = demo.facts[crm][url].clone();
    config["ca"] = demo.facts["ca_pem"].clone();
    config["external_id"] = json!("E2E-4711");
    config["extra"] = extra.clone();
    config
}

/// Replaces the policies in force and waits until the gate says so.
async fn put_in_force(demo: &Demo, packs: &[(&str, &str)]) {
    let control = http(None);
    let status = format!("{}/v1/policies", demo.fact("/control_url"));
    let revision = async || {
        let answer = call(&control, "GET", &status, demo.fact("/tokens/admin"), None)
            .await
            .unwrap();
        answer.body["revision"].as_str().map(str::to_owned)
    };
    let before = revision().await;
    for entry in fs::read_dir(demo.policies()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }
    for (name, text) in packs {
        let folder = demo.policies().join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{name}.rego")), text).unwrap();
    }
    for _ in 0..1000 {
        if revision().await != before {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the policies did not change:\n{}", demo.process.output());
}

async fn reset(demo: &Demo, crm: &str) {
    let url = format!(
        "{}/_sim/reset",
        demo.facts[crm]["simulator_url"].as_str().unwrap()
    );
    assert!(
        call(&http(None), "POST", &url, "", None)
            .await
            .unwrap()
            .status
            < 300
    );
}

async fn same_through_the_gate(program: &Program, crm: &str) {
    let demo = Demo::start();
    put_in_force(&demo, &[("allow_all", ALLOW_ALL)]).await;
    reset(&demo, crm).await;
    let Some(direct) = program.run(
        &config(&demo, crm, "simulator_tls_url", &json!([])),
        &demo.scratch(),
    ) else {
        return;
    };
    reset(&demo, crm).await;
    let gated = program
        .run(
            &config(&demo, crm, "gateway_url", &json!([])),
            &demo.scratch(),
        )
        .unwrap();
    assert!(direct.len() > 10, "a client did too little: {direct:#?}");
    assert_eq!(gated.len(), direct.len());
    for (direct, gated) in direct.iter().zip(&gated) {
        assert_eq!(
            gated, direct,
            "through the gate (left) and without it (right)"
        );
    }
    let failed: Vec<_> = ["create", "read", "update", "query", "delete"]
        .iter()
        .filter(|step| {
            direct
                .iter()
                .any(|seen| seen["step"] == **step && seen.get("error").is_some())
        })
        .collect();
    assert!(failed.is_empty(), "{failed:?} failed even without the gate");
}

async fn refusal_is_shown(program: &Program, crm: &str, record: Value) {
    let demo = Demo::start();
    let extra = json!([["refused", record]]);
    let Some(steps) = program.run(&config(&demo, crm, "gateway_url", &extra), &demo.scratch())
    else {
        return;
    };
    let refused = steps.iter().find(|step| step["step"] == "refused").unwrap();
    let error = refused["error"].to_string();
    assert!(
        error.contains("e-mail") || error.contains("email"),
        "the policy's message is not shown: {refused}"
    );
}

#[tokio::test]
async fn simple_salesforce_sees_no_difference() {
    same_through_the_gate(&Program::Python("salesforce_run.py"), "salesforce").await;
}

#[tokio::test]
async fn jsforce_sees_no_difference() {
    same_through_the_gate(&Program::Node("salesforce_run.mjs"), "salesforce").await;
}

#[tokio::test]
async fn the_python_dataverse_client_sees_no_difference() {
    same_through_the_gate(&Program::Python("dynamics_run.py"), "dynamics").await;
}

#[tokio::test]
async fn dynamics_web_api_sees_no_difference() {
    same_through_the_gate(&Program::Node("dynamics_run.mjs"), "dynamics").await;
}

#[tokio::test]
async fn simple_salesforce_shows_a_refusal() {
    let record =
        json!({"object": "Contact", "record": {"LastName": "Haddad", "Email": "not-an-address"}});
    refusal_is_shown(&Program::Python("salesforce_run.py"), "salesforce", record).await;
}

#[tokio::test]
async fn jsforce_shows_a_refusal() {
    let record =
        json!({"object": "Contact", "record": {"LastName": "Haddad", "Email": "not-an-address"}});
    refusal_is_shown(&Program::Node("salesforce_run.mjs"), "salesforce", record).await;
}

#[tokio::test]
async fn the_python_dataverse_client_shows_a_refusal() {
    let record = json!({"object": "contact", "record": {"lastname": "Haddad", "emailaddress1": "not-an-address"}});
    refusal_is_shown(&Program::Python("dynamics_run.py"), "dynamics", record).await;
}

#[tokio::test]
async fn dynamics_web_api_shows_a_refusal() {
    let record = json!({"collection": "contacts", "record": {"lastname": "Haddad", "emailaddress1": "not-an-address"}});
    refusal_is_shown(&Program::Node("dynamics_run.mjs"), "dynamics", record).await;
}
