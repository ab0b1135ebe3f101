//! Every door that might lead round the gate, knocked at over the wire. What counts is not the
//! answer alone: the simulators' journals show that nothing arrived.

use serde_json::Value;

use crate::control::call;
use crate::process::Running;
use crate::served::Site;

mod identity;
mod limits;
mod mutants;
mod races;
mod routes;
mod table;
mod wire;

use table::{Crm, Door, Kind};
use wire::{Reply, Wire};

/// Every write, of whatever, is refused.
const DENY_ALL: &str = "# METADATA
# title: Nothing is written
# description: Refuses every write.
# scope: package
# custom:
#   owner: tests
#   objects: [\"*\"]
#   operations: [create, update, delete]
package crm.tests.doors

deny contains {\"code\": \"shut\", \"message\": \"the doors are shut\", \"fields\": []}
";

/// One value is refused, and deleting.
const DENY_VALUE: &str = "# METADATA
# title: One value is not written
# description: Refuses a last name, and deletes.
# scope: package
# custom:
#   owner: tests
#   objects: [contact]
#   operations: [create, update, delete]
package crm.tests.doors

deny contains {\"code\": \"smuggled\", \"message\": \"this name is not let in\", \"fields\": [\"last_name\"]} if {
\tinput.operation.kind in {\"create\", \"update\"}
\tinput.record.last_name == \"Smuggled\"
}

deny contains {\"code\": \"kept\", \"message\": \"contacts are kept\", \"fields\": []} if {
\tinput.operation.kind == \"delete\"
}
";

/// A number above a limit is refused.
const DENY_NUMBER: &str = "# METADATA
# title: Numbers have a limit
# description: Refuses a score or a credit limit above 100.
# scope: package
# custom:
#   owner: tests
#   objects: [contact]
#   operations: [create, update]
package crm.tests.doors

deny contains {\"code\": \"too_much\", \"message\": \"it is too much\", \"fields\": []} if {
\tinput.native.Score__c > 100
}

deny contains {\"code\": \"too_much\", \"message\": \"it is too much\", \"fields\": []} if {
\tinput.native.creditlimit > 100
}
";

/// What the value policy keeps out.
const SMUGGLED: &str = "smuggled";

/// A gate in front of both simulators, and what a door's request is filled in with.
struct House {
    site: Site,
    _gate: Running,
    salesforce: Face,
    dynamics: Face,
}

/// One CRM as it is reached through the gate.
struct Face {
    crm: Crm,
    wire: Wire,
    token: String,
    id: String,
    account: String,
}

impl House {
    async fn new(policy: &str) -> Self {
        Self::with(policy, |config| config).await
    }

    async fn with(policy: &str, change: impl FnOnce(String) -> String) -> Self {
        let site = Site::new(&[("doors", policy)]).await;
        let config = site.path().join("crmgate.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, change(text)).unwrap();
        let gate = site.start(&[]);
        let ca = site.path().join("ca.pem");
        let face = async |crm: Crm, url: String, simulator: &str, token: &str| {
            let (contact, account) = crm.tables();
            let port = url.rsplit_once(':').unwrap().1.parse().unwrap();
            let first = |records: Vec<Value>, id: &str| records[0][id].as_str().unwrap().to_owned();
            let contacts = records(&site, simulator, contact).await;
            let accounts = records(&site, simulator, account).await;
            let (contact_id, account_id) = crm.ids();
            Face {
                crm,
                wire: Wire::new(&ca, port),
                token: token.to_owned(),
                id: first(contacts, contact_id),
                account: first(accounts, account_id),
            }
        };
        let salesforce = face(
            Crm::Salesforce,
            site.salesforce_url(),
            &site.salesforce.url,
            &site.salesforce_token,
        )
        .await;
        let dynamics = face(
            Crm::Dynamics,
            site.dynamics_url(),
            &site.dynamics.url,
            &site.dynamics_token,
        )
        .await;
        Self {
            _gate: gate,
            salesforce,
            dynamics,
            site,
        }
    }

    fn face(&self, crm: Crm) -> &Face {
        match crm {
            Crm::Salesforce => &self.salesforce,
            Crm::Dynamics => &self.dynamics,
        }
    }

    fn simulator(&self, crm: Crm) -> &str {
        match crm {
            Crm::Salesforce => &self.site.salesforce.url,
            Crm::Dynamics => &self.site.dynamics.url,
        }
    }

    /// The writes in a CRM's journal.
    async fn writes(&self, crm: Crm) -> Vec<Value> {
        match crm {
            Crm::Salesforce => self.site.writes(&self.site.salesforce).await,
            Crm::Dynamics => self.site.writes(&self.site.dynamics).await,
        }
    }

    /// All records of a CRM that a door could touch.
    async fn holdings(&self, crm: Crm) -> Vec<(&'static str, Vec<Value>)> {
        let mut all = Vec::new();
        for object in crm.objects() {
            all.push((
                *object,
                records(&self.site, self.simulator(crm), object).await,
            ));
        }
        all
    }
}

async fn records(site: &Site, simulator: &str, object: &str) -> Vec<Value> {
    let url = format!("{simulator}/_sim/records/{object}");
    let answer = call(&site.plain, "GET", &url, "", None).await.unwrap();
    assert_eq!(answer.status, 200, "{object}: {}", answer.body);
    answer.body.as_array().unwrap().clone()
}

/// Whether a text of the record is the refused value, in whatever case and with whatever around it.
fn holds_smuggled(record: &Value) -> bool {
    match record {
        Value::String(text) => text
            .trim_matches(|c: char| c.is_whitespace() || c.is_control())
            .eq_ignore_ascii_case(SMUGGLED),
        Value::Array(items) => items.iter().any(holds_smuggled),
        Value::Object(members) => members.values().any(holds_smuggled),
        _ => false,
    }
}

/// What is wrong with the answers at a door under the policy that refuses all.
fn wrong_answer(crm: Crm, door: &Door, replies: &[Reply]) -> Option<String> {
    if door.kind == Kind::Wire {
        // No answer at all is one: the connection was closed.
        let passed = replies.iter().find(|reply| match reply.status {
            // The first of two in a row may be an honest read.
            200 => replies.len() < 2,
            400..=499 | 505 => false,
            501 => false,
            _ => true,
        });
        return passed.map(|reply| format!("{} {}", reply.status, reply.text()));
    }
    let Some(reply) = replies.last() else {
        return Some("the connection was closed without an answer".to_owned());
    };
    let said = || format!("{} {}", reply.status, reply.text());
    if door.kind == Kind::Read {
        return (reply.status >= 500).then(said);
    }
    let shown = match reply.status {
        401 | 404 | 412 | 429 => false,
        status => (400..=499).contains(&status),
    };
    let expected = if door.answer.is_empty() {
        shown
    } else {
        door.answer.contains(&reply.status)
    };
    if !expected {
        return Some(said());
    }
    if !crm.in_its_shape(reply) {
        return Some(format!("not in the CRM's shape: {}", said()));
    }
    let decided = reply.header("crmgate-decision").is_some();
    if door.kind == Kind::Judged && door.answer.is_empty() && !decided {
        return Some(format!("refused without a decision: {}", said()));
    }
    None
}

async fn knock(face: &Face, door: &Door) -> Vec<Reply> {
    let bytes = door.request(face);
    if door.raw.is_some() {
        return face.wire.send_all(&bytes).await;
    }
    face.wire.send(&bytes).await.into_iter().collect()
}

/// What arrived behind a door that should have been shut.
fn arrived(door: &Door, target: &str, calls: &[Value]) -> Option<String> {
    let arrived = calls.iter().find(|call| {
        let path = call["path"].as_str().unwrap();
        match call["method"].as_str().unwrap() {
            // What the gate looks up for itself has other addresses than the door's.
            "GET" | "HEAD" => door.kind == Kind::Refused && path == target,
            _ if path.contains("oauth2") => false,
            // A bulk query is a read by another method.
            _ => door.kind != Kind::Read || !path.contains("jobs/query"),
        }
    });
    arrived.map(|call| format!("ARRIVED as {call}"))
}

/// A refusal is recorded whether or not the request was understood; only of one that was is there
/// an operation.
async fn not_as_meant(house: &House, door: &Door, replies: &[Reply]) -> Option<String> {
    let meant = match door.kind {
        Kind::Refused => false,
        Kind::Judged if door.answer.is_empty() => true,
        _ => return None,
    };
    let decision = replies.last()?.header("crmgate-decision")?.to_owned();
    let path = format!("/v1/decisions/{decision}");
    let record = house.site.control(&path).await.body;
    let understood = record["operation"].is_object();
    (understood != meant).then(|| format!("understood: {understood}, expected: {meant}: {record}"))
}

/// Knocks at every door of a CRM where everything is refused.
async fn shut(crm: Crm) {
    let house = House::new(DENY_ALL).await;
    let face = house.face(crm);
    let before = house.holdings(crm).await;
    let mut open = Vec::new();
    let mut seen = 0;
    for door in table::doors(crm) {
        let replies = knock(face, &door).await;
        let calls = house.site.journal(house.simulator(crm), seen).await;
        let wrong = wrong_answer(crm, &door, &replies);
        let judged = not_as_meant(&house, &door, &replies).await;
        for wrong in
            wrong
                .into_iter()
                .chain(judged)
                .chain(arrived(&door, &door.target(face), &calls))
        {
            open.push(format!("{}: {wrong}", door.id));
        }
        seen = calls
            .last()
            .map_or(seen, |call| call["seq"].as_u64().unwrap());
    }
    let after = house.holdings(crm).await;
    assert!(
        open.is_empty(),
        "{} doors:\n{}",
        open.len(),
        open.join("\n")
    );
    assert_eq!(after, before, "a record changed");
}

/// Knocks at every door where one value is refused.
async fn value_stays_out(crm: Crm) {
    let house = House::new(DENY_VALUE).await;
    let face = house.face(crm);
    let before = house.holdings(crm).await;
    let count = |holdings: &[(&str, Vec<Value>)]| -> usize {
        holdings.iter().map(|(_, records)| records.len()).sum()
    };
    let mut open = Vec::new();
    let mut arrived = 0;
    let contacts = crm.objects()[0];
    let mut smuggled = 0;
    for door in table::doors(crm) {
        knock(face, &door).await;
        let writes = house.writes(crm).await.len();
        if writes == arrived {
            continue;
        }
        arrived = writes;
        // Of other objects nothing is refused here; contacts are.
        let kept = records(&house.site, house.simulator(crm), contacts).await;
        let found = kept.iter().filter(|record| holds_smuggled(record)).count();
        if found > smuggled {
            open.push(door.id.clone());
        }
        smuggled = found;
    }
    assert!(open.is_empty(), "the value got in by: {}", open.join(", "));
    let after = house.holdings(crm).await;
    assert!(
        count(&after) >= count(&before),
        "a record was deleted: {} before, {} after",
        count(&before),
        count(&after)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_door_of_salesforce_is_shut() {
    shut(Crm::Salesforce).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_door_of_dynamics_is_shut() {
    shut(Crm::Dynamics).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_value_gets_into_salesforce_in_no_spelling() {
    value_stays_out(Crm::Salesforce).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_value_gets_into_dynamics_in_no_spelling() {
    value_stays_out(Crm::Dynamics).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_above_the_limit_gets_in_in_no_spelling() {
    let house = House::new(DENY_NUMBER).await;
    let spellings = [
        "2000",
        "2000.0",
        "2e3",
        "2E+3",
        "0.02e5",
        "200000e-2",
        "100.1",
        "2000.000000000000000000000000000000000001",
        "02000",
        "+2000",
        ".2e4",
        "2000.",
        "0x7D0",
        "1e400",
        "Infinity",
        "\"2000\"",
        "\" 2000 \"",
        "\"2e3\"",
        "\"+2000\"",
        "\"2,000\"",
        "\"2_000\"",
        "\"2000d\"",
        "\"2000f\"",
        "\"0x7D0\"",
        "\"0x1p11\"",
        "\"0b11111010000\"",
        "\"\\uff12\\uff10\\uff10\\uff10\"",
        "\"\\u0662\\u0660\\u0660\\u0660\"",
        "\"Infinity\"",
        "\"2000\\u0000\"",
        "\"\\u00002000\"",
        "[2000]",
        "{\"value\":2000}",
        "{\"\\u0024serde_json::private::Number\":\"1\"}",
    ];
    for (crm, name, field) in [
        (Crm::Salesforce, "LastName", "Score__c"),
        (Crm::Dynamics, "lastname", "creditlimit"),
    ] {
        let face = house.face(crm);
        let path = match crm {
            Crm::Salesforce => "/services/data/v66.0/sobjects/Contact",
            Crm::Dynamics => "/api/data/v9.2/contacts",
        };
        let send = async |number: &str| {
            let body = format!("{{\"{name}\":\"Number\",\"{field}\":{number}}}");
            let head = face.head(&format!("POST {path}"));
            let request = format!(
                "{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            face.wire.send(request.as_bytes()).await.unwrap()
        };
        for number in spellings {
            let reply = send(number).await;
            assert_eq!(reply.status, 400, "{number}: {}", reply.text());
        }
        let arrived = house.writes(crm).await;
        assert!(arrived.is_empty(), "{arrived:#?}");
        let fits = send("99.5").await;
        assert!(matches!(fits.status, 201 | 204), "{}", fits.text());
    }
}
