//! The variables of a rule.

use std::collections::{BTreeMap, BTreeSet};

use crmgate_policy::analysis::{
    AssignOp, Expr, ExprRef, Literal, LiteralStmt, Part, Rule, RuleHead, Span, literal_parts,
    parts, rule_parts, variables as variables_of,
};

/// A variable's declaration.
pub(crate) struct Declared<'a> {
    pub(crate) span: &'a Span,
    pub(crate) how: How,
}

/// How a variable is declared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Assigned,
    Some,
    Every,
    Argument,
}

/// Every variable of a rule: where it is declared, and how often its name stands elsewhere.
#[derive(Default)]
pub(crate) struct Variables<'a> {
    pub(crate) declared: BTreeMap<&'a str, Vec<Declared<'a>>>,
    pub(crate) seen: BTreeMap<&'a str, usize>,
}

impl<'a> Variables<'a> {
    pub(crate) fn of(rule: &'a Rule) -> Self {
        let mut all = Self::default();
        let mut open = Vec::new();
        rule_parts(rule, &mut |part| open.push(part));
        if let Rule::Spec {
            head: RuleHead::Func { args, .. },
            ..
        } = rule
        {
            args.iter().for_each(|arg| all.pattern(arg, How::Argument));
        }
        while let Some(part) = open.pop() {
            match part {
                Part::Expr(expr) => {
                    all.expr(expr);
                    parts(expr, &mut |part| open.push(part));
                    if let Expr::Call { fcn, .. } = expr.as_ref() {
                        open.push(Part::Expr(fcn));
                    }
                }
                Part::Query(query) => {
                    query.stmts.iter().for_each(|s| all.statement(s));
                    literal_parts(query, &mut |part| open.push(part));
                }
            }
        }
        all
    }

    fn expr(&mut self, expr: &'a ExprRef) {
        match expr.as_ref() {
            Expr::Var { span, .. } => *self.seen.entry(span.text()).or_default() += 1,
            Expr::AssignExpr {
                op: AssignOp::ColEq,
                lhs,
                ..
            } => self.pattern(lhs, How::Assigned),
            _ => {}
        }
    }

    fn statement(&mut self, statement: &'a LiteralStmt) {
        match &statement.literal {
            Literal::SomeVars { vars, .. } => vars.iter().for_each(|var| {
                *self.seen.entry(var.text()).or_default() += 1;
                self.declare(var, How::Some);
            }),
            Literal::SomeIn { key, value, .. } => {
                key.iter().for_each(|key| self.pattern(key, How::Some));
                self.pattern(value, How::Some);
            }
            Literal::Every { key, value, .. } => {
                for var in key.iter().chain([value]) {
                    *self.seen.entry(var.text()).or_default() += 1;
                    self.declare(var, How::Every);
                }
            }
            Literal::Expr { .. } | Literal::NotExpr { .. } => {}
        }
    }

    fn declare(&mut self, span: &'a Span, how: How) {
        self.declared
            .entry(span.text())
            .or_default()
            .push(Declared { span, how });
    }

    fn pattern(&mut self, pattern: &'a ExprRef, how: How) {
        match pattern.as_ref() {
            Expr::Var { span, .. } => self.declare(span, how),
            Expr::Array { items, .. } => items.iter().for_each(|item| self.pattern(item, how)),
            Expr::Object { fields, .. } => fields
                .iter()
                .for_each(|(_, _, value)| self.pattern(value, how)),
            _ => {}
        }
    }
}

/// The names that some part of a rule may give a value: declared ones, those that an index or `=`
/// may bind.
pub(crate) fn bound(rule: &Rule) -> BTreeSet<&str> {
    let mut names: BTreeSet<&str> = Variables::of(rule).declared.into_keys().collect();
    let mut open = Vec::new();
    rule_parts(rule, &mut |part| open.push(part));
    while let Some(part) = open.pop() {
        match part {
            Part::Expr(expr) => {
                match expr.as_ref() {
                    Expr::RefBrack { index, .. } => variables_of(index, &mut names),
                    Expr::AssignExpr { lhs, rhs, .. } => {
                        variables_of(lhs, &mut names);
                        variables_of(rhs, &mut names);
                    }
                    // The last argument may take the result.
                    Expr::Call { params, .. } => {
                        params
                            .iter()
                            .for_each(|param| variables_of(param, &mut names));
                    }
                    _ => {}
                }
                parts(expr, &mut |part| open.push(part));
            }
            Part::Query(query) => literal_parts(query, &mut |part| open.push(part)),
        }
    }
    names
}
