//! Log lines on standard error: a sentence and fields, never bodies or secrets.

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

use super::traces::Traces;
use crate::config::{LogFormat, Logging};
use crate::wiring::kill_point::{KillPoint, Stages};

/// What libraries say unless the settings name them, as they come later and hold. rustls warns at
/// every handshake of a client that reaches the gate by its address. The others write down what
/// they carry, headers and statements with secrets in them, so that a bare `trace` must not reach
/// them.
const LIBRARIES: &str = "rustls=error,h2=info,hyper=info,hyper_util=info,reqwest=info,sqlx=info,\
                         tower=info,tonic=info,regorus=info,aws_config=info,aws_smithy_runtime=info";

/// Starts logging, and making spans where traces leave. A second start, as in tests, changes
/// nothing.
pub(crate) fn start(logging: &Logging, traces: Option<&Traces>) {
    // The level was checked when the configuration was read.
    let level = format!("{LIBRARIES},{}", logging.level);
    let filter = EnvFilter::try_new(&level).unwrap_or_else(|_| EnvFilter::new("info"));
    let layer = fmt::layer().with_writer(std::io::stderr);
    let layer = match logging.format {
        LogFormat::Pretty => layer.compact().boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .with(KillPoint::from_environment().map(|point| point.with_filter(Stages)))
        .with(traces.map(Traces::layer))
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
