//! The names in one rule, and what they stand for.

use std::collections::{BTreeMap, BTreeSet};

use regorus::unstable::AssignOp;

use crate::symbols;
use crate::syntax::{self, Expr, ExprRef, Literal, Part, Query, Rule, RuleHead, Step};

/// What the names that a rule declares are made of, wherever in it.
pub(super) struct Names<'a> {
    /// Names with the values they get, or the collections they run through.
    defined: BTreeMap<&'a str, Vec<Definition<'a>>>,
    /// All names that the rule declares; those without a value stand for places.
    declared: BTreeSet<&'a str>,
    /// Arguments.
    given: BTreeSet<&'a str>,
}

/// The names of one query.
pub(super) struct Scope<'a> {
    /// Those that run, and those that were followed already.
    pub(super) seen: BTreeSet<&'a str>,
    /// Those that get a value in it, whatever the same name stands for outside.
    pub(super) assigned: BTreeMap<&'a str, &'a ExprRef>,
}

/// One thing that a name stands for.
#[derive(Clone, Copy)]
pub(super) struct Definition<'a> {
    pub(super) value: &'a ExprRef,
    /// Whether it is a member of that value, not the value.
    pub(super) member: bool,
}

/// What a name stands for.
pub(super) enum Stands<'n, 'a> {
    /// What the rule is given.
    Given,
    /// One of these, or of what is in them.
    For(&'n [Definition<'a>]),
}

impl<'a> Names<'a> {
    pub(super) fn of(rule: &'a Rule) -> Self {
        let mut names = Self {
            defined: BTreeMap::new(),
            declared: symbols::locals(rule),
            given: BTreeSet::new(),
        };
        let args = match rule {
            Rule::Spec {
                head: RuleHead::Func { args, .. },
                ..
            }
            | Rule::Default { args, .. } => args.as_slice(),
            Rule::Spec { .. } => &[],
        };
        args.iter()
            .for_each(|arg| symbols::variables(arg, &mut names.given));
        let mut open = Vec::new();
        syntax::rule_parts(rule, &mut |part| open.push(part));
        while let Some(part) = open.pop() {
            match part {
                Part::Expr(expr) => {
                    if let Expr::AssignExpr { op, lhs, rhs, .. } = expr.as_ref() {
                        names.define(lhs, rhs, false);
                        // What is unified goes both ways.
                        if *op == AssignOp::Eq {
                            names.define(rhs, lhs, false);
                        }
                    }
                    syntax::parts(expr, &mut |part| open.push(part));
                }
                Part::Query(query) => {
                    for statement in &query.stmts {
                        names.literal(&statement.literal);
                    }
                    syntax::literal_parts(query, &mut |part| open.push(part));
                }
            }
        }
        names
    }

    fn literal(&mut self, literal: &'a Literal) {
        match literal {
            Literal::SomeIn {
                key,
                value,
                collection,
                ..
            } => {
                key.iter()
                    .for_each(|key| self.define(key, collection, true));
                self.define(value, collection, true);
            }
            Literal::Every {
                key, value, domain, ..
            } => {
                for name in key.iter().chain([value]) {
                    let member = Definition {
                        value: domain,
                        member: true,
                    };
                    self.defined.entry(name.text()).or_default().push(member);
                }
            }
            Literal::SomeVars { .. } | Literal::Expr { .. } | Literal::NotExpr { .. } => {}
        }
    }

    fn define(&mut self, pattern: &'a ExprRef, value: &'a ExprRef, member: bool) {
        let mut found = BTreeSet::new();
        symbols::variables(pattern, &mut found);
        for name in found {
            // What a pattern takes apart is a part, too.
            let member = member || !matches!(pattern.as_ref(), Expr::Var { .. });
            let definition = Definition { value, member };
            self.defined.entry(name).or_default().push(definition);
        }
    }

    /// What a name stands for; `None` when it is none of the rule's own.
    pub(super) fn stands_for(&self, name: &str) -> Option<Stands<'_, 'a>> {
        if self.given.contains(name) {
            return Some(Stands::Given);
        }
        if let Some(values) = self.defined.get(name) {
            return Some(Stands::For(values));
        }
        self.declared.contains(name).then_some(Stands::For(&[]))
    }

    /// How many loops a query runs inside one another, and the names that are its own.
    pub(super) fn loops(&self, query: &'a Query) -> (usize, Scope<'a>) {
        let mut loops = 0;
        let mut own = BTreeSet::new();
        let mut assigned = BTreeMap::new();
        for statement in &query.stmts {
            if let Literal::Expr { expr, .. } = &statement.literal
                && let Expr::AssignExpr { op, lhs, rhs, .. } = expr.as_ref()
                && let Expr::Var { span, .. } = lhs.as_ref()
                && *op == AssignOp::ColEq
            {
                assigned.insert(span.text(), rhs);
            }
            if let Literal::SomeIn { key, value, .. } = &statement.literal {
                loops += 1;
                key.iter().for_each(|key| symbols::variables(key, &mut own));
                symbols::variables(value, &mut own);
            }
        }
        let mut open = Vec::new();
        syntax::literal_parts(query, &mut |part| open.push(part));
        while let Some(part) = open.pop() {
            let Part::Expr(expr) = part else { continue };
            if self.runs_over(expr) {
                loops += 1;
            }
            match expr.as_ref() {
                // Their loops are their own.
                Expr::ArrayCompr { .. } | Expr::SetCompr { .. } | Expr::ObjectCompr { .. } => {}
                Expr::Call { fcn, params, .. } if is_walk(fcn) && params.len() == 2 => {
                    loops += 1;
                    params
                        .iter()
                        .skip(1)
                        .for_each(|out| symbols::variables(out, &mut own));
                }
                Expr::RefDot { .. } | Expr::RefBrack { .. } if syntax::chain(expr).is_some() => {}
                other => syntax::parts(other, &mut |part| open.push(part)),
            }
        }
        let scope = Scope {
            seen: own,
            assigned,
        };
        (loops, scope)
    }

    /// Whether a reference goes through every place of a collection, as `lines[_]` does.
    pub(super) fn runs_over(&self, expr: &ExprRef) -> bool {
        let Some((_, steps)) = syntax::chain(expr) else {
            return false;
        };
        let free = |step: &Step<'_>| match step {
            Step::Index(index) => match index.as_ref() {
                Expr::Var { span, .. } => !self.defined.contains_key(span.text()),
                _ => false,
            },
            Step::Key(_) => false,
        };
        steps.iter().any(free)
    }
}

fn is_walk(function: &ExprRef) -> bool {
    matches!(function.as_ref(), Expr::Var { span, .. } if span.text() == "walk")
}
