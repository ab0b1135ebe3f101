//! Ends the process between two named steps of a write, in debug builds only: how the crash tests
//! prove that no write goes out without its decision on disk.

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::{Layer, registry::LookupSpan};

/// The variable that names the point: `record:begin`, `write:end`, ….
#[cfg(debug_assertions)]
const VARIABLE: &str = "CRMGATE_TEST_KILL_AT";

/// Kills the process at its point.
pub(crate) struct KillPoint {
    stage: String,
    edge: String,
}

impl KillPoint {
    /// The point that the environment names; never one in a release build.
    #[cfg(debug_assertions)]
    pub(crate) fn from_environment() -> Option<Self> {
        let named = std::env::var_os(VARIABLE)?;
        let (stage, edge) = named.to_str()?.split_once(':')?;
        Some(Self {
            stage: stage.to_owned(),
            edge: edge.to_owned(),
        })
    }

    /// The point that the environment names; never one in a release build.
    #[cfg(not(debug_assertions))]
    pub(crate) const fn from_environment() -> Option<Self> {
        None
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for KillPoint {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut seen = Seen::default();
        event.record(&mut seen);
        if seen.stage == self.stage && seen.edge == self.edge {
            // No destructor, no flush: as a power cut.
            std::process::abort();
        }
    }
}

/// Lets only the ends of stages through.
pub(crate) struct Stages;

impl<S> Filter<S> for Stages {
    fn enabled(&self, meta: &tracing::Metadata<'_>, _: &Context<'_, S>) -> bool {
        meta.target() == "crmgate::stage"
    }
}

#[derive(Default)]
struct Seen {
    stage: String,
    edge: String,
}

impl Visit for Seen {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "stage" => value.clone_into(&mut self.stage),
            "edge" => value.clone_into(&mut self.edge),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
