//! The abstract evaluation of expressions.

use super::Reader;
use super::alias::{Alias, Hop};
use super::eval::Scope;
use crate::check::calls;
use crate::symbols::Meaning;
use crate::syntax::{self, Expr, ExprRef, Part, Step};

impl<'a> Reader<'a, '_> {
    /// Evaluates and consumes.
    pub(super) fn used(&mut self, expr: &'a ExprRef, scope: &mut Scope<'a>) {
        let alias = self.value(expr, scope);
        self.consume(&alias);
    }

    /// What an expression may be. Whatever it consumes on the way is read.
    pub(super) fn value(&mut self, expr: &'a ExprRef, scope: &mut Scope<'a>) -> Alias {
        let alias = self.evaluated(expr, scope);
        for path in &alias.paths {
            match path.first() {
                Some(Hop::Key(part)) if self.touched.contains(part) => {}
                Some(Hop::Key(part)) => _ = self.touched.insert(part.clone()),
                // It may be any of them.
                Some(Hop::Any) => _ = self.compared.insert(path.clone()),
                None => {}
            }
        }
        alias
    }

    fn evaluated(&mut self, expr: &'a ExprRef, scope: &mut Scope<'a>) -> Alias {
        if let Some(text) = syntax::literal_text(expr) {
            return Alias::text(text);
        }
        match expr.as_ref() {
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => {
                self.reference(expr, scope)
            }
            Expr::Call { fcn, params, .. } => self.call(fcn, params, scope),
            Expr::AssignExpr { lhs, rhs, op, .. } => {
                self.assign(lhs, rhs, *op == regorus::unstable::AssignOp::Eq, scope);
                Alias::default()
            }
            Expr::BoolExpr { lhs, rhs, .. } => {
                for (side, other) in [(lhs, rhs), (rhs, lhs)] {
                    let alias = self.value(side, scope);
                    if matches!(other.as_ref(), Expr::Null { .. }) {
                        self.consume_existence(&alias);
                    } else {
                        self.consume(&alias);
                    }
                }
                Alias::default()
            }
            Expr::Array { items, .. } | Expr::Set { items, .. } => self.collection(items, scope),
            _ => {
                let mut inner = Vec::new();
                syntax::parts(expr, &mut |part| inner.push(part));
                for part in inner {
                    match part {
                        Part::Expr(expr) => self.used(expr, scope),
                        Part::Query(query) => self.query(query, scope),
                    }
                }
                Alias::default()
            }
        }
    }

    /// `:=` gives a name to a value, and is undefined with it; `=` may also compare.
    fn assign(
        &mut self,
        lhs: &'a ExprRef,
        rhs: &'a ExprRef,
        compares: bool,
        scope: &mut Scope<'a>,
    ) {
        let names = |expr: &ExprRef| matches!(expr.as_ref(), Expr::Var { .. });
        let plain = names(lhs) || (compares && names(rhs));
        for side in [lhs, rhs] {
            let alias = self.value(side, scope);
            if plain && !compares {
                self.consume(&alias.fields());
            } else {
                self.consume(&alias);
            }
        }
    }

    fn collection(&mut self, items: &'a [ExprRef], scope: &mut Scope<'a>) -> Alias {
        let mut texts: Option<Alias> = None;
        let mut only_texts = true;
        for item in items {
            let alias = self.value(item, scope);
            self.consume(&alias);
            only_texts &= alias.texts.is_some();
            match &mut texts {
                Some(texts) => _ = texts.join(&alias),
                None => texts = Some(alias),
            }
        }
        let texts = texts.filter(|_| only_texts);
        Alias {
            texts: texts.and_then(|alias| alias.texts),
            ..Alias::default()
        }
    }

    fn reference(&mut self, expr: &'a ExprRef, scope: &mut Scope<'a>) -> Alias {
        let Some((root, steps)) = syntax::chain(expr) else {
            // A step into a call's result or into a literal.
            let (Expr::RefDot { refr, .. } | Expr::RefBrack { refr, .. }) = expr.as_ref() else {
                return Alias::default();
            };
            let base = self.value(refr, scope);
            return match expr.as_ref() {
                Expr::RefDot { field, .. } => base.key(field.0.text()),
                Expr::RefBrack { index, .. } => self.index(&base, index, scope),
                _ => base,
            };
        };
        let local = scope.variables.get(root).cloned();
        let mut found = local.map(|alias| self.steps(alias, &steps, scope));
        let mut also = |alias: Alias| match &mut found {
            Some(found) => _ = found.join(&alias),
            None => found = Some(alias),
        };
        match self.symbols.meaning(scope.module, expr) {
            Some(Meaning::Input(steps)) => also(self.steps(Alias::input(), &steps, scope)),
            Some(Meaning::Rule(id, steps)) => {
                let value = self.rule(id, &[]);
                also(self.steps(value, &steps, scope));
            }
            Some(Meaning::Rules(ids)) => {
                for id in ids {
                    let value = self.rule(id, &[]);
                    self.consume(&value);
                }
            }
            Some(Meaning::Data(steps)) => {
                also(self.steps(Alias::default(), &steps, scope));
            }
            None => {}
        }
        found.unwrap_or_default()
    }

    fn steps(&mut self, mut alias: Alias, steps: &[Step<'a>], scope: &mut Scope<'a>) -> Alias {
        for step in steps {
            alias = match step {
                Step::Key(key) => alias.key(key),
                Step::Index(index) => self.index(&alias, index, scope),
            };
        }
        alias
    }

    fn index(&mut self, base: &Alias, index: &'a ExprRef, scope: &mut Scope<'a>) -> Alias {
        let by = self.value(index, scope);
        self.consume(&by);
        let Some(texts) = &by.texts else {
            return base.any();
        };
        let mut all = Alias::default();
        for text in texts {
            all.join(&base.key(text));
        }
        all
    }

    fn call(&mut self, fcn: &'a ExprRef, params: &'a [ExprRef], scope: &mut Scope<'a>) -> Alias {
        let args: Vec<Alias> = params
            .iter()
            .map(|param| self.value(param, scope))
            .collect();
        if let Some(id) = calls::function(self.symbols, scope.module, fcn) {
            return self.rule(id, &args);
        }
        let name = syntax::static_path(fcn).unwrap_or_default().join(".");
        if name == "object.get"
            && let ([_, keys, ..], [object, _, default, ..]) = (params, args.as_slice())
            && let Some(path) = literal_keys(keys)
        {
            let mut member = path.iter().fold(object.clone(), |at, key| at.key(key));
            member.join(default);
            return member;
        }
        let existence = matches!(name.as_str(), "is_null" | "is_object");
        for arg in &args {
            if existence {
                self.consume_existence(arg);
            } else {
                self.consume(arg);
            }
        }
        Alias::default()
    }
}

/// The key of `object.get`: a text, or an array of texts.
fn literal_keys(expr: &ExprRef) -> Option<Vec<&str>> {
    match expr.as_ref() {
        Expr::Array { items, .. } => items.iter().map(syntax::literal_text).collect(),
        _ => syntax::literal_text(expr).map(|key| vec![key]),
    }
}
