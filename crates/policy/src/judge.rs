//! Evaluates the governing packages and combines what they say.
//!
//! Layer by layer: collect patches, apply them, judge the patched record; that verdict stands.
//! At last every layer judges the final record as well, so that no connection can patch a global
//! refusal away.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use crmgate_domain::{Candidate, Enforcement, Judgement, Layer, Operation, Patch, RevisionId};

use crate::budget::Budget;
use crate::clock::Now;
use crate::coverage::Tap;
use crate::govern::Target;
use crate::layer::LayerSet;
use crate::value::OutOfRange;
use crate::{JudgeOptions, Judged, Ungoverned};

mod combine;
mod evaluate;
mod patches;
mod said;
mod scopes;
#[cfg(test)]
mod tests;

use evaluate::Round;
use said::Verdict;

/// The name under which the engine itself refuses.
pub(crate) const ENGINE: &str = "crmgate";

/// The layers that may govern an operation.
pub(crate) struct Layers<'a> {
    pub(crate) global: &'a LayerSet,
    pub(crate) enforcement: &'a BTreeMap<String, Enforcement>,
    pub(crate) own: Option<&'a LayerSet>,
    pub(crate) revision: &'a RevisionId,
}

/// What stays the same over all evaluations of one judgement.
struct Case<'a> {
    operation: &'a Operation,
    options: &'a JudgeOptions,
    budget: Budget,
    /// Whether the budget was not enough.
    overspent: Cell<bool>,
    tap: Option<&'a Tap>,
}

/// Judges one operation.
pub(crate) fn judge(
    layers: &Layers<'_>,
    operation: &Operation,
    candidate: &Arc<dyn Candidate>,
    options: &JudgeOptions,
    tap: Option<&Tap>,
) -> Judged {
    let target = Target::from(operation);
    let nothing = BTreeMap::new();
    let mut governing = Vec::with_capacity(2);
    for (layer, set, enforcement) in [
        (Layer::Global, Some(layers.global), layers.enforcement),
        (Layer::Connection, layers.own, &nothing),
    ] {
        let found = set.map(|set| (layer, set, set.governing(&target, enforcement)));
        governing.extend(found.filter(|(_, _, packages)| !packages.is_empty()));
    }
    let unpatched = |judgement| Judged {
        judgement,
        candidate: Arc::clone(candidate),
        took: Vec::new(),
        overspent: false,
    };
    if governing.is_empty() {
        let refuse = options.ungoverned == Ungoverned::Deny;
        return unpatched(combine::ungoverned(operation, refuse, layers.revision));
    }
    let _now = Now::set(operation.at);
    let case = Case {
        operation,
        options,
        budget: Budget::start(options.time_limit),
        overspent: Cell::new(false),
        tap,
    };
    let rounds: Result<Vec<Round<'_>>, OutOfRange> = governing
        .into_iter()
        .map(|(layer, set, governing)| Round::new(layer, set, governing, &case))
        .collect();
    match rounds {
        Err(error) => unpatched(combine::unreadable(&error, layers.revision)),
        Ok(rounds) => case.judge(&rounds, candidate, layers.revision),
    }
}

/// The judgement where a connection's own policies are broken.
pub(crate) fn shut(candidate: &Arc<dyn Candidate>, revision: &RevisionId) -> Judged {
    Judged {
        judgement: combine::shut(revision),
        candidate: Arc::clone(candidate),
        took: Vec::new(),
        overspent: false,
    }
}

impl Case<'_> {
    fn judge(
        &self,
        rounds: &[Round<'_>],
        candidate: &Arc<dyn Candidate>,
        revision: &RevisionId,
    ) -> Judged {
        let mut candidate = Arc::clone(candidate);
        let mut verdict = Verdict::default();
        let mut patches: Vec<Patch> = Vec::new();
        // How many patches were in force when a layer's verdict was made.
        let mut seen = Vec::with_capacity(rounds.len());
        for round in rounds {
            let settled = self.settle(round, &candidate);
            candidate = settled.candidate;
            patches.extend(settled.patches);
            verdict.add(settled.verdict);
            seen.push(patches.len());
        }
        for (round, seen) in rounds.iter().zip(seen) {
            if seen < patches.len() {
                let spoken = self.speak(round, &candidate);
                verdict.add(self.verdict(round, spoken));
            }
        }
        let judgement: Judgement = combine::all(verdict, patches, self, revision);
        Judged {
            judgement,
            candidate,
            took: rounds.iter().flat_map(Round::took).collect(),
            overspent: self.overspent.get(),
        }
    }
}
