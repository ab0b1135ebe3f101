//! `crmgate serve` in front of simulators that outlive it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crmgate_outbound::Client;
use crmgate_sim::dynamics::{self, DynamicsOptions};
use crmgate_sim::salesforce::{self, SalesforceOptions};
use crmgate_sim::serve::{self, spawn};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::control::{Answer, call, http};
use crate::pki::write_certificates;
use crate::process::{Running, binary, port_base};

/// One site: both simulators, a configuration, and a gate that can be started over and over.
pub(crate) struct Site {
    dir: Arc<TempDir>,
    base: u16,
    pub(crate) salesforce: serve::Running,
    pub(crate) dynamics: serve::Running,
    pub(crate) salesforce_options: SalesforceOptions,
    pub(crate) dynamics_options: DynamicsOptions,
    pub(crate) salesforce_token: String,
    pub(crate) dynamics_token: String,
    pub(crate) admin: String,
    pub(crate) gate: Client,
    pub(crate) plain: Client,
}

impl Site {
    /// Sets the site up with these policies (pack name, Rego text); starts nothing but the
    /// simulators.
    pub(crate) async fn new(policies: &[(&str, &str)]) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        write_certificates(dir.path());
        fs::create_dir(dir.path().join("policies")).unwrap();
        for (name, text) in policies {
            put_policy(dir.path(), name, text);
        }
        let options = SalesforceOptions::default();
        let app = DynamicsOptions::default();
        let salesforce_token = options.access_token.clone();
        let base = port_base();
        write_config(dir.path(), base, &options, &app);
        let salesforce = spawn(
            salesforce::Simulator::new(options.clone())
                .unwrap()
                .router(),
        )
        .await
        .unwrap();
        let dynamics = spawn(dynamics::Simulator::new(app.clone()).unwrap().router())
            .await
            .unwrap();
        let plain = http(None);
        let dynamics_token = dynamics_token(&plain, &dynamics.url, &app).await;
        let text = fs::read_to_string(dir.path().join("crmgate.toml")).unwrap();
        let text = text
            .replace("SALESFORCE", &salesforce.url)
            .replace("DYNAMICS", &dynamics.url);
        fs::write(dir.path().join("crmgate.toml"), text).unwrap();
        let admin = bootstrap(dir.path());
        let gate = http(dir.path().join("ca.pem").to_str());
        Self {
            dir,
            base,
            salesforce,
            dynamics,
            salesforce_options: options,
            dynamics_options: app,
            salesforce_token,
            dynamics_token,
            admin,
            gate,
            plain,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A client of its own, without connections to a gate that died.
    pub(crate) fn fresh_client(&self) -> Client {
        http(self.path().join("ca.pem").to_str())
    }

    /// Starts the gate and waits until it serves.
    pub(crate) fn start(&self, variables: &[(&str, &str)]) -> Running {
        let config = self.config();
        let mut running = Running::start_with(
            self.path(),
            &["serve", "--config", config.to_str().unwrap()],
            variables,
        );
        let ports = [self.base, self.base + 1, self.base + 2];
        running.wait_for("listeners", || {
            ports
                .iter()
                .all(|port| std::net::TcpStream::connect(("127.0.0.1", *port)).is_ok())
                .then_some(())
        });
        running
    }

    fn config(&self) -> PathBuf {
        self.path().join("crmgate.toml")
    }

    pub(crate) fn salesforce_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.base + 1)
    }

    pub(crate) fn dynamics_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.base + 2)
    }

    pub(crate) fn control_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.base)
    }

    /// A call to the control API as admin.
    pub(crate) async fn control(&self, path: &str) -> Answer {
        let url = format!("{}{path}", self.control_url());
        // A connection of its own: one kept from a gate that died would fail.
        call(&http(None), "GET", &url, &self.admin, None)
            .await
            .unwrap()
    }

    /// All decisions, newest first.
    pub(crate) async fn decisions(&self) -> Vec<Value> {
        let answer = self.control("/v1/decisions?limit=500").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body["items"].as_array().unwrap().clone()
    }

    /// The writes of records that reached a simulator.
    pub(crate) async fn writes(&self, simulator: &serve::Running) -> Vec<Value> {
        let is_write = |entry: &&Value| {
            let (method, path) = (
                entry["method"].as_str().unwrap(),
                entry["path"].as_str().unwrap(),
            );
            matches!(method, "POST" | "PATCH" | "PUT" | "DELETE") && !path.contains("oauth2")
        };
        let journal = self.journal(&simulator.url, 0).await;
        journal.iter().filter(is_write).cloned().collect()
    }

    /// The calls that reached a simulator after the one of that number.
    pub(crate) async fn journal(&self, simulator: &str, after: u64) -> Vec<Value> {
        let url = format!("{simulator}/_sim/requests?after={after}");
        let journal = call(&self.plain, "GET", &url, "", None).await.unwrap();
        journal.body.as_array().unwrap().clone()
    }
}

/// Writes one policy file.
pub(crate) fn put_policy(dir: &Path, name: &str, text: &str) {
    let folder = dir.join("policies").join(name);
    fs::create_dir_all(&folder).unwrap();
    // By rename, so that the watcher never sees half a file.
    fs::write(folder.join("next"), text).unwrap();
    fs::rename(folder.join("next"), folder.join(format!("{name}.rego"))).unwrap();
}

fn write_config(dir: &Path, base: u16, salesforce: &SalesforceOptions, dynamics: &DynamicsOptions) {
    let application = &dynamics.applications[0];
    for (name, secret) in [
        ("sf-secret", salesforce.client_secret.as_str()),
        ("dv-secret", application.client_secret.as_deref().unwrap()),
    ] {
        fs::write(dir.join(name), secret).unwrap();
    }
    let (control, sf, dv) = (base, base + 1, base + 2);
    let text = format!(
        r#"data_dir = "data"
[logging]
level = "info"
[control]
listen = "127.0.0.1:{control}"
[connections.acme-sf]
system = "salesforce"
listen = "127.0.0.1:{sf}"
tls = {{ certificate = "cert.pem", key = "key.pem" }}
ungoverned = {{ "*" = "allow" }}
login_url = "SALESFORCE"
instance_url = "SALESFORCE"
auth = {{ flow = "client_credentials", client_id = "{sf_client}", client_secret = "file:sf-secret" }}
[connections.acme-dv]
system = "dynamics"
listen = "127.0.0.1:{dv}"
tls = {{ certificate = "cert.pem", key = "key.pem" }}
ungoverned = {{ "*" = "allow" }}
url = "DYNAMICS"
authority = "DYNAMICS"
tenant = "{tenant}"
client_id = "{dv_client}"
auth = {{ flow = "client_secret", secret = "file:dv-secret" }}
"#,
        sf_client = salesforce.client_id,
        tenant = dynamics.tenant_id,
        dv_client = application.client_id,
    );
    fs::write(dir.join("crmgate.toml"), text).unwrap();
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
    body["access_token"]
        .as_str()
        .unwrap_or_else(|| panic!("{body}"))
        .to_owned()
}

/// A first admin token, made beside the database.
fn bootstrap(dir: &Path) -> String {
    let output = Command::new(binary())
        .args([
            "token",
            "create",
            "--bootstrap",
            "--name",
            "tests",
            "--config",
            "crmgate.toml",
            "--output",
            "json",
        ])
        .current_dir(dir)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    answer["token"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"))
        .to_owned()
}

/// A contact in each CRM's own words.
pub(crate) fn contact(salesforce: bool, last_name: &str) -> Value {
    if salesforce {
        json!({"LastName": last_name})
    } else {
        json!({"lastname": last_name})
    }
}
