//! `crmgate serve`.

use crate::cli::Configured;
use crate::exit::{Exit, Failure};
use crate::wiring::traces::Traces;
use crate::wiring::{limits, logging, metrics, running, signals};

pub(super) async fn run(configured: &Configured) -> Result<Exit, Failure> {
    let loaded = super::load(configured)?;
    let system = |error: anyhow::Error| Failure::new(Exit::System, error.to_string());
    let render = metrics::start().map_err(system)?;
    let config = &loaded.config;
    let traces = Traces::start(&config.telemetry, &config.upstream).map_err(system)?;
    logging::start(&config.logging, traces.as_ref());
    limits::check(config);
    // From here on: who asks it to stop while it starts is not ignored.
    let stop = signals::Stop::listen()?;
    let running = running::start(&loaded, render).await?;
    stop.wait().await;
    running.shut_down().await;
    if let Some(traces) = traces {
        traces.shut_down().await;
    }
    Ok(Exit::Done)
}
