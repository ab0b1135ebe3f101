//! A group of which one waits for people.

use std::fs;

use serde_json::{Value, json};

use super::{crmgate, newest, site, token};
use crate::control::call;
use crate::served::Site;

/// Three contacts that happen together or not at all; the one in the middle is held.
fn submit(site: &Site, name: &str) -> Vec<String> {
    let lines = ["A", "Big", "C"].map(|kind| {
        json!({
            "client_id": format!("{kind} {name}"),
            "group": name,
            "operation": {"kind": "create", "object": "contact",
                "record": {"last_name": format!("{kind} {name}")}},
        })
        .to_string()
    });
    let file = site.path().join("group.ndjson");
    fs::write(&file, lines.join("\n")).unwrap();
    let file = file.to_str().unwrap();
    let told = crmgate(
        site,
        &site.admin,
        &["ops", "submit", file, "--connection", "acme-dv"],
    );
    assert_eq!(told.0, 0, "{told:?}");
    lines.iter().map(|line| id_of(site, line)).collect()
}

fn id_of(site: &Site, line: &str) -> String {
    let line: Value = serde_json::from_str(line).unwrap();
    let own = line["client_id"].as_str().unwrap();
    let listed = crmgate(site, &site.admin, &["ops", "list", "--client-id", own]);
    let listed: Value = serde_json::from_str(&listed.1).unwrap_or_else(|_| panic!("{listed:?}"));
    listed["items"][0]["id"].as_str().unwrap().to_owned()
}

/// Waits until it stands there.
async fn reaches(site: &Site, id: &str, state: &str) -> Value {
    for _ in 0..100 {
        let url = format!("{}/v1/operations/{id}?wait=1s", site.control_url());
        let seen = call(&site.plain, "GET", &url, &site.admin, None).await;
        let seen = seen.unwrap().body;
        if seen["state"] == state {
            return seen;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{id} never was {state}");
}

async fn stored(site: &Site, group: &str) -> usize {
    let url = format!("{}/_sim/records/contact", site.dynamics.url);
    let all = call(&site.plain, "GET", &url, "", None).await.unwrap().body;
    let named = |row: &&Value| {
        row["lastname"]
            .as_str()
            .unwrap_or_default()
            .ends_with(group)
    };
    all.as_array().unwrap().iter().filter(named).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_group_nothing_is_written_before_people_agree_and_all_in_one_call_after() {
    let site = site().await;
    let _gate = site.start(&[]);
    let ada = token(&site, "ada@example.com");
    let ids = submit(&site, "yes");
    reaches(&site, &ids[1], "held").await;
    for other in [&ids[0], &ids[2]] {
        let waits = reaches(&site, other, "received").await;
        assert_eq!(waits["why"]["code"], "group_waits", "{waits}");
    }
    assert!(site.writes(&site.dynamics).await.is_empty());
    let asked = newest(&site).await;
    assert_eq!(asked["operation_state"]["id"], ids[1].as_str());
    let hold = asked["id"].as_str().unwrap();
    let agreed = crmgate(
        &site,
        &ada,
        &["approvals", "approve", hold, "--wait", "30s"],
    );
    assert_eq!(agreed.0, 0, "{agreed:?}");
    for id in &ids {
        reaches(&site, id, "succeeded").await;
    }
    assert_eq!(stored(&site, "yes").await, 3);
    let writes = site.writes(&site.dynamics).await;
    assert_eq!(writes.len(), 1, "all in one: {writes:#?}");

    // One "no" ends all of it.
    let ids = submit(&site, "no");
    reaches(&site, &ids[1], "held").await;
    let asked = newest(&site).await;
    let no = [
        "approvals",
        "reject",
        asked["id"].as_str().unwrap(),
        "--reason",
        "no",
    ];
    assert_eq!(crmgate(&site, &ada, &no).0, 0);
    reaches(&site, &ids[1], "rejected").await;
    for other in [&ids[0], &ids[2]] {
        reaches(&site, other, "cancelled").await;
    }
    assert_eq!(stored(&site, "no").await, 0);
    assert_eq!(site.writes(&site.dynamics).await.len(), 1);
}
