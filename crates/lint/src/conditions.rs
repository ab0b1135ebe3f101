//! What a body asks of single values, as far as it compares them with literals.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crmgate_domain::Document;
use crmgate_policy::analysis::{BoolOp, Expr, ExprRef, Literal, Query, Step, chain, literal};

/// One thing that a statement asks of a value.
#[derive(Debug, Clone)]
enum Test {
    Is(BoolOp, Document),
    In(Vec<Document>),
    NotIn(Vec<Document>),
    /// It is there, and not false.
    Holds,
    /// It is absent, or false.
    Lacks,
}

/// The statements of a body that compare a reference with a literal, by the reference.
#[derive(Debug, Clone, Default)]
pub(crate) struct Conditions {
    tests: BTreeMap<String, Vec<Test>>,
}

impl Conditions {
    /// Those of a body.
    pub(crate) fn of(query: &Query) -> Self {
        let mut all = Self::default();
        for statement in &query.stmts {
            match &statement.literal {
                Literal::Expr { expr, .. } => all.holds(expr),
                Literal::NotExpr { expr, .. } => all.not(expr),
                _ => {}
            }
        }
        all
    }

    fn add(&mut self, side: &ExprRef, test: Test) {
        let fixed = chain(side)
            .is_some_and(|(_, steps)| steps.iter().all(|step| matches!(step, Step::Key(_))));
        if fixed {
            let key = side.span().text().to_owned();
            self.tests.entry(key).or_default().push(test);
        }
    }

    fn holds(&mut self, expr: &ExprRef) {
        match expr.as_ref() {
            Expr::BoolExpr { op, lhs, rhs, .. } => {
                if let Some(value) = literal(rhs) {
                    self.add(lhs, Test::Is(op.clone(), value));
                } else if let Some(value) = literal(lhs) {
                    self.add(rhs, Test::Is(turned(op), value));
                }
            }
            Expr::Membership {
                key: None,
                value,
                collection,
                ..
            } => {
                if let Some(Document::Array(values)) = literal(collection) {
                    self.add(value, Test::In(values));
                }
            }
            _ => self.add(expr, Test::Holds),
        }
    }

    fn not(&mut self, expr: &ExprRef) {
        match expr.as_ref() {
            Expr::BoolExpr {
                op: BoolOp::Eq,
                lhs,
                rhs,
                ..
            } => {
                if let Some(value) = literal(rhs) {
                    self.add(lhs, Test::NotIn(vec![value]));
                }
            }
            Expr::Membership {
                key: None,
                value,
                collection,
                ..
            } => {
                if let Some(Document::Array(values)) = literal(collection) {
                    self.add(value, Test::NotIn(values));
                }
            }
            _ => self.add(expr, Test::Lacks),
        }
    }

    /// From here on the reference has this value and no other.
    pub(crate) fn set(&mut self, key: &str, value: &Document) {
        let is = Test::Is(BoolOp::Eq, value.clone());
        self.tests.insert(key.to_owned(), vec![is]);
    }

    /// Whether it asks anything of that reference.
    pub(crate) fn names(&self, key: &str) -> bool {
        self.tests.contains_key(key)
    }

    /// Whether all it asks of the reference is true of the value.
    pub(crate) fn allow(&self, key: &str, value: &Document) -> bool {
        let tests = self.tests.get(key).map(Vec::as_slice).unwrap_or_default();
        tests.iter().all(|test| test.allows(value))
    }

    /// Whether no value could fulfil both, of some reference.
    pub(crate) fn exclude(&self, other: &Self) -> bool {
        let pinned = |all: &Self, against: &Self| {
            all.tests.iter().any(|(key, tests)| {
                tests.iter().any(|test| match test {
                    Test::Is(BoolOp::Eq, value) => !against.allow(key, value),
                    Test::In(values) => values.iter().all(|value| !against.allow(key, value)),
                    _ => false,
                })
            })
        };
        pinned(self, other) || pinned(other, self)
    }
}

impl Test {
    fn allows(&self, value: &Document) -> bool {
        match self {
            Self::Is(op, asked) => compares(op, value, asked),
            Self::In(values) => values.contains(value),
            Self::NotIn(values) => !values.contains(value),
            Self::Holds => !matches!(value, Document::Bool(false)),
            Self::Lacks => matches!(value, Document::Bool(false)),
        }
    }
}

/// Whether the operator holds between two values.
pub(crate) fn compares(op: &BoolOp, value: &Document, asked: &Document) -> bool {
    let order = match (value, asked) {
        (Document::Number(a), Document::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()),
        (Document::String(a), Document::String(b)) => Some(a.cmp(b)),
        (a, b) if a == b => Some(Ordering::Equal),
        // Of two kinds only this much is sure: they differ.
        _ => return matches!(op, BoolOp::Ne),
    };
    let Some(order) = order else { return false };
    match op {
        BoolOp::Eq => order == Ordering::Equal,
        BoolOp::Ne => order != Ordering::Equal,
        BoolOp::Lt => order == Ordering::Less,
        BoolOp::Le => order != Ordering::Greater,
        BoolOp::Gt => order == Ordering::Greater,
        BoolOp::Ge => order != Ordering::Less,
    }
}

/// The operator with its sides changed.
const fn turned(op: &BoolOp) -> BoolOp {
    match op {
        BoolOp::Lt => BoolOp::Gt,
        BoolOp::Le => BoolOp::Ge,
        BoolOp::Gt => BoolOp::Lt,
        BoolOp::Ge => BoolOp::Le,
        BoolOp::Eq => BoolOp::Eq,
        BoolOp::Ne => BoolOp::Ne,
    }
}
