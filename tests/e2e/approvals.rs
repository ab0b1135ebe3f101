//! Approvals through the real binary: nothing arrives before people agree, and exactly one write
//! after, in both CRMs; two votes race; the record tells who.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::control::{Answer, call, http};
use crate::process::binary;
use crate::served::{Site, contact};

mod executed;
mod grouped;

/// Holds contacts whose last name begins with `Big`.
const POLICY: &str = r#"# METADATA
# title: Big names
# description: Big names need the finance team.
# scope: package
# custom:
#   owner: tests
#   objects: [contact]
#   operations: [create]
package crm.tests.big

require_approval contains {
	"code": "big",
	"reason": "a big name",
	"approvers": {"groups": ["finance"]},
	"reject_needs_reason": true,
} if startswith(input.record.last_name, "Big")

require_approval contains {
	"code": "lonely",
	"reason": "nobody is in this group",
	"approvers": {"groups": ["nobody"]},
} if input.record.last_name == "Lonely"
"#;

const PEOPLE: &str = r#"
[people."ada@example.com"]
accounts = ["ada"]
groups = ["finance"]
[people."bob@example.com"]
groups = ["Finance"]
[people."cyd@example.com"]
groups = ["sales"]
"#;

async fn site() -> Site {
    let site = Site::new(&[("big", POLICY)]).await;
    let file = site.path().join("crmgate.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}{PEOPLE}")).unwrap();
    site
}

/// A token for a person, made through the command.
fn token(site: &Site, person: &str) -> String {
    token_as(site, "approver", person)
}

fn token_as(site: &Site, role: &str, person: &str) -> String {
    let told = crmgate(
        site,
        &site.admin,
        &[
            "token", "create", "--name", person, "--role", role, "--person", person,
        ],
    );
    let answer: Value = serde_json::from_str(&told.1).unwrap_or_else(|_| panic!("{told:?}"));
    answer["token"].as_str().unwrap().to_owned()
}

/// Runs a command against the site; its exit code, its output and its complaints.
fn crmgate(site: &Site, token: &str, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(binary())
        .args(arguments)
        .args(["--url", &site.control_url(), "--token", token])
        .args(["--output", "json"])
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

async fn create(site: &Site, salesforce: bool, name: &str) -> Answer {
    let (url, token) = if salesforce {
        let path = "/services/data/v66.0/sobjects/Contact";
        (
            format!("{}{path}", site.salesforce_url()),
            &site.salesforce_token,
        )
    } else {
        let path = "/api/data/v9.2/contacts";
        (
            format!("{}{path}", site.dynamics_url()),
            &site.dynamics_token,
        )
    };
    let body = contact(salesforce, name);
    call(&site.gate, "POST", &url, token, Some(&body))
        .await
        .unwrap()
}

/// The newest hold.
async fn newest(site: &Site) -> Value {
    let listed = site.control("/v1/approvals?status=waiting&limit=1").await;
    assert_eq!(listed.status, 200, "{}", listed.body);
    listed.body["items"][0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_arrives_before_people_agree_and_one_write_after() {
    let site = site().await;
    let _gate = site.start(&[]);
    let (ada, bob, cyd) = (
        token(&site, "ada@example.com"),
        token(&site, "bob@example.com"),
        token(&site, "cyd@example.com"),
    );
    for salesforce in [true, false] {
        let simulator = if salesforce {
            &site.salesforce
        } else {
            &site.dynamics
        };
        let held = create(&site, salesforce, "Big One").await;
        assert_eq!(held.status, 400, "{}", held.body);
        assert_eq!(held.header("crmgate-effect"), Some("require_approval"));
        assert!(site.writes(simulator).await.is_empty(), "nothing arrived");
        let asked = newest(&site).await;
        let id = asked["id"].as_str().unwrap();
        // Whoever is not asked does not see what is about a person.
        assert_eq!(asked["fields"][0]["to"], "**REDACTED**", "{asked}");
        let shown = crmgate(&site, &ada, &["approvals", "show", id]);
        assert!(shown.1.contains("Big One"), "{shown:?}");

        let stranger = crmgate(&site, &cyd, &["approvals", "approve", id]);
        assert_eq!(stranger.0, 5, "{stranger:?}");
        assert!(stranger.2.contains("group `finance`"), "{stranger:?}");
        let mine = crmgate(&site, &ada, &["approvals", "list", "--mine"]);
        assert!(mine.1.contains(id), "{mine:?}");
        let speechless = crmgate(&site, &ada, &["approvals", "reject", id]);
        assert!(speechless.2.contains("wants to know why"), "{speechless:?}");
        let agreed = crmgate(
            &site,
            &ada,
            &["approvals", "approve", id, "--reason", "fine"],
        );
        assert_eq!(agreed.0, 0, "{agreed:?}");
        let late = crmgate(&site, &bob, &["approvals", "reject", id, "--reason", "no"]);
        assert!(late.2.contains("approved by ada@example.com"), "{late:?}");
        assert!(
            site.writes(simulator).await.is_empty(),
            "a ticket writes nothing by itself"
        );

        let passed = create(&site, salesforce, "Big One").await;
        assert!(matches!(passed.status, 201 | 204), "{}", passed.body);
        assert_eq!(site.writes(simulator).await.len(), 1);
        let shown = site.control(&format!("/v1/approvals/{id}")).await.body;
        assert_eq!(shown["status"], "spent");
        assert_eq!(shown["votes"][0]["person"], "ada@example.com");
        let decision = passed.header("crmgate-decision").unwrap();
        assert_eq!(shown["spent_by"], decision);
        let decided = site
            .control(&format!("/v1/decisions/{decision}"))
            .await
            .body;
        assert_eq!(
            decided["decision"]["approved"][0]["by"],
            json!(["ada@example.com"])
        );
    }
    let alone = create(&site, true, "Lonely").await;
    assert_eq!(
        alone.header("crmgate-effect"),
        Some("deny"),
        "{}",
        alone.body
    );

    let verified = crmgate(&site, &site.admin, &["decisions", "verify"]);
    assert_eq!(verified.0, 0, "{verified:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn votes_race_over_http_and_the_loser_is_told() {
    let site = site().await;
    let _gate = site.start(&[]);
    let people = [
        token(&site, "ada@example.com"),
        token(&site, "bob@example.com"),
    ];
    for round in 0..5 {
        let name = format!("Big {round}");
        assert_eq!(create(&site, false, &name).await.status, 400);
        let id = newest(&site).await["id"].as_str().unwrap().to_owned();
        let base = format!("{}/v1/approvals/{id}", site.control_url());
        let body = json!({"reason": "because"});
        let (client, (yes, no)) = (
            http(None),
            (format!("{base}/approve"), format!("{base}/reject")),
        );
        let (one, other) = tokio::join!(
            call(&client, "POST", &yes, &people[0], Some(&body)),
            call(&client, "POST", &no, &people[1], Some(&body)),
        );
        let answers = [one.unwrap(), other.unwrap()];
        let won = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(won, 1);
        let lost = answers.iter().find(|answer| answer.status != 200).unwrap();
        assert_eq!(
            (lost.status, &lost.body["code"]),
            (409, &json!("already_decided"))
        );
        assert!(
            lost.body["details"]["ended"]["by"].is_string(),
            "{}",
            lost.body
        );
        let rejected = answers[1].status == 200;
        let retried = create(&site, false, &name).await;
        assert_eq!(retried.status == 400, rejected, "{}", retried.body);
    }
}
