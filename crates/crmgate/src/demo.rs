//! `crmgate demo`: both CRMs simulated, the gate before them, and a tour of real requests.

use std::path::Path;

use crmgate_app::TokenRequest;
use crmgate_connector::secret::ExposeSecret as _;
use crmgate_store::Role;
use serde_json::{Map, Value, json};

use crate::cli::Demo;
use crate::config;
use crate::exit::{Exit, Failure};
use crate::json::{put, text};
use crate::output::say;
use crate::wiring::running::{self, Running};
use crate::wiring::{logging, metrics, signals};

mod folder;
mod ports;
mod setup;
mod tour;

use folder::Folder;
use ports::Ports;
use setup::Scene;

/// The connections' names, which documentation and tests rely on.
const SALESFORCE: &str = "acme-sf";
const DYNAMICS: &str = "acme-dv";

pub(crate) async fn run(demo: Demo) -> Result<Exit, Failure> {
    let folder = Folder::take(&demo.data_dir)?;
    let system = |error: anyhow::Error| Failure::new(Exit::System, format!("{error:#}"));
    logging::start_in(&folder.path().join("crmgate.log"))?;
    let ports = Ports::from(demo.port_base);
    let scene = setup::prepare(folder.path(), ports).map_err(system)?;
    let simulators = setup::simulate(&scene).await?;
    let loaded = config::load_text(
        Some((&scene.config_file, &scene.config)),
        folder.path(),
        &[],
    )?;
    let render = metrics::start().map_err(system)?;
    let running = running::start(&loaded, render).await.map_err(|failure| {
        let hint = "`--port-base` moves all ports of the demo";
        Failure::new(failure.exit, format!("{failure}; {hint}"))
    })?;
    let facts = facts(folder.path(), &scene, &running).await?;
    let told = tour::play(&facts, &scene).await;
    setup::write_facts(folder.path(), &facts).map_err(system)?;
    let went_well = told.is_ok();
    if let Err(failed) = told {
        say(format!("\nNot as told: {failed}"));
    }
    if !demo.once {
        how_to_try(folder.path(), &facts);
        signals::Stop::listen()?.wait().await;
    }
    running.shut_down().await;
    drop(simulators);
    Ok(if went_well { Exit::Done } else { Exit::No })
}

/// All that a client needs: what becomes `demo.json`.
async fn facts(dir: &Path, scene: &Scene, running: &Running) -> Result<Value, Failure> {
    let mut tokens = Map::new();
    for role in Role::ALL {
        let wanted = TokenRequest {
            name: format!("demo {}", role.as_str()),
            roles: vec![role],
            connections: Vec::new(),
            team: (role == Role::Author).then(|| "demo".to_owned()),
            scopes: Vec::new(),
            person: None,
            expires_in_seconds: None,
        };
        let made = running
            .app
            .tokens()
            .issue(wanted)
            .await
            .map_err(|error| Failure::new(Exit::System, error.to_string()))?;
        tokens.insert(role.as_str().to_owned(), json!(made.token.expose_secret()));
    }
    let mut salesforce = scene.salesforce.facts();
    let mut dynamics = scene.dynamics.facts();
    setup::add_addresses(&mut salesforce, &mut dynamics, scene, running);
    let token = setup::dynamics_token(&dynamics).await?;
    put(&mut dynamics, "access_token", token);
    Ok(json!({
        "ready": true,
        "pid": std::process::id(),
        "control_url": running.control,
        "ingress_url": running.ingress,
        "ca_pem": scene.ca_file,
        "policies_dir": dir.join("policies"),
        "tokens": tokens,
        "salesforce": salesforce,
        "dynamics": dynamics,
    }))
}

fn how_to_try(dir: &Path, facts: &Value) {
    let text = |pointer: &str| text(facts, pointer);
    let file = dir.join("demo.json");
    say(format!(
        "\nThe demo keeps serving; end it with Ctrl-C. All addresses and credentials: {}\n",
        file.display()
    ));
    say("Try it from another terminal. A contact whose e-mail address is none, in each CRM:\n");
    let shown = dir.display();
    say(format!(
        "  curl -i -K {shown}/salesforce.curl {}/services/data/v{}/sobjects/Contact \\\n       \
         -d '{{\"LastName\": \"Lindqvist\", \"Email\": \"not-an-address\"}}'\n",
        text("/salesforce/gateway_url"),
        text("/salesforce/api_version"),
    ));
    say(format!(
        "  curl -i -K {shown}/dynamics.curl {}/api/data/v9.2/contacts \\\n       \
         -d '{{\"lastname\": \"Lindqvist\", \"emailaddress1\": \"not-an-address\"}}'\n",
        text("/dynamics/gateway_url"),
    ));
    say("What was decided, and why:\n\n  crmgate decisions list\n  crmgate decisions show ID\n");
    say(format!(
        "Change a policy below {}: it is in force a moment later.",
        text("/policies_dir")
    ));
}
