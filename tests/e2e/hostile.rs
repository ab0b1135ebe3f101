//! Hostile policies in one connection's layer: the process survives every one, the tenant alone is
//! refused, and goes on when the file is mended.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use serde_json::Value;

use crate::control::{Answer, call, http};
use crate::process::binary;
use crate::served::{Site, contact};

const GLOBAL: &str = "# METADATA
# title: t
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.tests.global

deny contains \"global\" if input.record.last_name == \"No\"
";

/// The folder of the corpus.
fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("hostile")
}

fn cases() -> Vec<PathBuf> {
    let entries = fs::read_dir(corpus()).unwrap();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_none_or(|extension| extension == "rego"))
        .collect();
    found.sort();
    found
}

/// The first line of a case: a word, and the rest.
fn expected(case: &Path) -> (String, String) {
    let file = if case.is_dir() {
        case.join("policy.rego")
    } else {
        case.to_owned()
    };
    let text = fs::read_to_string(&file).unwrap();
    let line = text.lines().next().unwrap();
    let line = line.strip_prefix("# expect: ").unwrap();
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    (word.to_owned(), rest.to_owned())
}

/// The layer of one connection.
struct LayerOf<'a>(&'a Site);

impl LayerOf<'_> {
    fn folder(&self) -> PathBuf {
        self.0.path().join("policies/connections/acme-sf")
    }

    fn clear(&self) {
        fs::remove_dir_all(self.folder()).ok();
    }

    fn put(&self, case: &Path) {
        self.clear();
        copy(case, &self.folder(), case.is_file());
    }
}

fn copy(from: &Path, to: &Path, alone: bool) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()), false);
        }
    } else if alone {
        fs::create_dir_all(to).unwrap();
        fs::copy(from, to.join("policy.rego")).unwrap();
    } else {
        fs::copy(from, to).unwrap();
    }
}

async fn reload(site: &Site) -> Answer {
    let url = format!("{}/v1/policies/reload", site.control_url());
    let client = http(None);
    let answer = call(&client, "POST", &url, &site.admin, None);
    answer.await.unwrap()
}

async fn create(site: &Site, salesforce: bool) -> Answer {
    let (url, token) = if salesforce {
        (
            format!(
                "{}/services/data/v66.0/sobjects/Contact",
                site.salesforce_url()
            ),
            &site.salesforce_token,
        )
    } else {
        (
            format!("{}/api/data/v9.2/contacts", site.dynamics_url()),
            &site.dynamics_token,
        )
    };
    let body = contact(salesforce, "Hostile");
    let answer = call(&site.gate, "POST", &url, token, Some(&body)).await;
    answer.unwrap()
}

/// What is wrong with how a case came out.
async fn wrong(site: &Site, case: &Path) -> Option<String> {
    let (word, rest) = expected(case);
    let reloaded = reload(site).await;
    if reloaded.status != 200 {
        return Some(format!(
            "the reload was answered {}: {}",
            reloaded.status, reloaded.body
        ));
    }
    let refused = reloaded.body["without"] == serde_json::json!(["acme-sf"]);
    let ready = site.control("/readyz").await;
    let degraded = ready.body["state"] == "degraded";
    if (refused, degraded) != (word == "refused", word == "refused") && word != "slow" {
        return Some(format!("{} {}", reloaded.body, ready.body));
    }
    let neighbour = create(site, false).await;
    if neighbour.header("crmgate-effect") != Some("allow") {
        return Some(format!(
            "the neighbour got {}: {}",
            neighbour.status, neighbour.body
        ));
    }
    if refused {
        return told(site, &rest).await;
    }
    let answer = create(site, true).await;
    let effect = answer.header("crmgate-effect").unwrap_or("none").to_owned();
    let decision = answer.header("crmgate-decision").unwrap_or("none");
    let record = site
        .control(&format!("/v1/decisions/{decision}"))
        .await
        .body
        .to_string();
    let right = match word.as_str() {
        "allow" | "deny" => effect == word && answer.body.to_string().len() < 300_000,
        // A quick machine comes to a bound before the time is over.
        "slow" => {
            let ends = [
                "did not end within",
                "beyond its bound",
                "in one evaluation",
            ];
            effect == "error" && ends.iter().any(|end| record.contains(end))
        }
        _ => {
            effect == "error"
                && record.contains(
                    &serde_json::to_string(&rest)
                        .unwrap()
                        .trim_matches('"')
                        .to_owned(),
                )
        }
    };
    let shown: String = record.chars().take(500).collect();
    (!right || record.len() > 600_000).then(|| format!("{effect}: {} {shown}", answer.body))
}

/// The faults name the layer's file and what the case says.
async fn told(site: &Site, rest: &str) -> Option<String> {
    let status = site.control("/v1/policies").await.body;
    let layer = &status["connections"][0];
    let faults = layer["faults"].as_array().cloned().unwrap_or_default();
    let (line, part) = match rest.split_once(' ') {
        Some((line, part)) if line.parse::<u32>().is_ok() => (format!(":{line}"), part),
        None if rest.parse::<u32>().is_ok() => (format!(":{rest}"), ""),
        _ => (String::new(), rest),
    };
    let hit = |fault: &Value| {
        let text = fault.as_str().unwrap_or_default();
        text.starts_with("connections/acme-sf/") && text.contains(&line) && text.contains(part)
    };
    let right = layer["connection"] == "acme-sf" && layer["shut"] == false;
    (!right || !faults.iter().any(hit)).then(|| status.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_hostile_policy_is_its_tenants_own_trouble() {
    let site = Arc::new(Site::new(&[("global", GLOBAL)]).await);
    let mut gate = site.start(&[
        ("CRMGATE__POLICIES__WATCH", "false"),
        // Debug builds are slow, and the corpus is no race.
        ("CRMGATE__POLICIES__TIME_LIMIT", "500ms"),
        ("CRMGATE__POLICIES__SLOW_DEADLINE", "30s"),
    ]);
    let layer = LayerOf(&site);
    // The corpus would otherwise leave the connection without any layer to fall back on.
    assert_eq!(reload(&site).await.status, 200);
    let mut faults = Vec::new();
    for case in cases() {
        layer.put(&case);
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        if let Some(wrong) = wrong(&site, &case).await {
            faults.push(format!("{name}: {wrong}"));
        }
        assert!(
            !gate.ended(),
            "{name} ended the process:\n{}",
            gate.output()
        );
        layer.clear();
        reload(&site).await;
    }
    assert!(
        faults.is_empty(),
        "{} wrong\n{}",
        faults.len(),
        faults.join("\n")
    );
    let ready = site.control("/readyz").await;
    assert_eq!(ready.status, 200, "{}", ready.body);
    assert_ne!(ready.body["state"], "failed", "{}", ready.body);
    let mended = create(&site, true).await;
    assert_eq!(
        mended.header("crmgate-effect"),
        Some("allow"),
        "{}",
        mended.body
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_that_is_mended_comes_into_force_by_itself() {
    let site = Arc::new(Site::new(&[("global", GLOBAL)]).await);
    let _gate = site.start(&[]);
    let layer = LayerOf(&site);
    layer.put(&corpus().join("recursion_rule.rego"));
    until(&site, "degraded").await;
    let answer = create(&site, true).await;
    assert_eq!(
        answer.header("crmgate-effect"),
        Some("allow"),
        "{}",
        answer.body
    );
    layer.clear();
    until(&site, "ok").await;
}

async fn until(site: &Site, state: &str) {
    for _ in 0..600 {
        let policies = site.control("/v1/policies").await.body;
        let degraded = policies["degraded"] == true;
        if degraded == (state == "degraded") {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the policies never were {state}");
}

/// The child that tries policies is ended when it takes too long or too much, and says at what.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_has_a_limit_of_time_and_of_memory() {
    let site = Site::new(&[("global", GLOBAL)]).await;
    let check = |name: &str, value: &str| {
        let output = Command::new(binary())
            .args(["check", "--config", "crmgate.toml", "--offline"])
            .env(name, value)
            .current_dir(site.path())
            .output()
            .unwrap();
        let mut told = String::from_utf8_lossy(&output.stdout).into_owned();
        told.push_str(&String::from_utf8_lossy(&output.stderr));
        (output.status.success(), told)
    };
    let (sound, told) = check("CRMGATE__POLICIES__LOAD_MEMORY", "1 GiB");
    assert!(sound, "{told}");
    let (sound, told) = check("CRMGATE__POLICIES__LOAD_TIME", "1ms");
    assert!(!sound && told.contains("did not end within 1ms"), "{told}");
    let big = format!("{{\"a\": [{}1]}}", "1, ".repeat(4_000_000));
    fs::write(site.path().join("policies/global/data.json"), big).unwrap();
    let (sound, told) = check("CRMGATE__POLICIES__LOAD_MEMORY", "256 MiB");
    assert!(
        !sound && told.contains("needed more than the 256 MiB of memory"),
        "{told}"
    );
    assert!(told.contains("global/data.json"), "{told}");
}
