//! Log lines on standard error: a sentence and fields, never bodies or secrets.

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

use crate::config::{LogFormat, Logging};
use crate::wiring::kill_point::{KillPoint, Stages};

/// Starts logging. A second start, as in tests, changes nothing.
pub(crate) fn start(logging: &Logging) {
    // The level was checked when the configuration was read. rustls warns at every handshake of a
    // client that reaches the gate by its address; what is said of it in the settings comes later
    // and holds.
    let level = format!("rustls=error,{}", logging.level);
    let filter = EnvFilter::try_new(&level).unwrap_or_else(|_| EnvFilter::new("info"));
    let layer = fmt::layer().with_writer(std::io::stderr);
    let layer = match logging.format {
        LogFormat::Pretty => layer.compact().boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .with(KillPoint::from_environment().map(|point| point.with_filter(Stages)))
        .try_init()
        .ok();
}

/// Starts logging into a file: the demo's terminal belongs to its story.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn start_in(file: &std::path::Path) -> std::io::Result<()> {
    let file = std::fs::File::create(file)?;
    let layer = fmt::layer()
        .with_ansi(false)
        .with_writer(std::sync::Mutex::new(file));
    tracing_subscriber::registry()
        .with(layer.with_filter(EnvFilter::new("info")))
        .try_init()
        .ok();
    Ok(())
}
