//! The record is whole after kills at random moments under load, and says so to whoever asks; what
//! was changed in it is found out by the command.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crmgate_store::RawEntry;
use crmgate_store::checkpoint::Verifier;
use crmgate_store::verify::{Report, Verification};
use serde_json::{Value, json};

use crate::control::call;
use crate::process::binary;
use crate::served::{Site, contact};

/// The record of the running gate, verified here against checkpoints.
async fn verify(site: &Site, checkpoints: &str) -> Report {
    let key = site.control("/v1/record/key").await;
    let verifier = Verifier::new(key.body["pem"].as_str().unwrap()).unwrap();
    let checkpoints = checkpoints
        .lines()
        .map(|line| verifier.read(line).unwrap())
        .collect();
    let mut check = Verification::new(checkpoints);
    let mut after = json!(0);
    loop {
        let page = site
            .control(&format!("/v1/record/entries?after={after}&limit=300"))
            .await;
        assert_eq!(page.status, 200, "{}", page.body);
        for entry in page.body["entries"].as_array().unwrap() {
            let raw: RawEntry = serde_json::from_value(entry.clone()).unwrap();
            check.take(&raw);
        }
        after = page.body["next"].clone();
        if after.is_null() {
            return check.finish();
        }
    }
}

async fn write_until_it_dies(site: Arc<Site>, round: usize, written: Arc<AtomicUsize>) {
    let url = format!("{}/api/data/v9.2/contacts", site.dynamics_url());
    let gate = site.fresh_client();
    for number in 0.. {
        let body = contact(false, &format!("Round {round} number {number}"));
        if call(&gate, "POST", &url, &site.dynamics_token, Some(&body))
            .await
            .is_err()
        {
            return;
        }
        written.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_whole_after_kills_at_random_moments() {
    let site = Arc::new(Site::new(&[]).await);
    let file = site.path().join("checkpoints.jws");
    let settings = [
        ("CRMGATE__RECORD__CHECKPOINT_FILE", file.to_str().unwrap()),
        ("CRMGATE__RECORD__CHECKPOINT_ENTRIES", "10"),
    ];
    for round in [3, 17, 29, 1] {
        let mut gate = site.start(&settings);
        let written = Arc::new(AtomicUsize::new(0));
        let clients: Vec<_> = (0..4)
            .map(|_| {
                tokio::spawn(write_until_it_dies(
                    Arc::clone(&site),
                    round,
                    Arc::clone(&written),
                ))
            })
            .collect();
        while written.load(Ordering::Relaxed) < round {
            tokio::task::yield_now().await;
        }
        gate.kill();
        for client in clients {
            client.await.unwrap();
        }
    }
    let _gate = site.start(&settings);
    let checkpoints = std::fs::read_to_string(&file).unwrap();
    assert!(checkpoints.lines().count() >= 4, "one at every start");
    let report = verify(&site, &checkpoints).await;
    assert!(report.whole, "{:#?}", report.faults);
    // The token's making and five gates.
    assert_eq!(report.chains.len(), 6);
    assert!(report.payloads.kept >= 50 && report.covered.is_some());
}

fn crmgate(site: &Site, arguments: &[&str]) -> (i32, String) {
    let done = Command::new(binary())
        .args(arguments)
        .current_dir(site.path())
        .env("CRMGATE_URL", site.control_url())
        .env("CRMGATE_TOKEN", &site.admin)
        .output()
        .unwrap();
    let text = [done.stdout, done.stderr].concat();
    (
        done.status.code().unwrap(),
        String::from_utf8(text).unwrap(),
    )
}

fn read(site: &Site, name: &str) -> String {
    std::fs::read_to_string(site.path().join(name)).unwrap()
}

/// Erases the payload of one decision and saves the entries, all by commands.
async fn erase_and_save(site: &Site) {
    let (code, key) = crmgate(site, &["decisions", "key"]);
    assert_eq!(code, 0, "{key}");
    std::fs::write(site.path().join("key.pem"), &key).unwrap();
    let id = site.decisions().await[1]["decision"]["id"].clone();
    let id = id.as_str().unwrap();
    let erase = [
        "decisions",
        "erase",
        "--decision",
        id,
        "--reason",
        "asked for",
    ];
    for (arguments, told) in [
        (erase.as_slice(), "1 decisions' payloads erased"),
        (&["decisions", "show", id], "ERASED on request"),
        (
            &["decisions", "verify", "--save", "entries.ndjson"],
            "the gate's own word",
        ),
    ] {
        let (code, said) = crmgate(site, arguments);
        assert_eq!((code, said.contains(told)), (0, true), "{said}");
    }
}

/// Verifies a file by the checkpoints, and holds the exit code to the report.
fn vouched(site: &Site, file: &str) -> Value {
    let arguments = [
        "decisions",
        "verify",
        "--output",
        "json",
        file,
        "--checkpoints",
        "checkpoints.jws",
        "--public-key",
        "key.pem",
    ];
    let (code, said) = crmgate(site, &arguments);
    let report: Value = serde_json::from_str(&said).expect(&said);
    assert_eq!(report["whole"] == json!(true), code == 0, "{said}");
    report
}

#[tokio::test]
async fn the_command_verifies_erases_and_finds_changes() {
    let site = Site::new(&[]).await;
    let file = site.path().join("checkpoints.jws");
    let gate = site.start(&[("CRMGATE__RECORD__CHECKPOINT_FILE", file.to_str().unwrap())]);
    let url = format!("{}/api/data/v9.2/contacts", site.dynamics_url());
    for number in 0..3 {
        let body = contact(false, &format!("Number {number}"));
        let answer = call(&site.gate, "POST", &url, &site.dynamics_token, Some(&body)).await;
        assert_eq!(answer.unwrap().status, 204);
    }
    erase_and_save(&site).await;
    gate.end();

    let report = vouched(&site, "data/crmgate.db");
    assert_eq!(report["whole"], json!(true), "{report}");
    assert_eq!(report["payloads"]["erased"], json!(1), "{report}");
    // The last checkpoint is of the end, and nothing came after the entries were saved.
    assert_eq!(report["uncertain"], json!([]));
    assert_eq!(vouched(&site, "entries.ndjson")["whole"], json!(true));

    let entries = read(&site, "entries.ndjson");
    let lines: Vec<&str> = entries.lines().collect();
    let changed = [
        entries.replacen("allow", "deny", 1),
        lines[..lines.len() - 1].join("\n"),
        [&lines[..3], &lines[4..]].concat().join("\n"),
    ];
    for text in changed {
        std::fs::write(site.path().join("changed.ndjson"), text).unwrap();
        let report = vouched(&site, "changed.ndjson");
        assert_eq!(report["whole"], json!(false), "{report}");
        assert!(!report["faults"].as_array().unwrap().is_empty());
    }
    // A checkpoint that somebody else signed.
    let bent = read(&site, "checkpoints.jws").replacen("eyJ", "eyK", 1);
    std::fs::write(site.path().join("checkpoints.jws"), bent).unwrap();
    let report = vouched(&site, "data/crmgate.db");
    let bad = report["bad_checkpoints"].as_array().unwrap();
    assert_eq!(bad.len(), 1, "{report}");
    let keyless = [
        "decisions",
        "verify",
        "--checkpoints",
        "x",
        "data/crmgate.db",
    ];
    let (code, said) = crmgate(&site, &keyless);
    assert_eq!((code, said.contains("--public-key")), (2, true), "{said}");
}
