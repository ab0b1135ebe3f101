//! A record that changes between being judged and being written: whatever a client says of its
//! version, the write does not meet a record that nobody judged.

use serde_json::{Value, json};

use super::House;
use super::table::Crm;
use crate::control::call;

const LOCKED: &str = "# METADATA
# title: Locked contacts stay as they are
# description: Refuses updates of contacts whose stored title says so.
# scope: package
# custom:
#   owner: tests
#   objects: [contact]
#   operations: [update]
package crm.tests.doors

deny contains {\"code\": \"locked\", \"message\": \"this contact is locked\", \"fields\": []} if {
\tinput.before.title == \"Locked\"
}
";

impl House {
    /// A request to the CRM itself, round the gate.
    async fn direct(&self, crm: Crm, method: &str, path: &str, body: &Value) -> u16 {
        let url = format!("{}{path}", self.simulator(crm));
        let token = &self.face(crm).token;
        let answer = call(&self.site.plain, method, &url, token, Some(body)).await;
        let answer = answer.unwrap();
        assert!(answer.status < 300, "{}", answer.body);
        answer.status
    }

    async fn title(&self, crm: Crm) -> Value {
        let (object, id, title) = match crm {
            Crm::Salesforce => ("Contact", "Id", "Title"),
            Crm::Dynamics => ("contact", "contactid", "jobtitle"),
        };
        let contacts = super::records(&self.site, self.simulator(crm), object).await;
        let own = |record: &&Value| record[id] == *self.face(crm).id;
        contacts.iter().find(own).unwrap()[title].clone()
    }

    async fn slow_down(&self, crm: Crm, method: &str) {
        let faults = json!({"faults":
            [{"method": method, "kind": "delay", "millis": 1500, "times": 1}]});
        let url = format!("{}/_sim/faults", self.simulator(crm));
        let put = call(&self.site.plain, "PUT", &url, "", Some(&faults)).await;
        assert_eq!(put.unwrap().status, 200);
    }

    /// Waits until one decision more than before is on disk.
    async fn decided(&self, before: usize) {
        for _ in 0..500 {
            if self.site.decisions().await.len() > before {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("no decision was made");
    }
}

/// Sends an update with these headers, and locks the record once the update has been judged.
async fn locked_meanwhile(house: &House, crm: Crm, headers: &str) {
    let face = house.face(crm);
    let (path, body, lock, locked) = match crm {
        Crm::Salesforce => {
            let path = format!("/services/data/v66.0/sobjects/Contact/{}", face.id);
            let lock = format!("{path}?_HttpMethod=PATCH");
            (
                path,
                r#"{"Title":"Slipped"}"#,
                ("POST", lock),
                json!({"Title": "Locked"}),
            )
        }
        Crm::Dynamics => {
            let path = format!("/api/data/v9.2/contacts({})", face.id);
            let lock = format!("{path}/jobtitle");
            (
                path,
                r#"{"jobtitle":"Slipped"}"#,
                ("PUT", lock),
                json!({"value": "Locked"}),
            )
        }
    };
    let before = house.site.decisions().await.len();
    house.slow_down(crm, "PATCH").await;
    let request = format!(
        "{}{headers}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        face.head(&format!("PATCH {path}")),
        body.len()
    );
    let wire = face.wire.clone();
    let update = tokio::spawn(async move { wire.send(request.as_bytes()).await });
    house.decided(before).await;
    house.direct(crm, lock.0, &lock.1, &locked).await;
    let reply = update.await.unwrap().unwrap();
    assert_eq!(
        house.title(crm).await,
        "Locked",
        "{headers:?}: {} {}",
        reply.status,
        reply.text()
    );
    assert!(
        (400..500).contains(&reply.status),
        "{headers:?}: {}",
        reply.text()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_condition_of_a_client_s_lets_a_write_meet_what_was_not_judged_in_salesforce() {
    let house = House::new(LOCKED).await;
    for headers in [
        "",
        "If-Unmodified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n",
        "If-Unmodified-Since: some day\r\n",
        "If-Match: \"x\"\r\n",
        "If-Match: *\r\n",
    ] {
        let unlocked = json!({"Title": "Open"});
        let path = format!(
            "/services/data/v66.0/sobjects/Contact/{}",
            house.salesforce.id
        );
        house
            .direct(Crm::Salesforce, "PATCH", &path, &unlocked)
            .await;
        // The pin has the grain of a second.
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        locked_meanwhile(&house, Crm::Salesforce, headers).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_condition_of_a_client_s_lets_a_write_meet_what_was_not_judged_in_dynamics() {
    let house = House::new(LOCKED).await;
    let own = format!("/api/data/v9.2/contacts({})", house.dynamics.id);
    for guess in [false, true] {
        house
            .direct(Crm::Dynamics, "PATCH", &own, &json!({"jobtitle": "Open"}))
            .await;
        let contacts = super::records(&house.site, &house.site.dynamics.url, "contact").await;
        let version = |record: &Value| record["versionnumber"].as_i64().unwrap();
        let newest = contacts.iter().map(version).max().unwrap();
        // Versions are counted: the next can be told beforehand.
        let guessed = format!("If-Match: W/\"{}\"\r\n", newest + 1);
        let headers = if guess {
            guessed.as_str()
        } else {
            "If-Match: *\r\n"
        };
        locked_meanwhile(&house, Crm::Dynamics, headers).await;
    }
}
