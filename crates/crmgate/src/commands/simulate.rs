//! `crmgate simulate`: the simulator of a CRM alone.

use std::net::SocketAddr;

use axum::Router;
use crmgate_listen::{CertificateSource, Listener, Settings};
use serde_json::{Value, json};

use crate::ambient;
use crate::cli::{Simulate, Simulated};
use crate::config::{LogFormat, Logging};
use crate::exit::{Exit, Failure};
use crate::json::put;
use crate::output::{Output, say, say_json, table};
use crate::pki::Authority;
use crate::simulators;
use crate::wiring::{logging, signals};

pub(super) async fn run(simulate: &Simulate) -> Result<Exit, Failure> {
    let logging = Logging {
        format: LogFormat::Pretty,
        level: "warn".to_owned(),
    };
    logging::start(&logging, None);
    let system = |error: anyhow::Error| Failure::new(Exit::System, format!("{error:#}"));
    let (router, mut facts) = simulated(simulate).map_err(system)?;
    let mut settings = Settings::plain(simulate.addr);
    if simulate.tls {
        settings.certificates = vec![certificate(simulate).map_err(system)?];
        let file = std::path::absolute(&simulate.ca_file)?;
        put(&mut facts, "ca_pem", json!(file));
    }
    let listener = Listener::bind(settings, ambient::system().now())
        .await
        .map_err(|error| Failure::new(Exit::System, error.to_string()))?;
    put(&mut facts, "url", url(simulate.tls, listener.addr()));
    match simulate.form.output {
        Output::Json => say_json(&facts),
        Output::Table => print(&facts),
    }
    let stop = signals::Stop::listen()?;
    listener
        .serve(router, stop.wait())
        .await
        .map_err(|error| Failure::new(Exit::System, error.to_string()))?;
    Ok(Exit::Done)
}

fn url(tls: bool, addr: SocketAddr) -> String {
    let scheme = if tls { "https" } else { "http" };
    format!("{scheme}://{addr}")
}

fn simulated(simulate: &Simulate) -> anyhow::Result<(Router, Value)> {
    Ok(match simulate.system {
        Simulated::Salesforce => {
            let simulator = simulators::Salesforce::new()?;
            (simulator.router(simulate.tls), simulator.facts())
        }
        Simulated::Dynamics => {
            let simulator = simulators::Dynamics::new()?;
            (simulator.router(simulate.tls), simulator.facts())
        }
    })
}

fn certificate(simulate: &Simulate) -> anyhow::Result<CertificateSource> {
    let authority = Authority::new("crmgate simulator")?;
    std::fs::write(&simulate.ca_file, authority.pem())?;
    let issued = authority.issue_local()?;
    Ok(CertificateSource::Pem {
        certificate: issued.certificate,
        key: issued.key.into(),
    })
}

fn print(facts: &Value) {
    let mut shown = table(&[]);
    for (name, value) in facts.as_object().into_iter().flatten() {
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        shown.add_row([name.clone(), value]);
    }
    say(shown);
    say(
        "serving; end it with Ctrl-C. What it stores: GET /_sim/records/{Object}; what reached it: GET /_sim/requests",
    );
}
