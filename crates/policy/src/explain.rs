//! Why a judgement came out as it did: package by package and rule by rule, asked of the engine
//! that judged, never guessed.

use std::sync::Arc;
use std::time::Duration;

use crmgate_domain::{Candidate, FieldSet, Layer, Operation, Reads};
use regorus::Value;

use crate::analysis::{self, LayerFiles};
use crate::clock::Now;
use crate::coverage::{Heard, Tap};
use crate::govern::Target;
use crate::layer::LayerSet;
use crate::package::Package;
use crate::rules::Reserved;
use crate::symbols::Symbols;
use crate::syntax::Module;
use crate::{JudgeOptions, Judged, PolicySet, Sources};

pub(crate) mod body;
pub(crate) mod probe;
pub(crate) mod rules;
mod silent;
#[cfg(test)]
mod tests;
pub(crate) mod text;
mod told;
pub mod work;

pub(crate) use probe::Prober;
pub(crate) use rules::Explainer;
pub use told::{Came, Explanation, PackageTold, RuleTold, Seen, Silent, Statement};

/// How long one question may take.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// The syntax trees of a connection's operations: the global layer's, and the connection's own.
pub(crate) struct Trees {
    global: Vec<Module>,
    own: Vec<Module>,
}

impl Trees {
    pub(crate) fn new(sources: &Sources, connection: &str) -> Self {
        let mut global = Vec::new();
        let mut own = Vec::new();
        for layer in analysis::layers(sources) {
            match &layer.connection {
                None => global = parsed(&layer),
                Some(name) if name == connection => own = parsed(&layer),
                Some(_) => {}
            }
        }
        let helpers = global.iter().filter(|module| is_helper(module));
        own.extend(helpers.cloned().collect::<Vec<_>>());
        Self { global, own }
    }

    pub(crate) fn of(&self, layer: Layer) -> &[Module] {
        match layer {
            Layer::Global => &self.global,
            Layer::Connection => &self.own,
        }
    }
}

fn parsed(layer: &LayerFiles) -> Vec<Module> {
    let modules = layer.rego.iter().filter_map(|it| analysis::parse(it).ok());
    modules.collect()
}

/// Helpers of the global layer serve the connections' policies as well.
pub(crate) fn is_helper(module: &Module) -> bool {
    module.package.first().is_some_and(|root| root == "lib")
}

impl PolicySet {
    /// Judges, and explains the judgement. `sources` are those that the set was loaded from.
    #[must_use]
    pub fn explain(
        &self,
        sources: &Sources,
        operation: &Operation,
        candidate: &Arc<dyn Candidate>,
        options: &JudgeOptions,
    ) -> (Judged, Explanation) {
        let tap = Tap::hearing();
        let judged = self.judge_with(operation, candidate, options, Some(&tap));
        let heard = tap.heard();
        let trees = Trees::new(sources, operation.connection.name.as_str());
        let _now = Now::set(operation.at);
        let mut packages = Vec::new();
        let mut silent = Vec::new();
        for (layer, set, enforcement) in self.layers_of(&operation.connection.name) {
            let symbols = Symbols::new(trees.of(layer));
            let target = Target::from(operation);
            let governing = set.governing(&target, enforcement);
            for (index, package) in set.packages.iter().enumerate() {
                let Some((_, counts)) = governing.iter().find(|(at, _)| *at == index) else {
                    let counts = enforcement.get(&package.name).copied();
                    silent.push(silent::of(package, layer, &target, counts));
                    continue;
                };
                let mine = |one: &&Heard| one.layer == layer && one.package == package.name;
                let heard: Vec<&Heard> = heard.iter().filter(mine).collect();
                packages.push(PackageTold {
                    package: package.name.clone(),
                    layer,
                    enforcement: *counts,
                    evaluations: heard.len(),
                    reads: reads(&package.reads),
                    rules: of_package(&symbols, set, index, package, &heard),
                    prints: heard.last().map(|it| it.prints.clone()).unwrap_or_default(),
                });
            }
        }
        let explanation = Explanation {
            judgement: judged.judgement.clone(),
            record: judged.candidate.views().record.clone(),
            packages,
            silent,
        };
        (judged, explanation)
    }
}

/// A patch is asked for by the record as it came, everything else is said about the last one.
fn of_package(
    symbols: &Symbols<'_>,
    set: &LayerSet,
    index: usize,
    package: &Package,
    heard: &[&Heard],
) -> Vec<RuleTold> {
    let (Some(first), Some(last), Some(ready)) =
        (heard.first(), heard.last(), set.engines().ready(index))
    else {
        return Vec::new();
    };
    let prober = |input: &Value| Prober::new(ready.engine(input.clone(), TIME_LIMIT));
    let (first, last) = (prober(&first.input), prober(&last.input));
    let mut asked = Explainer::new(symbols, &first);
    let mut settled = Explainer::new(symbols, &last);
    let path: Vec<String> = package.name.split('.').map(str::to_owned).collect();
    let mut told = Vec::new();
    for rule in package.judging() {
        if let Some(id) = symbols.group(&path, rule.name()) {
            let explainer = if rule == Reserved::Patch {
                &mut asked
            } else {
                &mut settled
            };
            told.extend(explainer.group(id, &package.name));
        }
    }
    told
}

fn reads(reads: &Reads) -> Vec<String> {
    let mut all = Vec::new();
    for (set, prefix) in [(&reads.record, ""), (&reads.before, "before.")] {
        match set {
            FieldSet::All => all.push(format!("{prefix}*")),
            FieldSet::Only(fields) => {
                all.extend(fields.iter().map(|field| format!("{prefix}{field}")));
            }
        }
    }
    all.extend(reads.related.iter().map(|name| format!("related.{name}")));
    all
}
