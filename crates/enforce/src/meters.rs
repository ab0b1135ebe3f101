//! What is counted and timed. Labels are connections, effects and fixed words, and the names that
//! policies give, up to a bound: never values.
//!
//! A gate makes its handles once; counting is then an addition.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crmgate_domain::{
    ConnectionName, Effect, Enforcement, ErrorClass, Judgement, Layer, Mode, PackageVerdict,
};
use crmgate_policy::Judged;
use crmgate_policy::options::Took;
use crmgate_store::{Basis, OutcomeKind};
use crmgate_telemetry::{Capped, Each, SPANS};
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

mod describe;

/// How many packages of a connection are told apart; the rest is `other`.
const PACKAGES: usize = 1_000;
/// How many codes of refusals are.
const CODES: usize = 100;

/// The code of a refusal that has none.
const NO_CODE: &str = "none";

/// A stage of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// A request becomes an operation.
    Parse,
    /// The stored record and what else policies read are looked up.
    Enrich,
    /// Policies judge.
    Evaluate,
    /// The decision reaches the disk.
    Record,
    /// The CRM gets it.
    Write,
}

impl Stage {
    const ALL: [Self; 5] = [
        Self::Parse,
        Self::Enrich,
        Self::Evaluate,
        Self::Record,
        Self::Write,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Enrich => "enrich",
            Self::Evaluate => "evaluate",
            Self::Record => "record",
            Self::Write => "write",
        }
    }

    /// Its name is part of what a span is, and must be known where it is made.
    fn span(self) -> tracing::Span {
        match self {
            Self::Parse => tracing::debug_span!(target: SPANS, "parse"),
            Self::Enrich => tracing::debug_span!(target: SPANS, "enrich"),
            Self::Evaluate => tracing::debug_span!(
                target: SPANS,
                "evaluate",
                packages = tracing::field::Empty
            ),
            Self::Record => tracing::debug_span!(target: SPANS, "record"),
            Self::Write => tracing::debug_span!(target: SPANS, "write"),
        }
    }
}

const EFFECTS: [Effect; 4] = [
    Effect::Allow,
    Effect::RequireApproval,
    Effect::Error,
    Effect::Deny,
];
const MODES: [Mode; 2] = [Mode::Observe, Mode::Enforce];
const CLASSES: [ErrorClass; 2] = [ErrorClass::Transient, ErrorClass::Policy];
const LAYERS: [Layer; 2] = [Layer::Global, Layer::Connection];
const UNASKED: [Basis; 3] = [Basis::Observed, Basis::Opaque, Basis::FailedOpen];
const OUTCOMES: [OutcomeKind; 6] = [
    OutcomeKind::Succeeded,
    OutcomeKind::Refused,
    OutcomeKind::NotWritten,
    OutcomeKind::VersionMismatch,
    OutcomeKind::Unknown,
    OutcomeKind::Uncertain,
];

/// The handles of one connection.
#[derive(Debug)]
pub struct Meters {
    stages: Each<Stage, Histogram>,
    decisions: Each<(Effect, Mode), Counter>,
    refusals: Capped<Counter>,
    errors: Each<ErrorClass, Counter>,
    packages: Capped<PackageMeters>,
    layers: Each<Layer, Histogram>,
    unasked: Each<Basis, Counter>,
    unrecorded: Counter,
    mask_failed: Counter,
    budget_spent: Counter,
    benched: Capped<Counter>,
    outcomes: Each<OutcomeKind, Counter>,
    joined: Counter,
    judged_again: Counter,
    turned_away: Counter,
    unfinished: Gauge,
    unfinished_oldest: Gauge,
    waiting: Gauge,
    in_flight: Gauge,
}

impl Meters {
    pub(crate) fn new(connection: &ConnectionName) -> Self {
        describe::all();
        let name = connection.to_string();
        let counts = |metric: &'static str| counter!(metric, "connection" => name.clone());
        let gauges = |metric: &'static str| gauge!(metric, "connection" => name.clone());
        let labelled = |metric: &'static str, label: &'static str, value: &'static str| counter!(metric, "connection" => name.clone(), label => value);
        let combinations = EFFECTS
            .iter()
            .flat_map(|effect| MODES.map(|m| (*effect, m)));
        let (codes, packages, benched) = (name.clone(), name.clone(), name.clone());
        Self {
            stages: Each::of(
                &Stage::ALL,
                |stage| histogram!("crmgate_stage_seconds", "connection" => name.clone(), "stage" => stage.as_str()),
            ),
            decisions: Each::of(&combinations.collect::<Vec<_>>(), |(effect, mode)| {
                counter!("crmgate_decisions_total", "connection" => name.clone(),
                    "effect" => effect.as_str(), "mode" => mode.as_str())
            }),
            refusals: Capped::new(
                CODES,
                move |code| counter!("crmgate_refusals_total", "connection" => codes.clone(), "code" => code.to_owned()),
            ),
            errors: Each::of(&CLASSES, |class| {
                labelled(
                    "crmgate_evaluation_errors_total",
                    "class",
                    class_word(class),
                )
            }),
            packages: Capped::new(PACKAGES, move |package| {
                PackageMeters::new(&packages, package)
            }),
            layers: Each::of(
                &LAYERS,
                |layer| histogram!("crmgate_layer_seconds", "connection" => name.clone(), "layer" => layer_word(layer)),
            ),
            unasked: Each::of(&UNASKED, |basis| {
                labelled(
                    "crmgate_passed_without_verdict_total",
                    "basis",
                    basis.as_str(),
                )
            }),
            unrecorded: counts("crmgate_unrecorded_total"),
            mask_failed: counts("crmgate_decision_log_mask_failed_total"),
            budget_spent: counts("crmgate_budget_spent_total"),
            benched: Capped::new(PACKAGES, move |package| {
                counter!("crmgate_policy_benched_total",
                    "connection" => benched.clone(), "package" => package.to_owned())
            }),
            outcomes: Each::of(&OUTCOMES, |kind| {
                labelled("crmgate_outcomes_total", "outcome", kind.as_str())
            }),
            joined: counts("crmgate_joined_total"),
            judged_again: counts("crmgate_judged_again_total"),
            turned_away: counts("crmgate_operations_turned_away_total"),
            unfinished: gauges("crmgate_unfinished_writes"),
            unfinished_oldest: gauges("crmgate_unfinished_oldest_seconds"),
            waiting: gauges("crmgate_outcomes_waiting"),
            in_flight: gauges("crmgate_operations_in_flight"),
        }
    }

    /// Starts to time a stage, under the span that is entered now.
    pub fn time(&self, stage: Stage) -> Timer {
        tracing::trace!(target: "crmgate::stage", stage = stage.as_str(), edge = "begin");
        Timer {
            stage,
            span: stage.span(),
            histogram: self.stages.get(stage).cloned(),
            started: Instant::now(),
        }
    }

    /// Counts a recorded decision.
    pub(crate) fn decided(&self, effect: Effect, mode: Mode) {
        add(self.decisions.get((effect, mode)));
    }

    /// Counts why something does not pass.
    pub(crate) fn refused(&self, judgement: &Judgement) {
        if judgement.effect == Effect::Deny {
            for reason in &judgement.reasons {
                let code = Some(reason.code.as_str()).filter(|code| !code.is_empty());
                let code = code.unwrap_or(NO_CODE);
                self.refusals.with(code, |counter| counter.increment(1));
            }
        }
        for error in &judgement.errors {
            add(self.errors.get(error.class));
        }
    }

    /// Takes down what each package said and what it took; `span` is the evaluation's.
    pub(crate) fn judged(&self, span: &tracing::Span, judged: &Judged) {
        if !span.is_disabled() {
            let packages = judged.judgement.packages.iter();
            let names: Vec<&str> = packages.map(|one| one.package.as_str()).collect();
            span.record("packages", names.join(","));
        }
        for verdict in &judged.judgement.packages {
            self.packages
                .with(&verdict.package, |package| package.said(verdict));
        }
        self.took(&judged.took);
        if judged.overspent {
            self.budget_spent();
        }
    }

    fn took(&self, took: &[Took]) {
        for layer in LAYERS {
            let of_layer = took.iter().filter(|one| one.layer == layer);
            let (mut sum, mut any) = (Duration::ZERO, false);
            for one in of_layer {
                (sum, any) = (sum + one.time, true);
                self.packages
                    .with(&one.package, |package| package.seconds.record(one.time));
            }
            if let Some(histogram) = self.layers.get(layer).filter(|_| any) {
                histogram.record(sum);
            }
        }
    }

    pub(crate) fn passed_without_verdict(&self, basis: Basis) {
        add(self.unasked.get(basis));
    }

    pub(crate) fn unrecorded(&self) {
        self.unrecorded.increment(1);
    }

    pub(crate) fn budget_spent(&self) {
        self.budget_spent.increment(1);
    }

    /// Counts a package that did not come back.
    pub(crate) fn benched(&self, package: &str) {
        self.budget_spent();
        self.benched.with(package, |counter| counter.increment(1));
    }

    pub(crate) fn mask_failed(&self) {
        self.mask_failed.increment(1);
    }

    pub(crate) fn ended(&self, kind: OutcomeKind) {
        add(self.outcomes.get(kind));
    }

    pub(crate) fn joined(&self) {
        self.joined.increment(1);
    }

    pub(crate) fn judged_again(&self) {
        self.judged_again.increment(1);
    }

    pub(crate) fn turned_away(&self) {
        self.turned_away.increment(1);
    }

    pub(crate) fn unfinished(&self, count: usize, oldest: Duration) {
        self.unfinished.set(number(count));
        self.unfinished_oldest.set(oldest.as_secs_f64());
    }

    pub(crate) fn outcomes_waiting(&self, count: usize) {
        self.waiting.set(number(count));
    }

    /// Counts an operation as under way until what this gives is dropped.
    pub(crate) fn busy(&self) -> Busy {
        self.in_flight.increment(1.0);
        Busy(self.in_flight.clone())
    }
}

/// The handles of one package at one connection.
#[derive(Debug)]
struct PackageMeters {
    connection: String,
    package: String,
    seconds: Histogram,
    verdicts: Each<Effect, OnceLock<Counter>>,
}

impl PackageMeters {
    fn new(connection: &str, package: &str) -> Self {
        Self {
            seconds: histogram!("crmgate_package_seconds",
                "connection" => connection.to_owned(), "package" => package.to_owned()),
            connection: connection.to_owned(),
            package: package.to_owned(),
            verdicts: Each::of(&EFFECTS, |_| OnceLock::new()),
        }
    }

    /// A series begins with the first verdict of its kind: most packages know but one or two.
    fn said(&self, verdict: &PackageVerdict) {
        if verdict.enforcement == Enforcement::Off {
            return;
        }
        let Some(counter) = self.verdicts.get(verdict.effect) else {
            return;
        };
        let make = || {
            counter!("crmgate_package_verdicts_total",
                "connection" => self.connection.clone(), "package" => self.package.clone(),
                "effect" => verdict.effect.as_str())
        };
        counter.get_or_init(make).increment(1);
    }
}

fn add(counter: Option<&Counter>) {
    if let Some(counter) = counter {
        counter.increment(1);
    }
}

fn number(count: usize) -> f64 {
    u32::try_from(count).unwrap_or(u32::MAX).into()
}

const fn class_word(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Transient => "transient",
        ErrorClass::Policy => "policy",
    }
}

const fn layer_word(layer: Layer) -> &'static str {
    match layer {
        Layer::Global => "global",
        Layer::Connection => "connection",
    }
}

/// Times a stage from its making to its end. Both ends are trace events of the target
/// `crmgate::stage`, which is how the crash tests find the points between two steps.
#[must_use = "a stage ends when its timer is stopped"]
pub struct Timer {
    stage: Stage,
    span: tracing::Span,
    histogram: Option<Histogram>,
    started: Instant,
}

impl Timer {
    /// The stage's span.
    #[must_use]
    pub const fn span(&self) -> &tracing::Span {
        &self.span
    }

    /// Ends the stage: how long it took.
    pub fn stop(self) -> Duration {
        let took = self.started.elapsed();
        tracing::trace!(target: "crmgate::stage", stage = self.stage.as_str(), edge = "end");
        if let Some(histogram) = self.histogram {
            histogram.record(took);
        }
        took
    }
}

/// Counts an operation as under way until it is dropped.
pub(crate) struct Busy(Gauge);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
