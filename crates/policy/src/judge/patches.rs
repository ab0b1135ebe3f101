//! Patches: put together, applied, and judged again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crmgate_domain::{
    Candidate, Enforcement, ErrorClass, EvaluationError, Patch, PatchOp, Reason, Views,
};

use super::Case;
use super::evaluate::Round;
use super::said::{Spoken, Verdict, refusal};

/// A layer's verdict with the record it is about.
pub(super) struct Settled<'a> {
    pub(super) verdict: Verdict<'a>,
    pub(super) candidate: Arc<dyn Candidate>,
    /// The patches that changed something, in the order they were applied.
    pub(super) patches: Vec<Patch>,
}

impl Case<'_> {
    /// Judges a layer: evaluate, patch, evaluate again.
    pub(super) fn settle<'a>(
        &self,
        round: &Round<'a>,
        candidate: &Arc<dyn Candidate>,
    ) -> Settled<'a> {
        let spoken = self.speak(round, candidate);
        let asked: BTreeSet<String> = spoken
            .iter()
            .filter(|spoken| !spoken.said.patches.is_empty())
            .map(|spoken| spoken.package.name.clone())
            .collect();
        let mut settled = match self.apply(&spoken, candidate) {
            Applied::Nothing => self.as_it_is(round, spoken, candidate),
            Applied::Refused(reason) => {
                let mut settled = self.as_it_is(round, spoken, candidate);
                settled.verdict.reasons.push(reason);
                settled
            }
            Applied::Failed(error) => {
                let mut settled = self.as_it_is(round, spoken, candidate);
                settled.verdict.errors.push(error);
                settled
            }
            Applied::Changed(patched, patches) => {
                let spoken = self.speak(round, &patched);
                let again = self.apply(&spoken, &patched);
                let mut settled = self.as_it_is(round, spoken, &patched);
                settled.patches = patches;
                match again {
                    Applied::Nothing => {}
                    Applied::Changed(_, patches) => {
                        settled.verdict.reasons.push(unstable(&patches));
                    }
                    Applied::Refused(reason) => settled.verdict.reasons.push(reason),
                    Applied::Failed(error) => settled.verdict.errors.push(error),
                }
                settled
            }
        };
        settled.verdict.patched.extend(asked);
        settled
    }

    fn as_it_is<'a>(
        &self,
        round: &Round<'a>,
        spoken: Vec<Spoken<'a>>,
        candidate: &Arc<dyn Candidate>,
    ) -> Settled<'a> {
        Settled {
            verdict: self.verdict(round, spoken),
            candidate: Arc::clone(candidate),
            patches: Vec::new(),
        }
    }

    fn apply(&self, spoken: &[Spoken<'_>], candidate: &Arc<dyn Candidate>) -> Applied {
        let asked = spoken
            .iter()
            .filter(|spoken| spoken.enforcement == Enforcement::Enforce)
            .flat_map(|spoken| spoken.said.patches.iter().cloned());
        let planned = match plan(asked.collect()) {
            Ok(planned) => planned,
            Err(reason) => return Applied::Refused(*reason),
        };
        let views = candidate.views();
        let planned: Vec<Patch> = planned
            .into_iter()
            .filter(|patch| !changes_nothing(patch, views))
            .collect();
        if planned.is_empty() {
            return Applied::Nothing;
        }
        let patched = match candidate.patched(&planned) {
            Ok(patched) => patched,
            Err(error) => return failed(&planned, candidate, &error.to_string()),
        };
        let after = patched.views();
        if after.record == views.record && after.native == views.native {
            return Applied::Nothing;
        }
        if !self.options.can_patch {
            return Applied::Refused(not_here(self.operation.point.as_str(), &planned));
        }
        Applied::Changed(patched, planned)
    }
}

enum Applied {
    Nothing,
    Changed(Arc<dyn Candidate>, Vec<Patch>),
    /// The engine refuses.
    Refused(Reason),
    /// A policy asked for what the record can't hold.
    Failed(EvaluationError),
}

/// Puts patches in the order in which they are applied: `set` and `clear` before `default`, then
/// by field. Two values for one field are a refusal.
pub(super) fn plan(mut patches: Vec<Patch>) -> Result<Vec<Patch>, Box<Reason>> {
    let late = |patch: &Patch| patch.op == PatchOp::Default;
    patches.sort_by(|a, b| {
        (late(a), &a.field, &a.package)
            .cmp(&(late(b), &b.field, &b.package))
            .then_with(|| a.value.to_json().cmp(&b.value.to_json()))
    });
    let mut kept: BTreeMap<(bool, String), Patch> = BTreeMap::new();
    let mut order = Vec::new();
    for patch in patches {
        let key = (late(&patch), patch.field.0.clone());
        match kept.get(&key) {
            None => {
                order.push(key.clone());
                kept.insert(key, patch);
            }
            Some(first) if first.value == patch.value => {}
            Some(first) => return Err(Box::new(conflict(first, &patch))),
        }
    }
    // Where a value was set, there is nothing left to default. Connectors get plain changes.
    let given = |field: &str| {
        let set = kept.get(&(false, field.to_owned()));
        set.is_some_and(|patch| !patch.value.is_null())
    };
    order.retain(|(late, field)| !late || !given(field));
    Ok(order.iter().filter_map(|key| kept.remove(key)).collect())
}

fn conflict(first: &Patch, second: &Patch) -> Reason {
    let mut reason = refusal(
        "patch_conflict",
        format!(
            "`{}` gets {} from {} and {} from {}",
            first.field,
            first.value.to_json(),
            first.package,
            second.value.to_json(),
            second.package
        ),
    );
    reason.fields = vec![first.field.clone()];
    reason
}

fn about(reason: &mut Reason, patches: &[Patch]) -> String {
    let fields: BTreeSet<_> = patches.iter().map(|patch| patch.field.clone()).collect();
    let names: Vec<String> = fields.iter().map(|field| format!("`{field}`")).collect();
    reason.fields = fields.into_iter().collect();
    names.join(", ")
}

fn unstable(patches: &[Patch]) -> Reason {
    let mut reason = refusal("patch_unstable", String::new());
    let names = about(&mut reason, patches);
    let packages: BTreeSet<&str> = patches.iter().map(|p| p.package.as_str()).collect();
    let packages: Vec<&str> = packages.into_iter().collect();
    reason.message = format!(
        "the policies do not come to rest: the patched record is patched again in {names} by {}",
        packages.join(", ")
    );
    reason
}

fn not_here(point: &str, patches: &[Patch]) -> Reason {
    let mut reason = refusal("patch_not_possible", String::new());
    let names = about(&mut reason, patches);
    reason.message = format!("{names} must be changed first, which can't be done at the {point}");
    reason
}

/// Finds the patch that can't be applied, so that its package is named.
fn failed(planned: &[Patch], candidate: &Arc<dyn Candidate>, error: &str) -> Applied {
    let guilty = planned
        .iter()
        .find(|patch| candidate.patched(std::slice::from_ref(patch)).is_err())
        .or_else(|| planned.first());
    Applied::Failed(EvaluationError {
        package: guilty.map_or_else(String::new, |patch| patch.package.clone()),
        class: ErrorClass::Policy,
        message: format!("`patch`: {error}"),
    })
}

/// Whether the record has what the patch asks for already.
fn changes_nothing(patch: &Patch, views: &Views) -> bool {
    let (record, name) = match patch.field.native() {
        Some(native) => (&views.native, native),
        None => (&views.record, patch.field.0.as_str()),
    };
    let Some(value) = record.as_ref().and_then(|record| record.get(name)) else {
        return false;
    };
    match patch.op {
        PatchOp::Set | PatchOp::Clear => *value == patch.value,
        PatchOp::Default => !value.is_null(),
    }
}
