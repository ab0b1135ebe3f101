//! The abstract evaluation of rules and expressions.

use std::collections::BTreeMap;

use super::alias::Alias;
use super::{BUDGET, Reader};
use crate::check::calls;
use crate::symbols::{GroupId, Meaning};
use crate::syntax::{self, Expr, ExprRef, Literal, Part, Query, Rule, RuleHead, Step};

/// How often variables are bound anew until nothing changes. Chains of variables are short.
const ROUNDS: usize = 12;

/// The variables of one rule and its module.
struct Scope<'a> {
    module: usize,
    variables: BTreeMap<&'a str, Alias>,
    changed: bool,
}

impl<'a> Scope<'a> {
    fn bind(&mut self, name: &'a str, alias: &Alias) {
        if name == "_" {
            return;
        }
        if let Some(known) = self.variables.get_mut(name) {
            self.changed |= known.join(alias);
        } else {
            self.variables.insert(name, alias.clone());
            self.changed = true;
        }
    }
}

impl<'a> Reader<'a, '_> {
    /// Looks at every rule of a group, called with these arguments.
    pub(super) fn rule(&mut self, id: GroupId, args: &[Alias]) -> Alias {
        let key = (id, args.to_vec());
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        self.looked_at += 1;
        if self.looked_at > BUDGET {
            self.everything();
            return Alias::input();
        }
        // Recursion is a fault of its own; this keeps it from looping here.
        self.known.insert(key.clone(), Alias::default());
        let mut value: Option<Alias> = None;
        let rules: Vec<_> = self.symbols.rules(id).collect();
        for (module, node) in rules {
            let one = self.body(module, &node.node, node.nested, args);
            match &mut value {
                Some(value) => _ = value.join(&one),
                None => value = Some(one),
            }
        }
        let value = value.unwrap_or_default();
        self.known.insert(key, value.clone());
        value
    }

    fn body(&mut self, module: usize, rule: &'a Rule, nested: bool, args: &[Alias]) -> Alias {
        let mut scope = Scope {
            module,
            variables: BTreeMap::new(),
            changed: false,
        };
        self.arguments(rule, args, &mut scope);
        let mut rounds = 0;
        loop {
            scope.changed = false;
            self.bind_parts(rule, &mut scope);
            if !scope.changed {
                break;
            }
            rounds += 1;
            if rounds > ROUNDS {
                self.everything();
                break;
            }
        }
        self.read_rule(rule, nested, &mut scope)
    }

    fn arguments(&mut self, rule: &'a Rule, args: &[Alias], scope: &mut Scope<'a>) {
        let (Rule::Spec {
            head: RuleHead::Func { args: names, .. },
            ..
        }
        | Rule::Default { args: names, .. }) = rule
        else {
            return;
        };
        for (name, alias) in names.iter().zip(args) {
            match name.as_ref() {
                Expr::Var { span, .. } => scope.bind(span.text(), alias),
                // A literal or a pattern compares the argument with itself.
                _ => self.consume(alias),
            }
        }
    }

    /// Binds what the statements of a rule bind, however deep.
    fn bind_parts(&mut self, rule: &'a Rule, scope: &mut Scope<'a>) {
        let mut open = Vec::new();
        syntax::rule_parts(rule, &mut |part| open.push(part));
        while let Some(part) = open.pop() {
            match part {
                Part::Expr(expr) => {
                    if let Expr::AssignExpr { lhs, rhs, .. } = expr.as_ref() {
                        self.bind_sides(lhs, rhs, scope);
                    }
                    syntax::parts(expr, &mut |part| open.push(part));
                }
                Part::Query(query) => {
                    for statement in &query.stmts {
                        self.bind_literal(&statement.literal, scope);
                    }
                    syntax::literal_parts(query, &mut |part| open.push(part));
                }
            }
        }
    }

    fn bind_sides(&mut self, lhs: &'a ExprRef, rhs: &'a ExprRef, scope: &mut Scope<'a>) {
        if let Expr::Var { span, .. } = lhs.as_ref() {
            let alias = self.value(rhs, scope);
            scope.bind(span.text(), &alias);
        }
        if let Expr::Var { span, .. } = rhs.as_ref() {
            let alias = self.value(lhs, scope);
            scope.bind(span.text(), &alias);
        }
    }

    fn bind_literal(&mut self, literal: &'a Literal, scope: &mut Scope<'a>) {
        match literal {
            Literal::SomeIn {
                value, collection, ..
            } => {
                let member = self.value(collection, scope).any();
                if let Expr::Var { span, .. } = value.as_ref() {
                    scope.bind(span.text(), &member);
                }
            }
            Literal::Every { value, domain, .. } => {
                let member = self.value(domain, scope).any();
                scope.bind(value.text(), &member);
            }
            _ => {}
        }
    }

    /// Reads what a rule's bodies consume; gives what its value may be.
    fn read_rule(&mut self, rule: &'a Rule, nested: bool, scope: &mut Scope<'a>) -> Alias {
        let mut value = Alias::default();
        let mut first = true;
        let mut result = |alias: Alias| {
            if std::mem::take(&mut first) {
                value = alias;
            } else {
                value.join(&alias);
            }
        };
        match rule {
            Rule::Default { value, .. } => result(self.value(value, scope)),
            Rule::Spec { head, bodies, .. } => {
                let whole = nested || matches!(head, RuleHead::Set { .. });
                match head {
                    RuleHead::Compr { assign, .. } | RuleHead::Func { assign, .. } => {
                        if let Some(assign) = assign {
                            result(self.value(&assign.value, scope));
                        }
                    }
                    RuleHead::Set { key, .. } => {
                        if let Some(key) = key {
                            result(self.value(key, scope));
                        }
                    }
                }
                for body in bodies {
                    if let Some(assign) = &body.assign {
                        result(self.value(&assign.value, scope));
                    }
                    self.query(&body.query, scope);
                }
                self.head_steps(rule, scope);
                if whole {
                    // A collection: its members are consumed where they are put together.
                    self.consume(&value);
                    return Alias::default();
                }
            }
        }
        value
    }

    fn head_steps(&mut self, rule: &'a Rule, scope: &mut Scope<'a>) {
        let steps = syntax::chain(syntax::head_ref(rule)).map(|(_, steps)| steps);
        for step in steps.unwrap_or_default() {
            if let Step::Index(index) = step {
                self.used(index, scope);
            }
        }
    }

    fn query(&mut self, query: &'a Query, scope: &mut Scope<'a>) {
        for statement in &query.stmts {
            match &statement.literal {
                Literal::SomeVars { .. } => {}
                Literal::SomeIn {
                    key,
                    value,
                    collection,
                    ..
                } => {
                    self.used(collection, scope);
                    for pattern in key.iter().chain([value]) {
                        if !matches!(pattern.as_ref(), Expr::Var { .. }) {
                            self.used(pattern, scope);
                        }
                    }
                }
                Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => {
                    let alias = self.value(expr, scope);
                    self.consume_existence(&alias);
                }
                Literal::Every { domain, query, .. } => {
                    self.used(domain, scope);
                    self.query(query, scope);
                }
            }
            for modifier in &statement.with_mods {
                // A replaced input makes every path mean something else.
                if syntax::chain(&modifier.refr).is_some_and(|(root, _)| root == "input") {
                    self.everything();
                }
                self.used(&modifier.r#as, scope);
            }
        }
    }

    /// Evaluates and consumes.
    fn used(&mut self, expr: &'a ExprRef, scope: &mut Scope<'a>) {
        let alias = self.value(expr, scope);
        self.consume(&alias);
    }

    /// What an expression may be. Whatever it consumes on the way is read.
    fn value(&mut self, expr: &'a ExprRef, scope: &mut Scope<'a>) -> Alias {
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

    /// What `default` patches look at: whether the record has a value already.
    pub(super) fn patches(&mut self, id: GroupId) {
        let rules: Vec<_> = self.symbols.rules(id).collect();
        for (_, node) in rules {
            let mut ops = Vec::new();
            syntax::every_expr(&node.node, &mut |expr| {
                if let Expr::Object { fields, .. } = expr.as_ref() {
                    let member = |name: &str| {
                        fields.iter().find_map(|(_, key, value)| {
                            (syntax::literal_text(key) == Some(name)).then_some(value)
                        })
                    };
                    if let Some(op) = member("op") {
                        ops.push((
                            syntax::literal_text(op),
                            member("field").and_then(syntax::literal_text),
                        ));
                    }
                }
            });
            let harmless = |op: &Option<&str>| matches!(op, Some("set" | "clear"));
            let record = Alias::input().key("record");
            if ops.is_empty() {
                self.consume(&record);
            }
            for (op, field) in ops.iter().filter(|(op, _)| !harmless(op)) {
                match (op, field) {
                    (Some(_), Some(field)) => match field.strip_prefix("native.") {
                        Some(native) => self.consume(&Alias::input().key("native").key(native)),
                        None => self.consume(&record.key(field)),
                    },
                    _ => self.consume(&record),
                }
            }
        }
    }
}

/// The key of `object.get`: a text, or an array of texts.
fn literal_keys(expr: &ExprRef) -> Option<Vec<&str>> {
    match expr.as_ref() {
        Expr::Array { items, .. } => items.iter().map(syntax::literal_text).collect(),
        _ => syntax::literal_text(expr).map(|key| vec![key]),
    }
}
