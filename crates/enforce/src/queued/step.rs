//! The named steps of a queued operation. Both ends of each are trace events of the target
//! `crmgate::stage`, which is how the crash tests find the points between two steps.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crmgate_telemetry::Each;
use metrics::{Histogram, Unit, describe_histogram, histogram};

/// A step of a queued operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Rows of a submission are stored; nobody sees them yet.
    Stage,
    /// A submission is closed: all of it is accepted.
    Accept,
    /// A worker takes the row.
    Begin,
    /// What is asked is looked up and judged.
    Judge,
    /// The decision and the move are stored.
    Record,
    /// What is permitted waits for others that can go along, and for a place.
    Batch,
    /// The rows say that they are being sent.
    Writing,
    /// The CRM gets them.
    Send,
    /// What came of it is stored.
    Learn,
    /// The CRM is asked whether a write happened.
    ReadBack,
    /// What was found out about a write of a worker that is gone is stored.
    Settle,
    /// The row goes back without having been sent.
    HandBack,
    /// A person's answer, and what follows from it, is stored.
    Vote,
    /// The row is done with; its job is told so next.
    Ack,
    /// The sweeper looks for what should be moving and is not.
    Sweep,
    /// Jobs go to a queue that does not lie in the database.
    Relay,
}

impl Step {
    /// All steps. Each gives two points at which a crash must do no harm: `<name>:begin` and
    /// `<name>:end`.
    pub const ALL: [Self; 16] = [
        Self::Stage,
        Self::Accept,
        Self::Begin,
        Self::Judge,
        Self::Record,
        Self::Batch,
        Self::Writing,
        Self::Send,
        Self::Learn,
        Self::ReadBack,
        Self::Settle,
        Self::HandBack,
        Self::Vote,
        Self::Ack,
        Self::Sweep,
        Self::Relay,
    ];

    /// The name in events and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stage => "queue.stage",
            Self::Accept => "queue.accept",
            Self::Begin => "queue.begin",
            Self::Judge => "queue.judge",
            Self::Record => "queue.record",
            Self::Batch => "queue.batch",
            Self::Writing => "queue.writing",
            Self::Send => "queue.send",
            Self::Learn => "queue.learn",
            Self::ReadBack => "queue.read_back",
            Self::Settle => "queue.settle",
            Self::HandBack => "queue.hand_back",
            Self::Vote => "queue.vote",
            Self::Ack => "queue.ack",
            Self::Sweep => "queue.sweep",
            Self::Relay => "queue.relay",
        }
    }

    /// Begins it.
    pub fn start(self) -> StepTimer {
        tracing::trace!(target: "crmgate::stage", stage = self.as_str(), edge = "begin");
        StepTimer {
            step: self,
            started: Instant::now(),
        }
    }
}

/// A step under way.
#[must_use = "a step ends when its timer is stopped"]
pub struct StepTimer {
    step: Step,
    started: Instant,
}

impl StepTimer {
    /// Ends it: how long it took.
    pub fn stop(self) -> Duration {
        let took = self.started.elapsed();
        tracing::trace!(target: "crmgate::stage", stage = self.step.as_str(), edge = "end");
        if let Some(histogram) = histograms().get(self.step) {
            histogram.record(took);
        }
        took
    }
}

/// Made when first used: by then the process has its recorder.
fn histograms() -> &'static Each<Step, Histogram> {
    static ALL: OnceLock<Each<Step, Histogram>> = OnceLock::new();
    ALL.get_or_init(|| {
        describe_histogram!(
            "crmgate_queue_step_seconds",
            Unit::Seconds,
            "How long each step of a queued operation took."
        );
        Each::of(
            &Step::ALL,
            |step| histogram!("crmgate_queue_step_seconds", "step" => step.as_str()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::Step;

    #[test]
    fn every_step_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> =
            Step::ALL.iter().map(|step| step.as_str()).collect();
        assert_eq!(names.len(), Step::ALL.len());
        assert!(names.iter().all(|name| !name.contains(':')));
    }
}
