//! What the demo needs before it can begin: certificates, policies, a configuration, CRMs.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use axum::Router;
use crmgate_listen::{CertificateSource, Listener, Settings};
use crmgate_outbound::Client;
use http::Request;
use include_dir::{Dir, include_dir};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{DYNAMICS, Ports, SALESFORCE};
use crate::ambient;
use crate::exit::{Exit, Failure};
use crate::json::{at, put, text};
use crate::pki::{Authority, write_private};
use crate::simulators::{Dynamics, Salesforce};
use crate::wiring::running::Running;

/// The packs that crmgate comes with.
static POLICIES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../policies");

/// Everything that is ready before the first request.
pub(crate) struct Scene {
    pub(crate) ports: Ports,
    pub(crate) salesforce: Salesforce,
    pub(crate) dynamics: Dynamics,
    pub(crate) ca_file: PathBuf,
    pub(crate) config_file: PathBuf,
    pub(crate) config: String,
    pub(crate) policies_dir: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

/// Prepares the folder.
pub(crate) fn prepare(dir: &Path, ports: Ports) -> anyhow::Result<Scene> {
    for folder in ["tls", "secrets", "policies"] {
        fs::create_dir(dir.join(folder)).with_context(|| format!("folder `{folder}`"))?;
    }
    let (ca_file, certificate, key) = (
        dir.join("tls/ca.pem"),
        dir.join("tls/gate.pem"),
        dir.join("tls/gate.key"),
    );
    let authority = Authority::new("crmgate demo")?;
    let issued = authority.issue_local()?;
    fs::write(&ca_file, authority.pem())?;
    fs::write(&certificate, &issued.certificate)?;
    write_private(&key, &issued.key)?;
    let policies_dir = dir.join("policies");
    restore_policies(&policies_dir)?;
    let (salesforce, dynamics) = (Salesforce::new()?, Dynamics::new()?);
    let secret = |name: &str, text: &str| write_private(&dir.join("secrets").join(name), text);
    secret("salesforce", &salesforce.options.client_secret)?;
    let application = dynamics.options.applications.first();
    let known = application.context("an application of the simulated Dynamics")?;
    secret(
        "dynamics",
        known.client_secret.as_deref().unwrap_or_default(),
    )?;
    let config = configuration(ports, &salesforce, &dynamics)?;
    let config_file = dir.join("crmgate.toml");
    fs::write(&config_file, &config)?;
    Ok(Scene {
        ports,
        salesforce,
        dynamics,
        ca_file,
        config_file,
        config,
        policies_dir,
        certificate,
        key,
    })
}

/// Makes the folder hold what crmgate comes with, and nothing else.
pub(crate) fn restore_policies(dir: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().map(PathBuf::from).unwrap_or_default();
        if POLICIES.get_entry(&name).is_some() {
            continue;
        }
        if path.is_dir() {
            fs::remove_dir_all(&path)?;
        } else {
            fs::remove_file(&path)?;
        }
    }
    POLICIES.extract(dir).context("the policies")
}

/// The demo's configuration: an ordinary one.
fn configuration(
    ports: Ports,
    salesforce: &Salesforce,
    dynamics: &Dynamics,
) -> anyhow::Result<String> {
    let local = |port: u16| format!("127.0.0.1:{port}");
    let tls = json!({"certificate": "tls/gate.pem", "key": "tls/gate.key"});
    let salesforce_url = format!("http://{}", local(ports.salesforce));
    let dynamics_url = format!("http://{}", local(ports.dynamics));
    let client = &salesforce.options.client_id;
    let application = dynamics.facts();
    let config = json!({
        "data_dir": "data",
        "policies": {"dir": "policies"},
        "control": {"listen": local(ports.control)},
        "ingress": {"listen": local(ports.ingress)},
        "people": {
            "ada@demo.example": {
                "accounts": ["demo approver"],
                "groups": ["sales-managers", "compliance", "export-control"],
            },
        },
        "connections": {
            SALESFORCE: {
                "system": "salesforce",
                "listen": local(ports.gateway_salesforce),
                "tls": tls,
                "ungoverned": "allow",
                "login_url": salesforce_url,
                "instance_url": salesforce_url,
                "currency": "EUR",
                "auth": {
                    "flow": "client_credentials",
                    "client_id": client,
                    "client_secret": "file:secrets/salesforce",
                },
                "mapping": {"opportunity": {"fields": {"discount_percent": "Discount__c"}}},
                "introspection": {
                    "client_id": client,
                    "client_secret": "file:secrets/salesforce",
                },
            },
            DYNAMICS: {
                "system": "dynamics",
                "listen": local(ports.gateway_dynamics),
                "tls": tls,
                "ungoverned": "allow",
                "url": dynamics_url,
                "authority": dynamics_url,
                "tenant": at(&application, "/tenant_id"),
                "client_id": at(&application, "/client_id"),
                "auth": {"flow": "client_secret", "secret": "file:secrets/dynamics"},
            },
        },
    });
    Ok(format!(
        "# Made by `crmgate demo`, anew at every start.\n{}",
        toml::to_string_pretty(&config)?
    ))
}

/// Starts both simulators, each with and without TLS. They end with the guard.
pub(crate) async fn simulate(scene: &Scene) -> Result<DropGuard, Failure> {
    let stop = CancellationToken::new();
    let (ports, sf, dv) = (scene.ports, &scene.salesforce, &scene.dynamics);
    for (port, router) in [
        (ports.salesforce, sf.router(false)),
        (ports.dynamics, dv.router(false)),
    ] {
        serve(Settings::plain(local(port)), router, &stop).await?;
    }
    for (port, router) in [
        (ports.salesforce_tls, sf.router(true)),
        (ports.dynamics_tls, dv.router(true)),
    ] {
        let certificate = CertificateSource::Files {
            certificate: scene.certificate.clone(),
            key: scene.key.clone(),
        };
        serve(Settings::tls(local(port), certificate), router, &stop).await?;
    }
    Ok(stop.drop_guard())
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

async fn serve(
    settings: Settings,
    router: Router,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let listener = Listener::bind(settings, ambient::system().now())
        .await
        .map_err(|error| {
            Failure::new(
                Exit::System,
                format!("{error}; `--port-base` moves all ports of the demo"),
            )
        })?;
    let until = stop.clone().cancelled_owned();
    tokio::spawn(listener.serve(router, until));
    Ok(())
}

/// Adds the addresses to what the simulators tell of themselves.
pub(crate) fn add_addresses(
    salesforce: &mut Value,
    dynamics: &mut Value,
    scene: &Scene,
    running: &Running,
) {
    let gateway = |name: &str| {
        let found = running
            .gateways
            .iter()
            .find(|(known, _)| known.as_str() == name);
        found.map(|(_, url)| url.clone()).unwrap_or_default()
    };
    let ports = scene.ports;
    let (sf, dv) = (gateway(SALESFORCE), gateway(DYNAMICS));
    let tenant = text(dynamics, "/tenant_id").to_owned();
    let common = |connection: &str, url: &str, plain: u16, tls: u16| {
        [
            ("connection", json!(connection)),
            ("gateway_url", json!(url)),
            ("simulator_url", json!(format!("http://127.0.0.1:{plain}"))),
            (
                "simulator_tls_url",
                json!(format!("https://127.0.0.1:{tls}")),
            ),
            ("identity_mode", json!("pass_through")),
        ]
    };
    for (name, value) in common(SALESFORCE, &sf, ports.salesforce, ports.salesforce_tls) {
        put(salesforce, name, value);
    }
    put(salesforce, "login_url", sf.as_str());
    put(
        salesforce,
        "token_url",
        format!("{sf}/services/oauth2/token"),
    );
    put(
        salesforce,
        "scope",
        scene.salesforce.options.scopes.join(" "),
    );
    for (name, value) in common(DYNAMICS, &dv, ports.dynamics, ports.dynamics_tls) {
        put(dynamics, name, value);
    }
    put(dynamics, "login_url", dv.as_str());
    put(
        dynamics,
        "token_url",
        format!("{dv}/{tenant}/oauth2/v2.0/token"),
    );
    put(dynamics, "scope", format!("{dv}/.default"));
}

/// A token of the simulated directory, asked for at the simulator itself.
pub(crate) async fn dynamics_token(dynamics: &Value) -> Result<String, Failure> {
    let text = |name: &str| text(dynamics, name);
    let fault =
        |problem: String| Failure::new(Exit::System, format!("the simulated directory: {problem}"));
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_id", text("/client_id"))
        .append_pair("client_secret", text("/client_secret"))
        .append_pair("scope", text("/scope"))
        .finish();
    let url = format!(
        "{}/{}/oauth2/v2.0/token",
        text("/simulator_url"),
        text("/tenant_id")
    );
    let client = Client::new(crmgate_outbound::Settings::default())
        .map_err(|error| fault(error.to_string()))?;
    let request = Request::post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.into_bytes())
        .map_err(|error| fault(error.to_string()))?;
    let answer = client.execute(request, 1 << 20).await;
    let answer = answer.map_err(|error| fault(error.to_string()))?;
    let body: Value =
        serde_json::from_slice(answer.body()).map_err(|error| fault(error.to_string()))?;
    let token = at(&body, "/access_token").as_str().map(str::to_owned);
    token.ok_or_else(|| fault(format!("gave no token but {}", answer.status())))
}

/// Writes what curl needs for each CRM into files (`curl -K FILE`), so that nobody has to copy a
/// token; then `demo.json` in one go, so that nobody reads half of it.
pub(crate) fn write_facts(dir: &Path, facts: &Value) -> anyhow::Result<()> {
    for crm in ["salesforce", "dynamics"] {
        let curl = format!(
            "cacert = \"{}\"\nheader = \"Authorization: Bearer {}\"\nheader = \"Content-Type: application/json\"\n",
            text(facts, "/ca_pem"),
            text(facts, &format!("/{crm}/access_token")),
        );
        write_private(&dir.join(format!("{crm}.curl")), &curl)?;
    }
    let unfinished = dir.join("demo.json.new");
    write_private(&unfinished, &serde_json::to_string_pretty(facts)?)?;
    fs::rename(&unfinished, dir.join("demo.json")).context("demo.json")
}
