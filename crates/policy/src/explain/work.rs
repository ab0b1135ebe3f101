//! The parts of a judgement, each to be run for itself: for those that measure.

use std::sync::Arc;

use crmgate_domain::{Candidate, Layer, Operation, Timestamp};
use regorus::Engine;

use super::rules::questions;
use super::{Prober, TIME_LIMIT, Trees};
use crate::bounds;
use crate::clock::Now;
use crate::coverage::Tap;
use crate::symbols::Symbols;
use crate::{JudgeOptions, PolicySet, Sources};

/// One part of a judgement: a package, or one definition of one of its rules.
pub struct Work {
    /// The package.
    pub package: String,
    /// Its layer.
    pub layer: Layer,
    /// The definition; `None` for the whole package.
    pub rule: Option<Definition>,
    engine: Engine,
    path: String,
    at: Timestamp,
}

/// One definition of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Definition {
    /// The rule's name.
    pub rule: String,
    /// The file.
    pub file: String,
    /// The line.
    pub line: u32,
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work")
            .field("package", &self.package)
            .field("rule", &self.rule)
            .finish_non_exhaustive()
    }
}

impl Work {
    /// Does it once, and tells whether the engine came to an end.
    pub fn run(&mut self) -> bool {
        let _now = Now::set(self.at);
        bounds::begin();
        let done = self.engine.eval_rule(self.path.clone()).is_ok();
        self.engine.take_prints().is_ok() && done
    }
}

impl PolicySet {
    /// What judging an operation consists of: every governing package, and every definition of
    /// its rules, over the input that the package is evaluated with at last. `sources` are those
    /// that the set was loaded from.
    #[must_use]
    pub fn work(
        &self,
        sources: &Sources,
        operation: &Operation,
        candidate: &Arc<dyn Candidate>,
        options: &JudgeOptions,
    ) -> Vec<Work> {
        let tap = Tap::hearing();
        drop(self.judge_with(operation, candidate, options, Some(&tap)));
        let heard = tap.heard();
        let trees = Trees::new(sources, operation.connection.name.as_str());
        let mut parts = Vec::new();
        for (layer, set, _) in self.layers_of(&operation.connection.name) {
            let symbols = Symbols::new(trees.of(layer));
            for (index, package) in set.packages.iter().enumerate() {
                let mine = heard.iter().rev();
                let mut mine = mine.filter(|it| it.layer == layer && it.package == package.name);
                let (Some(last), Some(ready)) = (mine.next(), set.engines().ready(index)) else {
                    continue;
                };
                let part = |rule, (engine, path)| Work {
                    package: package.name.clone(),
                    layer,
                    rule,
                    engine,
                    path,
                    at: operation.at,
                };
                let engine = || ready.engine(last.input.clone(), TIME_LIMIT);
                parts.push(part(None, (engine(), ready.path().to_owned())));
                let prober = Prober::new(engine());
                for (definition, prepared) in definitions(&symbols, &prober, package) {
                    parts.push(part(Some(definition), prepared));
                }
            }
        }
        parts
    }
}

fn definitions(
    symbols: &Symbols<'_>,
    prober: &Prober,
    package: &crate::Package,
) -> Vec<(Definition, (Engine, String))> {
    let path: Vec<String> = package.name.split('.').map(str::to_owned).collect();
    let mut found = Vec::new();
    let groups = package.judging();
    for id in groups.filter_map(|rule| symbols.group(&path, rule.name())) {
        for (module, rule) in symbols.rules(id) {
            let Some(module) = symbols.modules.get(module) else {
                continue;
            };
            let asked = questions(rule);
            let prepared = asked.iter().filter_map(|it| prober.prepared(module, it));
            let definition = Definition {
                rule: rule.name.clone(),
                file: module.file.clone(),
                line: rule.place.line,
            };
            found.extend(prepared.map(|prepared| (definition.clone(), prepared)));
        }
    }
    found
}
