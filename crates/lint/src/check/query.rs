//! Statements, in the order in which they are written.

use crmgate_policy::analysis::{BoolOp, Expr, ExprRef, Literal, LiteralStmt, Meaning, Query};

use super::Checker;
use super::env::Env;
use crate::finding::{Finding, Level};
use crate::types::{Kinds, Shape, Ty};

impl<'a> Checker<'_, 'a> {
    pub(super) fn query(&mut self, query: &'a Query, env: &mut Env) {
        for statement in &query.stmts {
            self.statement(statement, env);
        }
    }

    fn statement(&mut self, statement: &'a LiteralStmt, env: &mut Env) {
        for modifier in &statement.with_mods {
            self.value(&modifier.r#as, env);
        }
        if !statement.with_mods.is_empty() {
            // Under a replaced input nothing that is known here holds.
            return;
        }
        match &statement.literal {
            Literal::SomeVars { vars, .. } => {
                vars.iter().for_each(|var| env.bind(var.text(), Ty::any()));
            }
            Literal::SomeIn {
                key,
                value,
                collection,
                ..
            } => {
                let of = self.value(collection, env);
                let item = self.item(&of);
                if let Some(key) = key {
                    let ty = self.keys(&of);
                    self.bind(key, &ty, env);
                }
                self.bind(value, &item, env);
            }
            Literal::Expr { expr, .. } => {
                self.value(expr, env);
                self.holds(expr, env);
            }
            Literal::NotExpr { expr, .. } => self.not(expr, env),
            Literal::Every {
                key,
                value,
                domain,
                query,
                ..
            } => {
                let of = self.value(domain, env);
                self.every(domain, &of);
                let mut inner = env.clone();
                if let Some(key) = key {
                    inner.bind(key.text(), self.keys(&of));
                }
                inner.bind(value.text(), self.item(&of));
                self.query(query, &mut inner);
            }
        }
    }

    fn not(&mut self, expr: &'a ExprRef, env: &mut Env) {
        let mut inner = env.clone();
        inner.negated = true;
        self.value(expr, &mut inner);
        match expr.as_ref() {
            Expr::Call { fcn, params, .. } if fcn.span().text() == "is_null" => {
                if let Some(param) = params.first() {
                    env.narrow(param, Kinds::ANY.without(Kinds::NULL));
                }
            }
            Expr::Membership {
                span, collection, ..
            } => {
                let of = self.value(collection, &mut inner);
                let looked_up = matches!(of.shape, Shape::Data(_)) || self.dynamic_data(collection);
                if looked_up && of.absent {
                    let what = collection.span().text().to_owned();
                    let message =
                        format!("`not … in {what}` holds here whenever `{what}` is not there");
                    self.push(|file| {
                        Finding::new(Level::Warning, "not_in_missing", file, message)
                            .of(span)
                            .expected("a collection that is always there: OPA has the rule undefined otherwise, and this engine has it true")
                            .remedy(format!("give the collection a name first (`list := {what}`), so that the rule says nothing where there is none"))
                    });
                }
            }
            // `not x == null` and `not x != "…"` make sure of the opposite.
            Expr::BoolExpr {
                op: BoolOp::Eq,
                lhs,
                rhs,
                ..
            } => {
                for (side, other) in [(lhs, rhs), (rhs, lhs)] {
                    if matches!(other.as_ref(), Expr::Null { .. }) {
                        env.narrow(side, Kinds::ANY.without(Kinds::NULL));
                    }
                }
            }
            _ => {}
        }
    }

    fn every(&mut self, domain: &'a ExprRef, of: &Ty) {
        if of.absent || of.may_be_null() {
            let what = domain.span().text().to_owned();
            self.push(|file| {
                Finding::new(
                    Level::Info,
                    "every_undefined",
                    file,
                    format!("`every` fails where `{what}` is absent or null, and holds where it is empty"),
                )
                .of(domain.span())
                .remedy(format!("if nothing is fine, too, write `every … in object.get(…, [])`; if it is not, say so by `count({what}) > 0`"))
            });
        }
    }

    /// What a statement makes sure of.
    fn holds(&mut self, expr: &'a ExprRef, env: &mut Env) {
        match expr.as_ref() {
            Expr::Call { fcn, params, .. } => self.call_holds(fcn, params, env),
            Expr::BoolExpr { op, lhs, rhs, .. } => {
                for (side, other, larger) in [
                    (lhs, rhs, matches!(op, BoolOp::Gt | BoolOp::Ge)),
                    (rhs, lhs, matches!(op, BoolOp::Lt | BoolOp::Le)),
                ] {
                    let other_is_null = matches!(other.as_ref(), Expr::Null { .. });
                    let not_null = Kinds::ANY.without(Kinds::NULL);
                    match op {
                        BoolOp::Ne if other_is_null => env.narrow(side, not_null),
                        BoolOp::Eq if !other_is_null => {
                            let kinds = self.muted_value(other, env).kinds;
                            env.narrow(side, if kinds.unknown() { Kinds::ANY } else { kinds });
                            env.guard(side);
                        }
                        // Null is smaller than everything else.
                        _ if larger => env.narrow(side, not_null),
                        _ => {}
                    }
                }
            }
            Expr::Membership { value, .. } => {
                env.narrow(value, Kinds::ANY.without(Kinds::NULL));
                env.guard(value);
            }
            _ => {}
        }
    }

    fn call_holds(&mut self, fcn: &'a ExprRef, params: &'a [ExprRef], env: &mut Env) {
        let Some(first) = params.first() else { return };
        let narrowed = match fcn.span().text() {
            "is_string" => Kinds::STRING,
            "is_number" => Kinds::NUMBER,
            "is_boolean" => Kinds::BOOL,
            "is_array" => Kinds::ARRAY,
            "is_set" => Kinds::SET,
            "is_object" => Kinds::OBJECT,
            _ => {
                let ours = self.layer.symbols.meaning(self.module, fcn);
                if matches!(ours, Some(Meaning::Rule(..))) {
                    // A predicate of the author's own: taken at its word.
                    for param in params {
                        env.narrow(param, Kinds::ANY.without(Kinds::NULL));
                        env.guard(param);
                    }
                } else {
                    // A builtin that held has seen a value that fits it.
                    params.iter().for_each(|param| {
                        env.narrow(param, Kinds::ANY.without(Kinds::NULL));
                        env.guard(param);
                    });
                }
                return;
            }
        };
        env.narrow(first, narrowed);
    }

    /// What a value is, told by nobody.
    pub(super) fn muted_value(&mut self, expr: &'a ExprRef, env: &mut Env) -> Ty {
        let muted = std::mem::replace(&mut self.muted, true);
        let ty = self.value(expr, env);
        self.muted = muted;
        ty
    }

    /// Gives names to the parts of a value.
    pub(super) fn bind(&mut self, pattern: &'a ExprRef, ty: &Ty, env: &mut Env) {
        match pattern.as_ref() {
            Expr::Var { span, .. } => env.bind(span.text(), ty.clone()),
            Expr::Array { items, .. } => {
                let item = self.item(ty);
                items.iter().for_each(|part| self.bind(part, &item, env));
            }
            Expr::Object { fields, .. } => {
                for (_, _, part) in fields {
                    self.bind(part, &Ty::any(), env);
                }
            }
            _ => {}
        }
    }
}
