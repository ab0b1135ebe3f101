//! What is counted and timed. Labels are connections, effects and fixed words: never values.

use std::time::{Duration, Instant};

use crmgate_domain::{ConnectionName, Effect, Mode};
use crmgate_store::{Basis, OutcomeKind};
use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

/// A stage of a write.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stage {
    Resolve,
    Evaluate,
    Record,
    Write,
}

impl Stage {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Evaluate => "evaluate",
            Self::Record => "record",
            Self::Write => "write",
        }
    }
}

/// Tells the recorder of metrics what each number is.
pub(crate) fn describe() {
    describe_counter!("crmgate_decisions_total", "decisions, by effect and mode");
    describe_counter!(
        "crmgate_passed_without_verdict_total",
        "operations that passed although no policy allowed them: observed, opaque, failed open"
    );
    describe_counter!(
        "crmgate_unrecorded_total",
        "operations that passed in observe mode although their decision could not be recorded"
    );
    describe_counter!("crmgate_outcomes_total", "what came of writes");
    describe_counter!(
        "crmgate_joined_total",
        "creates that were answered with the record of an equal one"
    );
    describe_counter!(
        "crmgate_judged_again_total",
        "operations judged again because their record had changed"
    );
    describe_gauge!(
        "crmgate_unfinished_writes",
        "writes whose outcome is not known yet"
    );
    describe_gauge!("crmgate_operations_in_flight", "operations under way");
    describe_histogram!(
        "crmgate_stage_seconds",
        Unit::Seconds,
        "how long each stage of an operation took"
    );
}

fn label(connection: &ConnectionName) -> String {
    connection.as_str().to_owned()
}

pub(crate) fn decided(connection: &ConnectionName, effect: Effect, mode: Mode) {
    counter!(
        "crmgate_decisions_total",
        "connection" => label(connection),
        "effect" => effect.as_str(),
        "mode" => mode.as_str(),
    )
    .increment(1);
}

pub(crate) fn passed_without_verdict(connection: &ConnectionName, basis: Basis) {
    counter!(
        "crmgate_passed_without_verdict_total",
        "connection" => label(connection),
        "basis" => basis.as_str(),
    )
    .increment(1);
}

pub(crate) fn unrecorded(connection: &ConnectionName) {
    counter!("crmgate_unrecorded_total", "connection" => label(connection)).increment(1);
}

pub(crate) fn ended(connection: &ConnectionName, kind: OutcomeKind) {
    counter!(
        "crmgate_outcomes_total",
        "connection" => label(connection),
        "outcome" => kind.as_str(),
    )
    .increment(1);
}

pub(crate) fn joined(connection: &ConnectionName) {
    counter!("crmgate_joined_total", "connection" => label(connection)).increment(1);
}

pub(crate) fn judged_again(connection: &ConnectionName) {
    counter!("crmgate_judged_again_total", "connection" => label(connection)).increment(1);
}

pub(crate) fn unfinished(connection: &ConnectionName, count: usize) {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    gauge!("crmgate_unfinished_writes", "connection" => label(connection)).set(f64::from(count));
}

/// Times a stage from its making to its end. Both ends are trace events of the target
/// `crmgate::stage`, which is how the crash tests find the points between two steps.
pub(crate) struct Timer {
    stage: Stage,
    started: Instant,
}

impl Timer {
    pub(crate) fn start(stage: Stage) -> Self {
        tracing::trace!(target: "crmgate::stage", stage = stage.as_str(), edge = "begin");
        Self {
            stage,
            started: Instant::now(),
        }
    }

    pub(crate) fn stop(self, connection: &ConnectionName) -> Duration {
        let took = self.started.elapsed();
        tracing::trace!(target: "crmgate::stage", stage = self.stage.as_str(), edge = "end");
        histogram!(
            "crmgate_stage_seconds",
            "connection" => label(connection),
            "stage" => self.stage.as_str(),
        )
        .record(took);
        took
    }
}

/// Counts an operation as under way until it is dropped.
pub(crate) struct Busy(ConnectionName);

impl Busy {
    pub(crate) fn enter(connection: &ConnectionName) -> Self {
        gauge!("crmgate_operations_in_flight", "connection" => label(connection)).increment(1.0);
        Self(connection.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        gauge!("crmgate_operations_in_flight", "connection" => label(&self.0)).decrement(1.0);
    }
}
