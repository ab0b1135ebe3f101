//! The steps in which the engine looks through whole values, and how large those may be.

use super::size::{self, Size};
use super::{Growth, Here};
use crate::check::fault;
use crate::syntax::{self, Expr, ExprRef};

/// Copies of what a rule is given that one value may hold, where it is looked through.
const MAX_COPIES: u64 = 10_000;
/// More than these take a while.
const MANY_COPIES: u64 = 256;
/// Loops within loops whose results are shared: the results of one are looked through as often as
/// the other runs.
const MAX_LOOPS: u32 = 1;
/// Numbers multiplied with one another.
const MAX_FACTORS: u64 = 64;
/// More than these take a while.
const MANY_FACTORS: u64 = 8;

impl<'a> Growth<'_, 'a> {
    /// Where an expression makes the engine look through a value.
    pub(super) fn looked_through(&mut self, here: &Here<'a>, expr: &'a ExprRef) {
        match expr.as_ref() {
            Expr::BoolExpr { lhs, rhs, .. } | Expr::AssignExpr { lhs, rhs, .. }
                if !matches!(lhs.as_ref(), Expr::Var { .. })
                    || matches!(expr.as_ref(), Expr::BoolExpr { .. }) =>
            {
                // Two values are looked through as far as the smaller one goes.
                let size = self.size(here, lhs).smaller(self.size(here, rhs));
                self.deep(here, size, expr);
            }
            Expr::BinExpr { lhs, rhs, .. } => self.each_deep(here, &[lhs, rhs]),
            Expr::ArithExpr { lhs, rhs, .. } => {
                self.each_deep(here, &[lhs, rhs]);
                let size = self.size(here, expr);
                self.factors(here, size, expr);
            }
            Expr::Membership { value, .. } => self.each_deep(here, &[value]),
            Expr::Set { items, .. } => self.each_deep(here, &items.iter().collect::<Vec<_>>()),
            Expr::SetCompr { term, .. } => self.each_deep(here, &[term]),
            Expr::ObjectCompr { key, value, .. } => self.each_deep(here, &[key, value]),
            Expr::Object { fields, .. } => {
                let keys: Vec<&ExprRef> = fields.iter().map(|(_, key, _)| key).collect();
                self.each_deep(here, &keys);
            }
            Expr::Call { fcn, params, .. } => {
                let name = syntax::static_path(fcn).unwrap_or_default().join(".");
                let made = self.size(here, expr);
                self.factors(here, made, expr);
                if !size::looks_at_the_outside(&name) {
                    self.each_deep(here, &params.iter().collect::<Vec<_>>());
                }
            }
            _ => {}
        }
    }

    fn each_deep(&mut self, here: &Here<'a>, exprs: &[&'a ExprRef]) {
        for expr in exprs {
            let size = self.size(here, expr);
            self.deep(here, size, expr);
        }
    }

    pub(super) fn deep(&mut self, here: &Here<'a>, size: Size, expr: &'a ExprRef) {
        if size.copies > MAX_COPIES {
            let message = format!(
                "the value holds what it is made of more than {MAX_COPIES} times over, and is looked through here"
            );
            self.refuse(
                here,
                expr,
                message,
                "name each part once, or compare the parts",
            );
        } else if size.loops > MAX_LOOPS {
            let message = "the value gathers in a loop what other loops gathered in loops, and is looked through here".to_owned();
            let remedy = "gather only what is needed of each, or compare counts and keys instead of whole collections";
            self.refuse(here, expr, message, remedy);
        } else if size.copies > MANY_COPIES || size.loops > 0 {
            self.heavy.insert(here.module);
        }
    }

    fn factors(&mut self, here: &Here<'a>, size: Size, expr: &'a ExprRef) {
        if size.factors > MAX_FACTORS {
            let message = format!("the number is a product of more than {MAX_FACTORS} numbers");
            self.refuse(
                here,
                expr,
                message,
                "keep numbers below 2^53: the engine is exact no further",
            );
        } else if size.factors > MANY_FACTORS {
            self.heavy.insert(here.module);
        }
    }

    fn refuse(&mut self, here: &Here<'a>, expr: &'a ExprRef, message: String, remedy: &str) {
        if let Some(module) = self.symbols.modules.get(here.module) {
            let place = expr.span().into();
            self.found
                .push(fault("growth", &module.file, place, message).remedy(remedy));
        }
    }
}
