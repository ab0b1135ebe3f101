//! Walks every rule and finds out what its values may be; what can't be right is told on the way.
//!
//! Nothing is run. A value of which nothing is known is never complained of.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crmgate_policy::analysis::{
    Expr, ExprRef, GroupId, Module, Rule, RuleHead, RuleNode, Step, chain, head_ref,
};

use crate::finding::Finding;
use crate::layer::{Governs, Layer};
use crate::types::{Kinds, Shape, Ty};

mod arithmetic;
mod builtins;
mod call;
mod compare;
mod data;
mod env;
mod expr;
mod fields;
mod format;
mod query;
mod reference;

use env::Env;
pub(crate) use fields::relation_fault;

/// What functions are called with is learnt from their callers: one round for each call of a
/// call. What is not known by then counts as unknown.
const ROUNDS: usize = 3;

/// How deep rules are followed into the rules they use.
const MAX_DEPTH: usize = 60;

/// Looks at the rules of a layer.
pub(crate) fn run(layer: &Layer<'_>, found: &mut Vec<Finding>) {
    let mut checker = Checker {
        layer,
        found: Vec::new(),
        muted: true,
        module: 0,
        governs: layer.anything(),
        node: None,
        params: BTreeMap::new(),
        values: BTreeMap::new(),
        guards: BTreeMap::new(),
        busy: BTreeSet::new(),
    };
    for round in 1..=ROUNDS {
        checker.muted = round < ROUNDS;
        checker.values.clear();
        checker.guards.clear();
        checker.modules();
    }
    found.append(&mut checker.found);
}

struct Checker<'l, 'a> {
    layer: &'l Layer<'a>,
    found: Vec<Finding>,
    /// Learning, not telling.
    muted: bool,
    /// The module whose rule is looked at, and what that is about.
    module: usize,
    governs: Rc<Governs>,
    /// The rule that is looked at.
    node: Option<&'a RuleNode>,
    /// What functions are called with.
    params: BTreeMap<GroupId, Vec<Ty>>,
    values: BTreeMap<GroupId, Ty>,
    /// What is known of the input where a rule holds.
    guards: BTreeMap<GroupId, BTreeMap<String, Kinds>>,
    busy: BTreeSet<GroupId>,
}

impl<'a> Checker<'_, 'a> {
    fn modules(&mut self) {
        // The input of `system.log` is another one: an event of the decision log.
        let judging = |(_, module): &(usize, &'a Module)| {
            module.package.first().is_none_or(|root| root != "system")
        };
        let modules: Vec<_> = self.layer.own().filter(judging).collect();
        for (index, module) in modules {
            self.enter(index);
            for node in &module.rules {
                let id = self.layer.symbols.group(&module.package, &node.name);
                let params = id.and_then(|id| self.params.get(&id).cloned());
                self.rule(node, &params.unwrap_or_default());
            }
        }
    }

    fn enter(&mut self, module: usize) {
        self.module = module;
        if let Some(here) = self.layer.parsed.modules.get(module) {
            self.governs = self.layer.governs(here);
        }
    }

    fn governs(&self) -> Rc<Governs> {
        Rc::clone(&self.governs)
    }

    /// What the rules of a group may be. Nothing is told meanwhile: they get their own turn.
    fn group(&mut self, id: GroupId) -> Ty {
        if let Some(known) = self.values.get(&id) {
            return known.clone();
        }
        if self.busy.len() > MAX_DEPTH || !self.busy.insert(id) {
            return Ty::any();
        }
        let (module, governs, node) = (self.module, self.governs(), self.node);
        let muted = std::mem::replace(&mut self.muted, true);
        let params = self.params.get(&id).cloned().unwrap_or_default();
        let rules: Vec<(usize, &'a RuleNode)> = self.layer.symbols.rules(id).collect();
        let mut value: Option<Ty> = None;
        let mut guards: Option<BTreeMap<String, Kinds>> = None;
        for (of, node) in rules {
            self.enter(of);
            let (ty, known) = self.rule(node, &params);
            value = Some(value.map_or_else(|| ty.clone(), |all| all.join(&ty)));
            guards = Some(match guards {
                None => known,
                Some(mut all) => {
                    all.retain(|key, kinds| known.get(key) == Some(kinds));
                    all
                }
            });
        }
        (self.module, self.governs, self.muted) = (module, governs, muted);
        self.node = node;
        self.busy.remove(&id);
        let value = value.unwrap_or_else(Ty::any);
        self.values.insert(id, value.clone());
        self.guards.insert(id, guards.unwrap_or_default());
        value
    }

    /// What one rule may be, and what is known of the input where it holds.
    fn rule(&mut self, node: &'a RuleNode, params: &[Ty]) -> (Ty, BTreeMap<String, Kinds>) {
        self.node = Some(node);
        match node.node.as_ref() {
            Rule::Default { value, .. } => {
                let mut env = Env::default();
                (self.value(value, &mut env), BTreeMap::new())
            }
            Rule::Spec { head, bodies, .. } => {
                let mut start = Env::default();
                self.arguments(head, params, &mut start);
                let mut value: Option<Ty> = None;
                let mut guards = BTreeMap::new();
                if bodies.is_empty() {
                    value = Some(self.head(&node.node, head, &mut start));
                }
                for (index, body) in bodies.iter().enumerate() {
                    let mut env = start.clone();
                    self.query(&body.query, &mut env);
                    let ty = match &body.assign {
                        Some(assign) => self.value(&assign.value, &mut env),
                        None => self.head(&node.node, head, &mut env),
                    };
                    value = Some(value.map_or_else(|| ty.clone(), |all| all.join(&ty)));
                    // An `else` holds where the first body did not.
                    guards = match (index, bodies.len()) {
                        (0, 1) => env.of_input(),
                        _ => BTreeMap::new(),
                    };
                }
                (collected(&node.node, head, value), guards)
            }
        }
    }

    fn arguments(&mut self, head: &'a RuleHead, params: &[Ty], env: &mut Env) {
        let RuleHead::Func { args, .. } = head else {
            return;
        };
        for (index, arg) in args.iter().enumerate() {
            let ty = params.get(index).cloned().unwrap_or_else(Ty::any);
            self.bind(arg, &ty, env);
        }
    }

    /// The value in a rule's head.
    fn head(&mut self, rule: &'a Rule, head: &'a RuleHead, env: &mut Env) -> Ty {
        for step in chain(head_ref(rule)).map(|(_, s)| s).unwrap_or_default() {
            if let Step::Index(index) = step {
                self.value(index, env);
            }
        }
        match head {
            RuleHead::Compr { assign, .. } | RuleHead::Func { assign, .. } => match assign {
                Some(assign) => self.value(&assign.value, env),
                None => Ty::of(Kinds::BOOL),
            },
            RuleHead::Set { key, .. } => match key {
                Some(key) => self.value(key, env),
                None => Ty::any(),
            },
        }
    }

    fn push(&mut self, finding: impl FnOnce(&str) -> Finding) {
        if self.muted {
            return;
        }
        if let Some(module) = self.layer.parsed.modules.get(self.module) {
            let finding = finding(&module.file);
            self.found.push(finding);
        }
    }
}

/// What a rule's single values add up to.
fn collected(rule: &Rule, head: &RuleHead, value: Option<Ty>) -> Ty {
    let value = value.unwrap_or_else(Ty::any);
    let steps = chain(head_ref(rule)).map_or(0, |(_, steps)| steps.len());
    let indexed = chain(head_ref(rule))
        .is_some_and(|(_, steps)| steps.iter().any(|step| matches!(step, Step::Index(_))));
    match head {
        RuleHead::Set { .. } if steps == 0 => Ty::items(Kinds::SET, value),
        RuleHead::Compr { .. } if steps == 0 => value,
        RuleHead::Compr { .. } if steps == 1 && indexed => Ty::items(Kinds::OBJECT, value),
        RuleHead::Func { .. } => value,
        _ => Ty::shaped(Kinds::OBJECT, Shape::Open),
    }
}

/// The variable that an expression is, and nothing more.
fn variable(expr: &ExprRef) -> Option<&str> {
    match expr.as_ref() {
        Expr::Var { span, .. } => Some(span.text()),
        _ => None,
    }
}
