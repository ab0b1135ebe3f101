//! The body of a rule, statement by statement: which is the first that does not hold, and what it
//! looked at.

use regorus::Value;

use super::probe::{Answer, Prober};
use super::text;
use super::told::{Seen, Statement};
use crate::syntax::{self, Expr, ExprRef, Literal, LiteralStmt, Module, Part, Query, Step};

/// Where a body ended.
#[derive(Debug)]
pub(crate) enum End<'q> {
    /// Every statement holds.
    Whole,
    /// One does not, or the engine stopped there.
    At(Stop<'q>),
}

/// The first statement that does not hold.
#[derive(Debug)]
pub(crate) struct Stop<'q> {
    pub(crate) statement: &'q LiteralStmt,
    pub(crate) place: Statement,
    pub(crate) saw: Vec<Seen>,
    /// What the engine told, where it stopped.
    pub(crate) error: Option<String>,
    /// The statements before it, to ask further questions behind.
    pub(crate) prefix: String,
}

/// A body to be walked.
pub(crate) struct Body<'q> {
    pub(crate) module: &'q Module,
    /// Statements that hold the values of a function's arguments.
    pub(crate) given: String,
    pub(crate) query: &'q Query,
}

impl<'q> Body<'q> {
    /// All statements as text.
    pub(crate) fn text(&self) -> String {
        self.prefix(self.query.stmts.len())
    }

    fn prefix(&self, statements: usize) -> String {
        let mut text = self.given.clone();
        for statement in self.query.stmts.iter().take(statements) {
            text.push('\n');
            text.push_str(text::of_statement(statement));
        }
        text
    }

    /// Asks until a statement does not hold.
    pub(crate) fn walk(&self, prober: &Prober) -> End<'q> {
        let questions: Vec<String> = (1..=self.query.stmts.len())
            .map(|length| format!("count({})", all("1", &self.prefix(length))))
            .collect();
        let answers = prober.ask(self.module, &questions);
        // Where the first of the statements stands that are only asked together.
        let mut from = 0;
        for (index, (statement, answer)) in self.query.stmts.iter().zip(&answers).enumerate() {
            let error = match answer {
                Answer::Refused => continue,
                Answer::Value(count) if *count != Value::from(0_i64) => {
                    from = index + 1;
                    continue;
                }
                Answer::Value(_) => None,
                Answer::Error(told) => Some(told),
            };
            let prefix = self.prefix(from);
            let together = self.query.stmts.get(from..=index).unwrap_or_default();
            let stop = Stop {
                statement,
                place: self.place(statement),
                saw: self.seen(prober, &prefix, together),
                error: error.map(|told| match (&told.file, told.place) {
                    (Some(file), Some((line, column))) => {
                        format!("{file}:{line}:{column}: {}", told.message)
                    }
                    _ => told.message.clone(),
                }),
                prefix,
            };
            return End::At(stop);
        }
        End::Whole
    }

    fn place(&self, statement: &LiteralStmt) -> Statement {
        let (line, column) = text::place(&statement.span);
        Statement {
            file: self.module.file.clone(),
            line,
            column,
            text: text::of_statement(statement).to_owned(),
        }
    }

    fn seen(&self, prober: &Prober, prefix: &str, statements: &[LiteralStmt]) -> Vec<Seen> {
        let mut looked: Vec<(String, String)> = Vec::new();
        for statement in statements {
            let with = modifiers(statement);
            for expr in subjects(statement) {
                look(&mut looked, expr, &with, prefix);
            }
            looked.extend(counterexample(statement, prefix));
        }
        answers(prober, self.module, &looked)
    }
}

/// What the parts of expressions come to behind some statements.
pub(crate) fn seen(
    prober: &Prober,
    module: &Module,
    exprs: &[&ExprRef],
    prefix: &str,
) -> Vec<Seen> {
    let mut looked = Vec::new();
    for expr in exprs {
        look(&mut looked, expr, "", prefix);
    }
    answers(prober, module, &looked)
}

/// Adds the question for an expression, once.
fn look(looked: &mut Vec<(String, String)>, expr: &ExprRef, with: &str, prefix: &str) {
    let text = text::of(expr);
    if !looked.iter().any(|(known, _)| known == text) {
        let question = all(&format!("{text}{with}"), prefix);
        looked.push((text.to_owned(), question));
    }
}

fn answers(prober: &Prober, module: &Module, looked: &[(String, String)]) -> Vec<Seen> {
    let questions: Vec<String> = looked
        .iter()
        .map(|(_, question)| question.clone())
        .collect();
    let answers = prober.ask(module, &questions);
    let seen = looked.iter().zip(&answers);
    seen.filter(|(_, answer)| matches!(answer, Answer::Value(_)))
        .map(|((text, _), answer)| Seen::new(text, answer.members()))
        .collect()
}

/// The variable that takes an asked value.
pub(crate) const VALUE: &str = "crmgate_value";

/// A list of what `term` is in every solution of the statements.
pub(crate) fn all(term: &str, statements: &str) -> String {
    // Not the term itself: an object before a bar could be taken for a union.
    format!("[{VALUE} |{statements}\n{VALUE} := {term}\n]")
}

/// The `with` modifiers of a statement, as they are written.
pub(crate) fn modifiers(statement: &LiteralStmt) -> String {
    let mut text = String::new();
    for modifier in &statement.with_mods {
        let (target, value) = (text::of(&modifier.refr), text::of(&modifier.r#as));
        text.push_str(&format!(" with {target} as {value}"));
    }
    text
}

/// The element for which an `every` does not hold.
fn counterexample(statement: &LiteralStmt, prefix: &str) -> Option<(String, String)> {
    let Literal::Every {
        key,
        value,
        domain,
        query,
        ..
    } = &statement.literal
    else {
        return None;
    };
    let value = value.text();
    let names = match key {
        Some(key) => format!("{}, {value}", key.text()),
        None => value.to_owned(),
    };
    let inner: Vec<&str> = query.stmts.iter().map(text::of_statement).collect();
    let inner = all("1", &format!("\n{}", inner.join("\n")));
    let domain = text::of(domain);
    let body = format!("{prefix}\nsome {names} in {domain}\ncount({inner}) == 0");
    Some((format!("{value} (does not hold)"), all(value, &body)))
}

/// The expressions of a statement whose values explain it, outer ones first.
pub(crate) fn subjects(statement: &LiteralStmt) -> Vec<&ExprRef> {
    let mut found = Vec::new();
    match &statement.literal {
        Literal::SomeVars { .. } => {}
        Literal::SomeIn { collection, .. } => walk(collection, &mut found),
        Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => walk(expr, &mut found),
        Literal::Every { domain, .. } => walk(domain, &mut found),
    }
    found
}

/// The expressions within one whose values explain it, outer ones first.
pub(crate) fn within(expr: &ExprRef) -> Vec<&ExprRef> {
    let mut found = Vec::new();
    walk(expr, &mut found);
    found
}

fn walk<'q>(expr: &'q ExprRef, found: &mut Vec<&'q ExprRef>) {
    if let Some((root, steps)) = syntax::chain(expr) {
        let whole = steps.is_empty() && matches!(root, "input" | "data" | "_");
        if !whole {
            found.push(expr);
        }
        for step in steps {
            if let Step::Index(index) = step {
                walk(index, found);
            }
        }
        return;
    }
    match expr.as_ref() {
        Expr::ArrayCompr { .. } | Expr::SetCompr { .. } | Expr::ObjectCompr { .. } => {
            found.push(expr);
        }
        Expr::Call { fcn, params, .. } => {
            if fcn.span().text() != "print" {
                found.push(expr);
            }
            params.iter().for_each(|param| walk(param, found));
        }
        Expr::AssignExpr { rhs, .. } => walk(rhs, found),
        other => syntax::parts(other, &mut |part| {
            if let Part::Expr(inner) = part {
                walk(inner, found);
            }
        }),
    }
}
