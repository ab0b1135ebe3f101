//! One evaluation of a layer's governing packages.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crmgate_domain::{
    Candidate, Enforcement, ErrorClass, EvaluationError, FieldRef, FieldSet, Layer, Views,
};
use regorus::Value;

use super::Case;
use super::said::{Said, Spoken};
use crate::engines::ForThread;
use crate::input::Frame;
use crate::layer::LayerSet;
use crate::looks::Wanted;
use crate::message::Told;
use crate::options::Took;
use crate::package::Package;
use crate::value::{self, OutOfRange};

/// A layer that governs the operation.
pub(super) struct Round<'a> {
    pub(super) layer: Layer,
    set: &'a LayerSet,
    /// Those of this thread: a judgement stays on one.
    engines: &'a ForThread,
    governing: Vec<(usize, Enforcement)>,
    /// What each of them took so far, over all evaluations.
    took: Vec<Cell<Duration>>,
    /// What its packages look at.
    wanted: Wanted<'a>,
    /// Their input without the record.
    frame: Frame,
}

impl<'a> Round<'a> {
    pub(super) fn new(
        layer: Layer,
        set: &'a LayerSet,
        governing: Vec<(usize, Enforcement)>,
        case: &Case<'_>,
    ) -> Result<Self, OutOfRange> {
        let engines = set.engines();
        let wanted = engines.looks.wanted(governing.iter().map(|(at, _)| *at));
        Ok(Self {
            frame: Frame::new(case.operation, case.options, &wanted)?,
            layer,
            set,
            engines,
            took: governing.iter().map(|_| Cell::default()).collect(),
            governing,
            wanted,
        })
    }

    /// What each package took.
    pub(super) fn took(&self) -> impl Iterator<Item = Took> {
        let packages = self.governing.iter().zip(&self.took);
        packages.filter_map(|((index, _), took)| {
            let package = self.set.packages.get(*index)?;
            Some(Took {
                package: package.name.clone(),
                layer: self.layer,
                time: took.get(),
            })
        })
    }
}

impl Case<'_> {
    /// Has every governing package of a layer speak about the candidate.
    pub(super) fn speak<'a>(
        &self,
        round: &Round<'a>,
        candidate: &std::sync::Arc<dyn Candidate>,
    ) -> Vec<Spoken<'a>> {
        let views = candidate.views();
        let input = round.frame.input(views, &round.wanted);
        let governing = round.governing.iter().zip(&round.took);
        let spoken = governing.filter_map(|((index, enforcement), took)| {
            let package = round.set.packages.get(*index)?;
            let started = Instant::now();
            let said = match (&input, unknown(package, views)) {
                (Err(error), _) => Said::out_of_range(error),
                (_, Some(error)) => Said::error(error),
                (Ok(input), None) => self.evaluate(round, *index, package, input),
            };
            took.set(took.get() + started.elapsed());
            Some(Spoken {
                package,
                enforcement: *enforcement,
                said,
            })
        });
        spoken.collect()
    }

    fn evaluate(&self, round: &Round<'_>, index: usize, package: &Package, input: &Value) -> Said {
        if let Some(watch) = &self.options.watch {
            if let Some(why) = watch.why_not(&package.name) {
                return Said::error(EvaluationError {
                    package: package.name.clone(),
                    class: ErrorClass::Transient,
                    message: why.to_owned(),
                });
            }
            watch.enter(&package.name);
        }
        let said = self.ask(round, index, package, input);
        if let Some(watch) = &self.options.watch {
            watch.leave();
        }
        said
    }

    fn ask(&self, round: &Round<'_>, index: usize, package: &Package, input: &Value) -> Said {
        let Some((left, ready)) = self.budget.left().zip(round.engines.ready(index)) else {
            return Said::error(self.spent(package));
        };
        let evaluated = ready.evaluate(input.clone(), left, self.tap);
        if let Some(tap) = self.tap {
            tap.hear(round.layer, &package.name, input);
        }
        match (evaluated, ready.only) {
            (Ok(value), Some(only)) => Said::of_one(package, only, value),
            (Ok(value @ Value::Object(_)), None) => Said::read(package, &value),
            (Ok(other), None) => Said::error(EvaluationError {
                package: package.name.clone(),
                class: ErrorClass::Policy,
                message: format!(
                    "the package's rules came out as {}",
                    value::type_name(&other)
                ),
            }),
            (Err(told), _) if told.is_time_out() => Said::error(self.spent(package)),
            (Err(told), _) => Said::error(failure(package, round.set, &told)),
        }
    }

    fn spent(&self, package: &Package) -> EvaluationError {
        self.overspent.set(true);
        EvaluationError {
            package: package.name.clone(),
            class: ErrorClass::Transient,
            message: format!(
                "the judgement did not end within {} ms",
                self.budget.limit().as_millis()
            ),
        }
    }
}

/// An evaluation error with its rule and place.
fn failure(package: &Package, set: &LayerSet, told: &Told) -> EvaluationError {
    let message = match (&told.file, told.place) {
        (Some(file), Some((line, column))) => {
            let rule = set
                .rule_at(file, line)
                .map(|rule| format!("`{rule}` at "))
                .unwrap_or_default();
            format!("{rule}{file}:{line}:{column}: {}", told.message)
        }
        _ => told.message.clone(),
    };
    EvaluationError {
        package: package.name.clone(),
        class: ErrorClass::Policy,
        message: crate::rules::cut(&message, 2_000),
    }
}

/// Why a package can't be asked: it reads a field whose value could not be had.
fn unknown(package: &Package, views: &Views) -> Option<EvaluationError> {
    if views.unknown.is_empty() {
        return None;
    }
    let reads = |field: &FieldRef| match field.0.strip_prefix("related.") {
        Some(relation) => package.reads.related.contains(relation),
        None => package.reads.record.contains(field) || package.reads.before.contains(field),
    };
    let missed: Vec<String> = views
        .unknown
        .iter()
        .filter(|field| reads(field))
        .map(|field| format!("`{field}`"))
        .collect();
    if missed.is_empty() {
        return None;
    }
    let all = matches!(package.reads.record, FieldSet::All)
        || matches!(package.reads.before, FieldSet::All);
    let why = views
        .unknown_because
        .as_deref()
        .map(|why| format!(": {why}"))
        .unwrap_or_default();
    let note = if all { " (it reads every field)" } else { "" };
    Some(EvaluationError {
        package: package.name.clone(),
        class: ErrorClass::Transient,
        message: format!("the value of {} is unknown{why}{note}", missed.join(", ")),
    })
}
