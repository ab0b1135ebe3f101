//! The abstract evaluation of rules and their statements.

use std::collections::BTreeMap;

use super::alias::Alias;
use super::{BUDGET, Reader};
use crate::symbols::GroupId;
use crate::syntax::{self, Expr, ExprRef, Literal, Part, Query, Rule, RuleHead, Step};

/// How often variables are bound anew until nothing changes. Chains of variables are short.
const ROUNDS: usize = 12;

/// The variables of one rule and its module.
pub(super) struct Scope<'a> {
    pub(super) module: usize,
    pub(super) variables: BTreeMap<&'a str, Alias>,
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
        let several = rules.len() > 1;
        for (module, node) in rules {
            let one = self.body(module, &node.node, node.nested, args);
            match &mut value {
                Some(value) => _ = value.join(&one),
                None => value = Some(one),
            }
        }
        let value = value.unwrap_or_default();
        if several || value.paths.len() > 1 {
            self.compared.extend(value.paths.iter().cloned());
        }
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

    pub(super) fn query(&mut self, query: &'a Query, scope: &mut Scope<'a>) {
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
