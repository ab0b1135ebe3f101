//! Ends or stops the process between two named steps of a write, in debug builds only: how the crash
//! tests prove that no write goes out without its decision on disk, and none twice.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crmgate_telemetry::SPANS;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::{Layer, registry::LookupSpan};

/// The variables that name the point, and whether the process stops there instead of dying. A point
/// is `record:begin`, `write:end`, …; of one queued operation alone, `queue.judge:begin@<its id>`.
#[cfg(debug_assertions)]
const VARIABLES: [(&str, bool); 2] = [
    ("CRMGATE_TEST_KILL_AT", false),
    ("CRMGATE_TEST_PAUSE_AT", true),
];

/// Whoever misses so much time stood still.
const MISSED: Duration = Duration::from_millis(500);

/// Kills or stops the process at its point.
pub(crate) struct KillPoint {
    stage: String,
    edge: String,
    operation: Option<String>,
    stops: bool,
    /// Whoever was stopped and goes on is not stopped again.
    reached: AtomicBool,
}

/// What is said in this span is said of the operation.
struct Named;

impl KillPoint {
    /// The point that the environment names; never one in a release build.
    #[cfg(debug_assertions)]
    pub(crate) fn from_environment() -> Option<Self> {
        let mut points = VARIABLES.into_iter();
        points.find_map(|(variable, stops)| Self::at(std::env::var_os(variable)?.to_str()?, stops))
    }

    /// The point that the environment names; never one in a release build.
    #[cfg(not(debug_assertions))]
    pub(crate) const fn from_environment() -> Option<Self> {
        None
    }

    #[cfg(debug_assertions)]
    fn at(named: &str, stops: bool) -> Option<Self> {
        let (point, operation) = match named.split_once('@') {
            Some((point, operation)) => (point, Some(operation.to_owned())),
            None => (named, None),
        };
        let (stage, edge) = point.split_once(':')?;
        Some(Self {
            stage: stage.to_owned(),
            edge: edge.to_owned(),
            operation,
            stops,
            reached: AtomicBool::new(false),
        })
    }

    fn reach(&self) {
        if !self.stops {
            // No destructor, no flush: as a power cut.
            std::process::abort();
        }
        if !self.reached.swap(true, Ordering::Relaxed) {
            stand_still();
        }
    }
}

/// Stops the process, and returns once it was let go on.
fn stand_still() {
    let own = std::process::id().to_string();
    let mut last = Instant::now();
    let mut stop = std::process::Command::new("kill");
    if stop.args(["-STOP", &own]).status().is_err() {
        return;
    }
    // The signal reaches each thread in its own time: this one waits until it has missed some.
    while last.elapsed() < MISSED {
        last = Instant::now();
        std::thread::sleep(MISSED / 50);
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for KillPoint {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut seen = Seen::default();
        attributes.record(&mut seen);
        if seen.operation.is_some()
            && seen.operation == self.operation
            && let Some(span) = context.span(id)
        {
            span.extensions_mut().insert(Named);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut seen = Seen::default();
        event.record(&mut seen);
        let is_of_it = || {
            let mut spans = context.event_scope(event).into_iter().flatten();
            spans.any(|span| span.extensions().get::<Named>().is_some())
        };
        if seen.stage == self.stage
            && seen.edge == self.edge
            && (self.operation.is_none() || is_of_it())
        {
            self.reach();
        }
    }
}

/// Lets only the ends of stages through, and the spans in which they are reached.
pub(crate) struct Stages;

impl<S> Filter<S> for Stages {
    fn enabled(&self, meta: &tracing::Metadata<'_>, _: &Context<'_, S>) -> bool {
        meta.target() == "crmgate::stage" || (meta.is_span() && meta.target() == SPANS)
    }
}

#[derive(Default)]
struct Seen {
    stage: String,
    edge: String,
    operation: Option<String>,
}

impl Visit for Seen {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "stage" => value.clone_into(&mut self.stage),
            "edge" => value.clone_into(&mut self.edge),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "operation" {
            self.operation = Some(format!("{value:?}"));
        }
    }
}
