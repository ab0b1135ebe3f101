//! What is known in a body, statement by statement.

use std::collections::{BTreeMap, BTreeSet};

use crmgate_policy::analysis::{ExprRef, Step, chain};

use crate::types::{Kinds, Ty};

/// The variables of a body, and what its statements have made sure of.
#[derive(Debug, Clone, Default)]
pub(super) struct Env {
    variables: BTreeMap<String, Ty>,
    /// What a reference may still be, by its text.
    narrowed: BTreeMap<String, Kinds>,
    /// References whose text some statement has looked at.
    guarded: BTreeSet<String>,
    /// Inside `not`, where things may be missing on purpose.
    pub(super) negated: bool,
}

impl Env {
    pub(super) fn bind(&mut self, name: &str, ty: Ty) {
        if name != "_" {
            self.variables.insert(name.to_owned(), ty);
        }
    }

    pub(super) fn variable(&self, name: &str) -> Option<&Ty> {
        self.variables.get(name)
    }

    /// From here on the reference is one of `kinds`.
    pub(super) fn narrow(&mut self, expr: &ExprRef, kinds: Kinds) {
        if let Some(key) = key(expr) {
            self.narrow_key(key, kinds);
        }
    }

    fn narrow_key(&mut self, key: String, kinds: Kinds) {
        let known = self.narrowed.get(&key).copied().unwrap_or(Kinds::ANY);
        self.narrowed.insert(key, known.and(kinds));
    }

    /// Takes over what is known of the input where a rule holds.
    pub(super) fn learn(&mut self, guards: &BTreeMap<String, Kinds>) {
        if self.negated {
            return;
        }
        for (key, kinds) in guards {
            self.guarded.insert(key.clone());
            self.narrow_key(key.clone(), *kinds);
        }
    }

    /// From here on the reference's form has been looked at.
    pub(super) fn guard(&mut self, expr: &ExprRef) {
        if let Some(key) = key(expr) {
            self.guarded.insert(key);
        }
    }

    pub(super) fn is_guarded(&self, expr: &ExprRef) -> bool {
        key(expr).is_some_and(|key| self.guarded.contains(&key))
    }

    /// What is known of a reference, beside its type.
    pub(super) fn apply(&self, expr: &ExprRef, ty: Ty) -> Ty {
        let known = key(expr).and_then(|key| self.narrowed.get(&key).copied());
        match known {
            Some(kinds) if ty.kinds.and(kinds) != Kinds::NONE => Ty {
                kinds: ty.kinds.and(kinds),
                ..ty
            },
            _ => ty,
        }
    }

    /// What is known of the input by now.
    pub(super) fn of_input(&self) -> BTreeMap<String, Kinds> {
        let mut known: BTreeMap<String, Kinds> = self
            .narrowed
            .iter()
            .map(|(key, kinds)| (key.clone(), *kinds))
            .collect();
        for key in &self.guarded {
            known.entry(key.clone()).or_insert(Kinds::ANY);
        }
        // A local variable means nothing elsewhere.
        known.retain(|key, _| key.starts_with("input.") && !key.contains('['));
        known
    }
}

/// A reference as a text that is the same wherever it means the same.
fn key(expr: &ExprRef) -> Option<String> {
    let (root, steps) = chain(expr)?;
    let mut key = root.to_owned();
    for step in steps {
        match step {
            Step::Key(name) => {
                key.push('.');
                key.push_str(name);
            }
            Step::Index(index) => {
                key.push('[');
                key.push_str(index.span().text());
                key.push(']');
            }
        }
    }
    Some(key)
}
