//! `crmgate serve`.

use crate::cli::Configured;
use crate::exit::{Exit, Failure};
use crate::wiring::{limits, logging, metrics, running, signals};

pub(super) async fn run(configured: &Configured) -> Result<Exit, Failure> {
    let loaded = super::load(configured)?;
    logging::start(&loaded.config.logging);
    limits::check(&loaded.config);
    let render = metrics::start().map_err(|error| Failure::new(Exit::System, error.to_string()))?;
    let running = running::start(&loaded, render).await?;
    signals::stop().await?;
    running.shut_down().await;
    Ok(Exit::Done)
}
