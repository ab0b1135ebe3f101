//! The tables of understood routes, walked: what writes is refused with a recorded decision, what
//! reads changes nothing.

use serde::Deserialize;
use serde_json::Value;

use super::table::Crm;
use super::{DENY_ALL, House};
use crate::control::call;

/// A route as its file has it.
#[derive(Debug, Deserialize)]
struct Route {
    id: String,
    methods: Vec<String>,
    path: String,
    class: String,
}

fn table(crm: Crm) -> Vec<Route> {
    let text = match crm {
        Crm::Salesforce => include_str!("../../../connectors/salesforce/routes.yaml"),
        Crm::Dynamics => include_str!("../../../connectors/dynamics/routes.yaml"),
    };
    yaml_serde::from_str(text).unwrap()
}

/// A place of the template filled in so that it means a contact.
fn place(crm: Crm, route: &Route, id: &str, account: &str) -> String {
    let property = if route.id.contains("lookup") {
        "parentcustomerid_account"
    } else {
        "jobtitle"
    };
    let version = match (crm, route.path.contains("/Soap/")) {
        (Crm::Salesforce, true) => "59.0",
        (Crm::Salesforce, false) => "v66.0",
        (Crm::Dynamics, _) => "v9.2",
    };
    let key = match crm {
        Crm::Salesforce => "door",
        Crm::Dynamics => id,
    };
    [
        ("{version}", version),
        ("{object}", "Contact"),
        ("{id}", id),
        ("{field}", "Ext_Id__c"),
        ("{key}", key),
        ("{set}", "contacts"),
        ("{property}", property),
        ("{tenant}", "common"),
        ("{org}", "00D000000000001"),
        ("{user}", "005000000000001"),
        ("{job}", "750000000000001AAA"),
        ("{rest...}", "Contact"),
    ]
    .iter()
    .fold(route.path.clone(), |path, (name, value)| {
        path.replace(name, value)
    })
    .replace("{account}", account)
}

fn body(crm: Crm, route: &Route, account: &str) -> Option<Value> {
    let text = match (crm, route.id.as_str()) {
        (_, "delete" | "clear_property" | "clear_lookup") => return None,
        // A key that no record has: nothing to delete, and nothing to judge.
        (_, "delete-by-key") => return None,
        (_, "set_property") => r#"{"value":"x"}"#.to_owned(),
        (_, "set_lookup") => format!(r#"{{"@odata.id":"/accounts({account})"}}"#),
        (Crm::Salesforce, _) => r#"{"LastName":"Walked"}"#.to_owned(),
        (Crm::Dynamics, _) => r#"{"lastname":"Walked"}"#.to_owned(),
    };
    Some(serde_json::from_str(&text).unwrap())
}

async fn walk(crm: Crm) {
    let house = House::new(DENY_ALL).await;
    let face = house.face(crm);
    let before = house.holdings(crm).await;
    let mut wrong = Vec::new();
    let (mut judged, mut passed) = (0, 0);
    for route in table(crm) {
        for method in &route.methods {
            let path = place(crm, &route, &face.id, &face.account);
            let url = format!("https://{}{path}", face.host());
            let named = format!("{} {method} {path}", route.id);
            let body = match method.as_str() {
                "GET" | "HEAD" => None,
                _ => body(crm, &route, &face.account),
            };
            let answer = call(&house.site.gate, method, &url, &face.token, body.as_ref())
                .await
                .unwrap_or_else(|error| panic!("{named}: {error}"));
            if route.class != "write" {
                passed += 1;
                // A fault is how SOAP refuses; what the simulator leaves out is its own 501.
                let honest = answer.status < 500
                    || answer.status == 501
                    || (answer.status == 500 && path.contains("/Soap/"));
                if !honest {
                    wrong.push(format!("{named}: {} {}", answer.status, answer.body));
                }
                continue;
            }
            judged += 1;
            if route.id == "delete-by-key" {
                continue;
            }
            let Some(decision) = answer.header("crmgate-decision") else {
                wrong.push(format!("{named}: {} {}", answer.status, answer.body));
                continue;
            };
            let recorded = house
                .site
                .control(&format!("/v1/decisions/{decision}"))
                .await;
            if answer.status != 400 || recorded.body["decision"]["effect"] != "deny" {
                wrong.push(format!(
                    "{named}: {} {}",
                    answer.status, recorded.body["decision"]
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(judged > 5 && passed > 5, "{judged} writes, {passed} reads");
    assert_eq!(house.holdings(crm).await, before, "a record changed");
    let wrote: Vec<Value> = house
        .writes(crm)
        .await
        .into_iter()
        .filter(|entry| {
            let path = entry["path"].as_str().unwrap();
            // Reads by other methods than GET.
            !["parameterizedSearch", "composite/sobjects/", "jobs/query"]
                .iter()
                .any(|read| path.contains(read))
        })
        .collect();
    assert!(wrote.is_empty(), "{wrote:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_routes_of_salesforce_are_walked() {
    walk(Crm::Salesforce).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_routes_of_dynamics_are_walked() {
    walk(Crm::Dynamics).await;
}
