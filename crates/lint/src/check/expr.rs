//! Expressions.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crmgate_policy::analysis::{AssignOp, Expr, ExprRef, Span, literal_text};

use super::env::Env;
use super::{Checker, variable};
use crate::finding::{Finding, Level};
use crate::types::{Kinds, Shape, Ty};

impl<'a> Checker<'_, 'a> {
    /// What an expression may be. Whatever is wrong in it is told.
    pub(super) fn value(&mut self, expr: &'a ExprRef, env: &mut Env) -> Ty {
        if let Some(text) = literal_text(expr) {
            return Ty::text(text);
        }
        match expr.as_ref() {
            Expr::String { .. } | Expr::RawString { .. } => Ty::of(Kinds::STRING),
            Expr::Number { .. } => Ty::of(Kinds::NUMBER),
            Expr::Bool { .. } => Ty::of(Kinds::BOOL),
            Expr::Null { .. } => Ty::of(Kinds::NULL),
            Expr::UnaryExpr { expr, .. } => {
                self.value(expr, env);
                Ty::of(Kinds::NUMBER)
            }
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => {
                let ty = self.reference(expr, env);
                env.apply(expr, ty)
            }
            Expr::Array { items, .. } => self.collection(Kinds::ARRAY, items, env),
            Expr::Set { items, .. } => self.collection(Kinds::SET, items, env),
            Expr::Object { fields, .. } => self.object(fields, env),
            Expr::ArrayCompr { term, query, .. } => {
                let mut inner = env.clone();
                self.query(query, &mut inner);
                Ty::items(Kinds::ARRAY, self.value(term, &mut inner))
            }
            Expr::SetCompr { term, query, .. } => {
                let mut inner = env.clone();
                self.query(query, &mut inner);
                Ty::items(Kinds::SET, self.value(term, &mut inner))
            }
            Expr::ObjectCompr {
                key, value, query, ..
            } => {
                let mut inner = env.clone();
                self.query(query, &mut inner);
                self.value(key, &mut inner);
                Ty::items(Kinds::OBJECT, self.value(value, &mut inner))
            }
            Expr::Call { fcn, params, .. } => self.call(expr, fcn, params, env),
            Expr::BinExpr { span, lhs, rhs, .. } => self.sets(span, [lhs, rhs], env),
            Expr::BoolExpr {
                span, op, lhs, rhs, ..
            } => {
                self.comparison(span, op, [lhs, rhs], env);
                Ty::of(Kinds::BOOL)
            }
            Expr::ArithExpr {
                span, op, lhs, rhs, ..
            } => self.arithmetic(span, op, [lhs, rhs], env),
            Expr::AssignExpr {
                span, op, lhs, rhs, ..
            } => {
                self.assignment(span, op, [lhs, rhs], env);
                Ty::of(Kinds::BOOL)
            }
            Expr::Membership {
                span,
                key,
                value,
                collection,
                ..
            } => {
                if let Some(key) = key {
                    self.value(key, env);
                }
                self.membership(span, value, collection, env);
                Ty::of(Kinds::BOOL)
            }
        }
    }

    fn collection(&mut self, kinds: Kinds, items: &'a [ExprRef], env: &mut Env) -> Ty {
        let mut all: Option<Ty> = None;
        for item in items {
            let ty = self.value(item, env);
            all = Some(all.map_or_else(|| ty.clone(), |all| all.join(&ty)));
        }
        match all {
            Some(item) => Ty::items(kinds, item),
            None => Ty::of(kinds),
        }
    }

    fn object(&mut self, fields: &'a [(Span, ExprRef, ExprRef)], env: &mut Env) -> Ty {
        let mut members = BTreeMap::new();
        let mut fixed = true;
        for (_, key, value) in fields {
            self.value(key, env);
            let ty = self.value(value, env);
            match literal_text(key) {
                Some(key) => {
                    self.quoted(key, value, &ty);
                    members.insert(key.to_owned(), ty);
                }
                None => fixed = false,
            }
        }
        if fixed {
            Ty::shaped(Kinds::OBJECT, Shape::Object(Rc::new(members)))
        } else {
            Ty::of(Kinds::OBJECT)
        }
    }

    /// A message goes to logs, chats and clients.
    fn quoted(&mut self, key: &str, value: &'a ExprRef, ty: &Ty) {
        let Some(field) = ty
            .personal
            .clone()
            .filter(|_| matches!(key, "message" | "reason"))
        else {
            return;
        };
        self.push(|file| {
            Finding::new(
                Level::Info,
                "personal_message",
                file,
                format!("the {key} quotes `{field}`, which is about a person"),
            )
            .of(value.span())
            .remedy("messages reach clients, chats and logs: name the field in `fields` instead, unless people need the value")
        });
    }

    fn assignment(
        &mut self,
        span: &'a Span,
        op: &AssignOp,
        [lhs, rhs]: [&'a ExprRef; 2],
        env: &mut Env,
    ) {
        if *op == AssignOp::ColEq {
            let ty = self.value(rhs, env);
            self.bind(lhs, &ty, env);
            return;
        }
        for (side, other) in [(lhs, rhs), (rhs, lhs)] {
            if variable(side).is_some_and(|name| self.is_free(name, env)) {
                let ty = self.value(other, env);
                self.bind(side, &ty, env);
                return;
            }
        }
        if matches!(lhs.as_ref(), Expr::Array { .. } | Expr::Object { .. }) {
            let ty = self.value(rhs, env);
            self.bind(lhs, &ty, env);
            return;
        }
        self.equality(span, [lhs, rhs], Level::Error, env);
    }

    fn is_free(&self, name: &str, env: &Env) -> bool {
        let module = self.layer.parsed.modules.get(self.module);
        name != "input"
            && name != "data"
            && env.variable(name).is_none()
            && module.is_some_and(|module| {
                !module.imports.contains_key(name)
                    && self.layer.symbols.group(&module.package, name).is_none()
            })
    }

    fn sets(&mut self, span: &'a Span, sides: [&'a ExprRef; 2], env: &mut Env) -> Ty {
        let types = sides.map(|side| (side, self.value(side, env)));
        for (side, ty) in &types {
            if !ty.kinds.unknown() && !ty.kinds.has(Kinds::SET) {
                let found = ty.kinds.words();
                self.push(|file| {
                    Finding::new(
                        Level::Error,
                        "argument_type",
                        file,
                        format!(
                            "`{}` is {found}, and `&` and `|` work on sets",
                            side.span().text()
                        ),
                    )
                    .of(span)
                    .expected("sets on both sides")
                    .remedy("make a set of it: `{x | some x in …}`")
                });
            }
        }
        let [(_, left), (_, right)] = types;
        match (left.shape, right.shape) {
            (Shape::Items(a), Shape::Items(b)) => Ty::items(Kinds::SET, a.join(&b)),
            _ => Ty::of(Kinds::SET),
        }
    }

    /// An item of a collection.
    pub(super) fn item(&mut self, of: &Ty) -> Ty {
        match &of.shape {
            Shape::Items(item) => item.as_ref().clone(),
            Shape::Object(members) => {
                let mut all = members.values();
                let first = all.next().cloned().unwrap_or_else(Ty::any);
                all.fold(first, |all, one| all.join(one))
            }
            Shape::Schema(schema) => crate::schema::items(schema).map_or_else(Ty::any, |item| {
                Ty::shaped(crate::schema::kinds(item), Shape::Schema(item))
            }),
            Shape::Data(path) => self.data_item(path),
            Shape::Changes(_) => self.some_change(),
            Shape::Open | Shape::Record(..) | Shape::Related(_) => Ty::any(),
        }
    }

    /// A key of a collection.
    pub(super) fn keys(&mut self, of: &Ty) -> Ty {
        let names = match &of.shape {
            Shape::Object(members) => Some(members.keys().cloned().collect::<BTreeSet<_>>()),
            _ => None,
        };
        let kinds = if of.kinds.only(Kinds::OBJECT.or(Kinds::NULL)) {
            Kinds::STRING
        } else if of.kinds.only(Kinds::ARRAY.or(Kinds::NULL)) {
            Kinds::NUMBER
        } else {
            Kinds::ANY
        };
        Ty {
            texts: names.map(Rc::new),
            ..Ty::of(kinds)
        }
    }
}
