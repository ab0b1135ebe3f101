//! What the gate tells about itself: numbers, traces, logs, and what stands on them.

use std::fs;
use std::process::Command;

use serde_json::json;

use crate::control::{Answer, call};
use crate::process::binary;
use crate::served::{Site, contact};

mod collector;
mod flood;
mod leaks;
mod numbers;
mod queries;
mod scrape;
mod traces;

/// A policy that can say everything, by the last name.
const WATCHED: &str = r#"# METADATA
# title: Watched
# description: Decides by the last name, so that a test can have any effect.
# scope: package
# custom:
#   owner: tests
#   objects: [contact]
#   operations: [create, update]
package crm.tests.watched

deny contains {"code": "not_this_one", "message": "this name is refused", "fields": ["last_name"]} if {
	input.record.last_name == "Refused"
}

deny contains {"code": sprintf("made_up_%s", [input.record.first_name]), "message": "a code that a record chose", "fields": []} if {
	input.record.last_name == "Coded"
}

deny contains {"code": "broken", "message": "never said", "fields": []} if {
	startswith(input.record.last_name, "Broken")
	to_number(input.record.last_name) > 0
}

require_approval contains {"code": "held_name", "reason": "this name needs people", "approvers": {"users": ["boss@example.com"], "groups": []}} if {
	input.record.last_name == "Held"
}

warn contains {"code": "odd_name", "message": "an odd name", "fields": ["last_name"]} if {
	input.record.last_name == "Odd"
}
"#;

/// A site with everything that has numbers of its own: a sink of the decision log, a checkpoint
/// file, a bundle.
async fn watched() -> Site {
    let site = Site::new(&[("watched", WATCHED)]).await;
    let folder = site.path().join("sources/pack");
    fs::create_dir_all(&folder).unwrap();
    let bundled = WATCHED.replace("crm.tests.watched", "crm.bundled.pack");
    fs::write(
        folder.join("bundled.rego"),
        bundled.replace("[contact]", "[task]"),
    )
    .unwrap();
    let built = Command::new(binary())
        .current_dir(site.path())
        .args(["policy", "bundle", "build", "sources", "-o", "built.tar.gz"])
        .output()
        .unwrap();
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let file = site.path().join("crmgate.toml");
    let config = fs::read_to_string(&file).unwrap();
    let more = "[policies.bundles.central]\nfile = \"built.tar.gz\"\n\
                [decision_log.sinks.archive]\nkind = \"file\"\npath = \"log/decisions.ndjson\"\n\
                [record]\ncheckpoint_file = \"checkpoints.jws\"\n";
    fs::write(file, config + more).unwrap();
    site
}

impl Site {
    /// Creates a contact through the gate.
    async fn create(&self, salesforce: bool, body: &serde_json::Value) -> Answer {
        let (url, token) = if salesforce {
            let path = "/services/data/v66.0/sobjects/Contact";
            (
                format!("{}{path}", self.salesforce_url()),
                &self.salesforce_token,
            )
        } else {
            let path = "/api/data/v9.2/contacts";
            (
                format!("{}{path}", self.dynamics_url()),
                &self.dynamics_token,
            )
        };
        call(&self.gate, "POST", &url, token, Some(body))
            .await
            .unwrap()
    }

    /// The numbers as Prometheus gets them.
    async fn metrics(&self) -> scrape::Scrape {
        let answer = self.control("/metrics").await;
        scrape::Scrape::read(answer.body.as_str().unwrap())
    }
}

/// Some of everything.
async fn traffic(site: &Site) {
    for salesforce in [true, false] {
        for (name, status) in [
            ("Allowed", [201, 204]),
            ("Odd", [201, 204]),
            ("Refused", [400, 403]),
            ("Held", [400, 403]),
            ("Broken", [503, 503]),
        ] {
            let answer = site.create(salesforce, &contact(salesforce, name)).await;
            assert!(status.contains(&answer.status), "{name}: {}", answer.body);
        }
    }
    let read = format!(
        "{}/services/data/v66.0/sobjects/Account/describe",
        site.salesforce_url()
    );
    let unknown = format!("{}/services/nothing/here", site.salesforce_url());
    for (url, token) in [
        (&read, &site.salesforce_token),
        (&unknown, &site.salesforce_token),
    ] {
        call(&site.gate, "GET", url, token, None).await.unwrap();
    }
    let wanted = json!({
        "connection": "acme-sf",
        "operation": {"kind": "create", "object": "contact", "record": {"last_name": "Refused"}},
    });
    let url = format!("{}/v1/validate", site.control_url());
    let answer = call(&site.plain, "POST", &url, &site.admin, Some(&wanted)).await;
    assert_eq!(answer.unwrap().status, 200);
    for path in [
        "/v1/policies",
        "/v1/decisions",
        "/v1/nothing",
        "/healthz",
        "/readyz",
    ] {
        site.control(path).await;
    }
}
