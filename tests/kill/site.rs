//! Simulated CRMs, servers, configuration, tokens.

use std::fs;
use std::path::Path;
use std::process::Command;

use crmgate_outbound::Client;
use crmgate_sim::dynamics::{self, DynamicsOptions};
use crmgate_sim::salesforce::{self, SalesforceOptions};
use crmgate_sim::serve::{self, spawn};
use crmgate_testkit::servers::{Postgres, Redis};
use serde_json::Value;
use tempfile::TempDir;

use crate::client::{Ask, client, send};
use crate::fleet::cast;
use crate::pki::write_certificates;
use crate::process::{binary, port_base};

/// How a site is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// One process and a file.
    Alone,
    /// Several processes, Postgres and Redis.
    Shared,
}

const POLICY: &str = r#"# METADATA
# title: What the harness plays
# description: Refuses, changes and holds by what a description begins with.
# scope: package
# custom:
#   owner: tests
#   objects: [contact]
#   operations: [create, update]
package crm.tests.play

deny contains {"code": "played", "message": "refused, as played"} if {
	startswith(input.record.description, "deny")
}

patch contains {"op": "set", "field": "department", "value": "Changed"} if {
	startswith(input.record.description, "patch")
}

require_approval contains {
	"code": "asked",
	"reason": "held, as played",
	"approvers": {"groups": ["players"]},
} if startswith(input.record.description, "ask")
"#;

const PEOPLE: [&str; 2] = ["ada@example.com", "bob@example.com"];

/// A site whose processes are the caller's to start.
pub(crate) struct Site {
    pub(crate) dir: TempDir,
    pub(crate) form: Form,
    pub(crate) crms: [Crm; 2],
    pub(crate) gates: Vec<String>,
    pub(crate) admin: String,
    pub(crate) owner: String,
    pub(crate) voters: Vec<String>,
    pub(crate) servers: Option<(Postgres, Redis)>,
    pub(crate) client: Client,
}

/// One CRM.
pub(crate) struct Crm {
    pub(crate) connection: &'static str,
    pub(crate) url: String,
    pub(crate) token: String,
    pub(crate) create: &'static str,
    /// The native name of a contact's description and last name.
    pub(crate) description: &'static str,
    pub(crate) last_name: &'static str,
    _running: serve::Running,
}

impl Site {
    /// `None` where servers are missing and not required.
    pub(crate) async fn new(form: Form) -> Option<Self> {
        let servers = match form {
            Form::Alone => None,
            Form::Shared => Some((Postgres::start()?, Redis::start()?)),
        };
        let dir = tempfile::tempdir().unwrap();
        write_certificates(dir.path());
        let pack = dir.path().join("policies/play");
        fs::create_dir_all(&pack).unwrap();
        fs::write(pack.join("play.rego"), POLICY).unwrap();
        let (salesforce, dynamics) = (SalesforceOptions::default(), DynamicsOptions::default());
        write_secrets(dir.path(), &salesforce, &dynamics);
        let client = client();
        let crms = crms(&client, &salesforce, &dynamics).await;
        let settings = settings(&crms, &salesforce, &dynamics);
        let shared = servers.as_ref().map_or_else(String::new, |(postgres, redis)| {
            format!(
                "[storage]\nurl = \"{}\"\n[queue]\nurl = \"{}\"\n[record]\nkey = \"file:record.pem\"\n\
                 [decision_log]\nhash_key = \"file:hash\"\n",
                postgres.database(),
                redis.url()
            )
        });
        let base = port_base();
        let mut gates = Vec::new();
        for (place, (name, command)) in cast(form).iter().enumerate() {
            let port = base + u16::try_from(place * 3).unwrap();
            if *command == "serve" {
                gates.push(format!("http://127.0.0.1:{port}"));
            }
            let text = format!(
                "data_dir = \"data-{name}\"\n[control]\nlisten = \"127.0.0.1:{port}\"\n{shared}{settings}"
            );
            let text = text
                .replace("SF_PORT", &(port + 1).to_string())
                .replace("DV_PORT", &(port + 2).to_string());
            fs::write(dir.path().join(format!("{name}.toml")), text).unwrap();
        }
        let first = format!("{}.toml", cast(form)[0].0);
        let admin = token(
            dir.path(),
            &["--bootstrap", "--name", "admin", "--config", &first],
        );
        Some(Self {
            dir,
            form,
            crms,
            gates,
            admin,
            owner: String::new(),
            voters: Vec::new(),
            servers,
            client,
        })
    }

    /// Makes the other tokens, by a gate that runs.
    pub(crate) fn make_tokens(&mut self) {
        let remote = ["--url", &self.gates[0], "--token", &self.admin];
        let with = |more: &[&str]| token(self.dir.path(), &[more, &remote[..]].concat());
        self.owner = with(&["--name", "owner", "--role", "client"]);
        let voter =
            |person: &&str| with(&["--name", person, "--role", "approver", "--person", person]);
        self.voters = PEOPLE.iter().map(voter).collect();
    }

    /// A connection's CRM.
    pub(crate) fn crm(&self, connection: &str) -> &Crm {
        let mut crms = self.crms.iter();
        crms.find(|crm| crm.connection == connection).unwrap()
    }

    /// Runs a command against a gate: whether it went well, and what it said.
    pub(crate) fn crmgate(&self, arguments: &[&str]) -> (bool, String) {
        let remote = ["--url", &self.gates[0], "--token", &self.admin];
        let output = Command::new(binary())
            .args(arguments)
            .args(remote)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    }
}

impl Crm {
    /// Makes a contact, past the gate: its id.
    pub(crate) async fn make(&self, client: &Client, name: &str) -> String {
        let body = serde_json::json!({ self.last_name: name }).to_string();
        let ask = Ask {
            token: &self.token,
            body: Some(&body),
            ..Ask::default()
        };
        let url = format!("{}{}", self.url, self.create);
        let answer = send(client, "POST", &url, ask).await.unwrap();
        assert!(answer.status < 300, "{}", answer.body);
        let made = self.effects(client, 0).await;
        let is_it = |effect: &&Value| effect["values"][self.last_name] == name;
        let made = made.iter().find(is_it).unwrap();
        made["id"].as_str().unwrap().to_owned()
    }

    /// What it did after the change of this number.
    pub(crate) async fn effects(&self, client: &Client, after: u64) -> Vec<Value> {
        self.behind(client, &format!("/_sim/effects?after={after}"))
            .await
    }

    /// The calls that came.
    pub(crate) async fn calls(&self, client: &Client) -> Vec<Value> {
        self.behind(client, "/_sim/requests").await
    }

    async fn behind(&self, client: &Client, path: &str) -> Vec<Value> {
        let url = format!("{}{path}", self.url);
        let answer = send(client, "GET", &url, Ask::default()).await.unwrap();
        answer.body.as_array().unwrap().clone()
    }

    /// Puts these faults in place.
    pub(crate) async fn faults(&self, client: &Client, faults: &Value) {
        let body = serde_json::json!({ "faults": faults }).to_string();
        let ask = Ask {
            body: Some(&body),
            ..Ask::default()
        };
        let url = format!("{}/_sim/faults", self.url);
        let answer = send(client, "PUT", &url, ask).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

async fn crms(
    client: &Client,
    salesforce: &SalesforceOptions,
    dynamics: &DynamicsOptions,
) -> [Crm; 2] {
    let org = salesforce::Simulator::new(salesforce.clone()).unwrap();
    let environment = dynamics::Simulator::new(dynamics.clone()).unwrap();
    let org = spawn(org.router()).await.unwrap();
    let environment = spawn(environment.router()).await.unwrap();
    let token = dynamics_token(client, &environment.url, dynamics).await;
    [
        Crm {
            connection: "acme-sf",
            url: org.url.clone(),
            token: salesforce.access_token.clone(),
            create: "/services/data/v66.0/sobjects/Contact",
            description: "Description",
            last_name: "LastName",
            _running: org,
        },
        Crm {
            connection: "acme-dv",
            url: environment.url.clone(),
            token,
            create: "/api/data/v9.2/contacts",
            description: "description",
            last_name: "lastname",
            _running: environment,
        },
    ]
}

async fn dynamics_token(client: &Client, url: &str, options: &DynamicsOptions) -> String {
    let application = &options.applications[0];
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}&scope={url}/.default",
        application.client_id,
        application.client_secret.as_deref().unwrap(),
    );
    let request = http::Request::post(format!("{url}/{}/oauth2/v2.0/token", options.tenant_id))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.into())
        .unwrap();
    let answer = client.execute_bytes(request, 1 << 20).await.unwrap();
    let body: Value = serde_json::from_slice(answer.body()).unwrap();
    body["access_token"].as_str().unwrap().to_owned()
}

fn write_secrets(dir: &Path, salesforce: &SalesforceOptions, dynamics: &DynamicsOptions) {
    let application = &dynamics.applications[0];
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    for (name, text) in [
        ("sf-secret", salesforce.client_secret.clone()),
        ("dv-secret", application.client_secret.clone().unwrap()),
        ("record.pem", key.serialize_pem()),
        ("hash", "c".repeat(64)),
    ] {
        fs::write(dir.join(name), text).unwrap();
    }
}

fn settings(crms: &[Crm; 2], salesforce: &SalesforceOptions, dynamics: &DynamicsOptions) -> String {
    let [org, environment] = crms;
    let queue = "rate = 500\nburst = 500\nbreaker_pause = \"300ms\"\nbreaker_longest = \"1s\"\n";
    let listens = "tls = { certificate = \"cert.pem\", key = \"key.pem\" }\n\
                   ungoverned = { \"*\" = \"allow\" }\n";
    let people = PEOPLE.map(|person| format!("[people.\"{person}\"]\ngroups = [\"players\"]\n"));
    format!(
        r#"[worker]
lease = "2s"
tries = 1000
[limits]
shutdown = "5s"
{people}
[connections.acme-sf]
system = "salesforce"
listen = "127.0.0.1:SF_PORT"
{listens}login_url = "{sf}"
instance_url = "{sf}"
external_id_fields = {{ Contact = "Ext_Id__c" }}
auth = {{ flow = "client_credentials", client_id = "{sf_client}", client_secret = "file:sf-secret" }}
[connections.acme-sf.queue]
{queue}
[connections.acme-dv]
system = "dynamics"
listen = "127.0.0.1:DV_PORT"
{listens}url = "{dv}"
authority = "{dv}"
tenant = "{tenant}"
client_id = "{dv_client}"
auth = {{ flow = "client_secret", secret = "file:dv-secret" }}
[connections.acme-dv.queue]
{queue}
"#,
        people = people.concat(),
        sf = org.url,
        dv = environment.url,
        sf_client = salesforce.client_id,
        tenant = dynamics.tenant_id,
        dv_client = dynamics.applications[0].client_id,
    )
}

fn token(dir: &Path, arguments: &[&str]) -> String {
    let output = Command::new(binary())
        .args(["token", "create", "--output", "json"])
        .args(arguments)
        .current_dir(dir)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    answer["token"].as_str().unwrap().to_owned()
}
