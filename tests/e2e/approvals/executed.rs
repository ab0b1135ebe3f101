//! What is held at a brokered gateway and written by the gate once people agree.

use std::fs;

use serde_json::{Value, json};

use super::{PEOPLE, crmgate, newest, token, token_as};
use crate::control::{Answer, call};
use crate::served::{Site, contact};

/// Holds contacts whose last name begins with `Big`.
const POLICY: &str = r#"# METADATA
# title: Big names
# description: Big names need the finance team.
# scope: package
# custom:
#   owner: tests
#   objects: [contact]
#   operations: [create, update]
#   points: [gateway]
package crm.tests.big

require_approval contains {
	"code": "big",
	"reason": "a big name",
	"approvers": {"groups": ["finance"]},
} if startswith(input.record.last_name, "Big")
"#;

/// A user of the simulated Dynamics environment, and its id there.
const IMKE: &str = "imke.vossen@acme.example";

struct Crm {
    salesforce: bool,
    connection: &'static str,
}

const BOTH: [Crm; 2] = [
    Crm {
        salesforce: true,
        connection: "acme-sf",
    },
    Crm {
        salesforce: false,
        connection: "acme-dv",
    },
];

impl Crm {
    fn simulator<'a>(&self, site: &'a Site) -> &'a crmgate_sim::serve::Running {
        if self.salesforce {
            &site.salesforce
        } else {
            &site.dynamics
        }
    }

    fn path(&self) -> &'static str {
        if self.salesforce {
            "/services/data/v66.0/sobjects/Contact"
        } else {
            "/api/data/v9.2/contacts"
        }
    }

    fn record(&self, id: &str) -> String {
        if self.salesforce {
            format!("{}/{id}", self.path())
        } else {
            format!("{}({id})", self.path())
        }
    }

    fn phone(&self, number: &str) -> Value {
        if self.salesforce {
            json!({"Phone": number})
        } else {
            json!({"telephone1": number})
        }
    }

    async fn create(&self, site: &Site, token: &str, name: &str) -> Answer {
        let body = contact(self.salesforce, name);
        self.send(site, "POST", self.path(), (token, &body)).await
    }

    /// A request to the gate.
    async fn send(
        &self,
        site: &Site,
        method: &str,
        path: &str,
        (token, body): (&str, &Value),
    ) -> Answer {
        let gate = if self.salesforce {
            site.salesforce_url()
        } else {
            site.dynamics_url()
        };
        let url = format!("{gate}{path}");
        let answer = call(&site.gate, method, &url, token, Some(body)).await;
        answer.unwrap()
    }

    /// A request to the CRM itself, behind the gate's back.
    async fn behind(&self, site: &Site, method: &str, path: &str, body: &Value) -> Answer {
        let token = if self.salesforce {
            &site.salesforce_token
        } else {
            &site.dynamics_token
        };
        let url = format!("{}{path}", self.simulator(site).url);
        let answer = call(&site.plain, method, &url, token, Some(body)).await;
        answer.unwrap()
    }

    async fn stored(&self, site: &Site, name: &str) -> Vec<Value> {
        let (object, field) = if self.salesforce {
            ("Contact", "LastName")
        } else {
            ("contact", "lastname")
        };
        let url = format!("{}/_sim/records/{object}", self.simulator(site).url);
        let all = call(&site.plain, "GET", &url, "", None).await.unwrap().body;
        let all = all.as_array().unwrap().iter();
        all.filter(|row| row[field] == name).cloned().collect()
    }
}

/// Both connections lend their own credential.
async fn site() -> Site {
    let site = Site::new(&[("big", POLICY)]).await;
    let file = site.path().join("crmgate.toml");
    let text = fs::read_to_string(&file).unwrap();
    let text = BOTH.iter().fold(text, |text, crm| {
        let head = format!("[connections.{}]\n", crm.connection);
        text.replace(&head, &format!("{head}identity = \"brokered\"\n"))
    });
    fs::write(&file, format!("{text}{PEOPLE}")).unwrap();
    site
}

fn shown(site: &Site, arguments: &[&str]) -> Value {
    let told = crmgate(site, &site.admin, arguments);
    assert_eq!(told.0, 0, "{told:?}");
    serde_json::from_str(&told.1).unwrap()
}

fn states(life: &Value) -> Vec<&str> {
    let history = life["history"].as_array().unwrap().iter();
    history.map(|entry| entry["to"].as_str().unwrap()).collect()
}

/// What the answer to a held write names: its operation and its hold.
fn taken(answer: &Answer) -> (String, String) {
    assert_eq!(answer.status, 202, "{}", answer.body);
    assert_eq!(answer.header("crmgate-effect"), Some("require_approval"));
    let named = |name| answer.header(name).unwrap().to_owned();
    (named("crmgate-operation"), named("crmgate-hold"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gate_writes_what_people_agreed_to_once_in_its_callers_name() {
    let site = site().await;
    let _gate = site.start(&[]);
    let (ada, imke) = (
        token(&site, "ada@example.com"),
        token_as(&site, "client", IMKE),
    );
    for crm in &BOTH {
        let simulator = crm.simulator(&site);
        let held = crm.create(&site, &imke, "Big One").await;
        let (operation, hold) = taken(&held);
        let text = held.body.to_string();
        assert!(text.contains(&operation) && text.contains(&hold), "{text}");
        if crm.salesforce {
            assert_eq!(held.body["success"], false, "{text}");
        }
        let again = crm.create(&site, &imke, "Big One").await;
        assert_eq!(taken(&again), (operation.clone(), hold.clone()));
        let journal = site.journal(&simulator.url, 0).await;
        let users = journal
            .iter()
            .filter(|call| call["path"].as_str().unwrap().contains("systemusers?"));
        assert_eq!(
            users.count(),
            usize::from(!crm.salesforce),
            "looked up once"
        );
        let life = shown(&site, &["ops", "show", &operation]);
        assert_eq!(life["operation"]["state"], "held", "{life}");
        assert!(!life.to_string().contains(&imke), "no token is kept");
        let asked = shown(&site, &["approvals", "show", &hold]);
        assert_eq!(asked["release"], "execution");
        let user = asked["written_as"]["user"].as_str();
        let writer = user.map(str::to_owned);
        assert_eq!(writer.is_none(), crm.salesforce, "{asked}");
        assert!(site.writes(simulator).await.is_empty(), "nothing arrived");

        let agreed = crmgate(
            &site,
            &ada,
            &["approvals", "approve", &hold, "--wait", "30s"],
        );
        assert_eq!(agreed.0, 0, "{agreed:?}");
        let life = shown(&site, &["ops", "show", &operation]);
        let way = [
            "received",
            "deciding",
            "held",
            "received",
            "deciding",
            "permitted",
            "writing",
            "succeeded",
        ];
        assert_eq!(states(&life), way, "{life}");
        let writes = site.writes(simulator).await;
        assert_eq!(writes.len(), 1, "{writes:#?}");
        let behalf = writes[0]["headers"]["mscrmcallerid"].as_str();
        assert_eq!(behalf, writer.as_deref());
        let records = crm.stored(&site, "Big One").await;
        assert_eq!(records.len(), 1);
        if let Some(writer) = &writer {
            assert_eq!(records[0]["_createdby_value"], writer.as_str());
        }
        // The record says who.
        let decisions = life["decisions"].as_array().unwrap();
        let last = decisions.last().unwrap();
        assert_eq!(decisions.len(), 2, "{decisions:#?}");
        assert_eq!(last["written_as"], asked["written_as"]);
        assert_eq!(last["operation"]["point"], "gateway");
        assert_eq!(
            last["decision"]["approved"][0]["by"],
            json!(["ada@example.com"])
        );
        // Whoever asks again a moment later is told of the record that there is.
        let repeated = crm.create(&site, &imke, "Big One").await;
        assert!(matches!(repeated.status, 201 | 204), "{}", repeated.body);
        assert_eq!(site.writes(simulator).await.len(), 1, "one write");
    }
    let verified = crmgate(&site, &site.admin, &["decisions", "verify"]);
    assert_eq!(verified.0, 0, "{verified:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_rejected_or_has_changed_is_not_written() {
    let site = site().await;
    let _gate = site.start(&[]);
    let (ada, imke) = (
        token(&site, "ada@example.com"),
        token_as(&site, "client", IMKE),
    );
    for crm in &BOTH {
        let simulator = crm.simulator(&site);
        let (operation, hold) = taken(&crm.create(&site, &imke, "Big No").await);
        let no = ["approvals", "reject", &hold, "--reason", "no"];
        assert_eq!(crmgate(&site, &ada, &no).0, 0);
        let life = shown(&site, &["ops", "show", &operation]);
        assert_eq!(life["operation"]["state"], "rejected");
        let refused = crm.create(&site, &imke, "Big No").await;
        assert_eq!(refused.status, 400, "{}", refused.body);
        assert_eq!(refused.header("crmgate-effect"), Some("deny"));
        assert!(site.writes(simulator).await.is_empty());

        stale(&site, crm, (&ada, &imke)).await;
    }
}

/// A record that changes while people think about it is asked about again.
async fn stale(site: &Site, crm: &Crm, (ada, imke): (&str, &str)) {
    let body = contact(crm.salesforce, "Big Fish");
    let made = crm.behind(site, "POST", crm.path(), &body).await;
    assert!(matches!(made.status, 201 | 204), "{}", made.body);
    let field = if crm.salesforce { "Id" } else { "contactid" };
    let id = crm.stored(site, "Big Fish").await[0][field].clone();
    let path = crm.record(id.as_str().unwrap());
    let body = crm.phone("+46 1");
    let (operation, first) = taken(&crm.send(site, "PATCH", &path, (imke, &body)).await);
    let changed = crm.behind(site, "PATCH", &path, &crm.phone("+46 2")).await;
    assert!(matches!(changed.status, 204), "{}", changed.body);
    let before = site.writes(crm.simulator(site)).await.len();

    let agree = |hold: &str| crmgate(site, ada, &["approvals", "approve", hold, "--wait", "30s"]);
    assert_eq!(agree(&first).0, 0);
    let life = shown(site, &["ops", "show", &operation]);
    assert_eq!(life["operation"]["state"], "stale", "{}", life["history"]);
    assert_eq!(site.writes(crm.simulator(site)).await.len(), before);
    let second = newest(site).await;
    assert_eq!(second["replaces"], first.as_str(), "{second}");
    let second = second["id"].as_str().unwrap();
    // Who sends it again joins what is asked now.
    let again = crm.send(site, "PATCH", &path, (imke, &body)).await;
    assert_eq!(taken(&again), (operation.clone(), second.to_owned()));

    assert_eq!(agree(second).0, 0);
    let life = shown(site, &["ops", "show", &operation]);
    assert_eq!(
        life["operation"]["state"], "succeeded",
        "{}",
        life["history"]
    );
    assert_eq!(site.writes(crm.simulator(site)).await.len(), before + 1);
    let phone = if crm.salesforce {
        "Phone"
    } else {
        "telephone1"
    };
    assert_eq!(crm.stored(site, "Big Fish").await[0][phone], "+46 1");
    // There is nothing left to do for it.
    let again = crm.send(site, "PATCH", &path, (imke, &body)).await;
    assert_eq!(again.status, 204, "{}", again.body);
    assert_eq!(site.writes(crm.simulator(site)).await.len(), before + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_written_for_whom_the_crm_does_not_know() {
    let site = site().await;
    let _gate = site.start(&[]);
    let crm = &BOTH[1];
    let stranger = token_as(&site, "client", "stranger@example.com");
    // Disabled in the CRM.
    let marek = token_as(&site, "client", "marek.zielinski@acme.example");
    for token in [&stranger, &marek] {
        let refused = crm.create(&site, token, "Big Nobody").await;
        assert_eq!(refused.status, 400, "{}", refused.body);
        let text = refused.body.to_string();
        assert!(text.contains("exactly one active user"), "{text}");
    }
    // One that names nobody at all.
    let arguments = ["token", "create", "--name", "robot", "--role", "client"];
    let robot = shown(&site, &arguments);
    let robot = robot["token"].as_str().unwrap();
    let refused = crm.create(&site, robot, "Big Nobody").await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    let text = refused.body.to_string();
    for told in ["--person", "connections.acme-dv.held_writes_as"] {
        assert!(text.contains(told), "{text}");
    }
    let listed = site.control("/v1/operations").await.body;
    assert_eq!(listed["items"], json!([]), "nothing waits");
    assert!(site.writes(&site.dynamics).await.is_empty());
}
