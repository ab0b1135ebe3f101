//! `crmgate worker`.

use crmgate_store::ProcessKind;

use crate::cli::Configured;
use crate::exit::{Exit, Failure};
use crate::wiring::traces::Traces;
use crate::wiring::{logging, metrics, running, signals};

pub(super) async fn run(configured: &Configured) -> Result<Exit, Failure> {
    let loaded = super::load(configured)?;
    let config = &loaded.config;
    if config.storage.database.is_none() {
        let message = "`crmgate worker` needs a database that it shares with `crmgate serve`: \
                       expected `storage.url`; with a file, `crmgate serve` alone does all the work";
        return Err(Failure::new(Exit::Config, message.to_owned()));
    }
    let system = |error: anyhow::Error| Failure::new(Exit::System, error.to_string());
    let render = metrics::start().map_err(system)?;
    let traces = Traces::start(&config.telemetry, &config.upstream).map_err(system)?;
    logging::start(&config.logging, traces.as_ref());
    // From here on: who asks it to stop while it starts is not ignored.
    let stop = signals::Stop::listen()?;
    let running = running::start_as(ProcessKind::Worker, &loaded, render).await?;
    stop.wait().await;
    running.shut_down().await;
    if let Some(traces) = traces {
        traces.shut_down().await;
    }
    Ok(Exit::Done)
}
