//! Rules that can never fire, told from their text alone.

use std::collections::BTreeMap;

use crmgate_domain::Document;
use crmgate_policy::analysis::{
    BoolOp, Expr, ExprRef, Literal, Module, Part, Place, Query, Rule, RuleNode, chain, literal,
    literal_parts, parts, rule_parts,
};

use crate::conditions::compares;
use crate::finding::{Finding, Level};
use crate::layer::Layer;

/// Finds statements that are never true together, and values that are never reached.
pub(crate) fn run(layer: &Layer<'_>, found: &mut Vec<Finding>) {
    for (_, module) in layer.own() {
        for node in &module.rules {
            queries(&node.node, &mut |query| {
                constants(module, query, found);
                contradictions(module, query, found);
            });
            unreachable(module, node, found);
        }
    }
}

fn queries<'a>(rule: &'a Rule, each: &mut dyn FnMut(&'a Query)) {
    let mut open = Vec::new();
    rule_parts(rule, &mut |part| open.push(part));
    while let Some(part) = open.pop() {
        match part {
            Part::Expr(expr) => parts(expr, &mut |part| open.push(part)),
            Part::Query(query) => {
                each(query);
                literal_parts(query, &mut |part| open.push(part));
            }
        }
    }
}

/// What a statement of literals comes to.
fn constant(expr: &ExprRef) -> Option<bool> {
    match expr.as_ref() {
        Expr::Bool { .. } => match literal(expr)? {
            Document::Bool(flag) => Some(flag),
            _ => None,
        },
        Expr::BoolExpr { op, lhs, rhs, .. } => {
            let (a, b) = (literal(lhs)?, literal(rhs)?);
            // Of two kinds, the one that counts as larger is larger: told elsewhere.
            (a.type_name() == b.type_name()).then(|| compares(op, &a, &b))
        }
        _ => None,
    }
}

fn constants(module: &Module, query: &Query, found: &mut Vec<Finding>) {
    for statement in &query.stmts {
        let (expr, wanted) = match &statement.literal {
            Literal::Expr { expr, .. } => (expr, true),
            Literal::NotExpr { expr, .. } => (expr, false),
            _ => continue,
        };
        if constant(expr).is_some_and(|is| is != wanted) {
            found.push(
                Finding::new(
                    Level::Error,
                    "never",
                    &module.file,
                    "this is never true, so what it stands in never fires".into(),
                )
                .of(&statement.span)
                .remedy("take the rule out; to switch a package off, write `enforcement: off`"),
            );
        }
    }
}

/// Two statements of one body that ask for different values of one thing.
fn contradictions(module: &Module, query: &Query, found: &mut Vec<Finding>) {
    let mut asked: BTreeMap<String, (Document, Place)> = BTreeMap::new();
    for statement in &query.stmts {
        let Literal::Expr { expr, .. } = &statement.literal else {
            continue;
        };
        let Expr::BoolExpr {
            op: BoolOp::Eq,
            lhs,
            rhs,
            ..
        } = expr.as_ref()
        else {
            continue;
        };
        let pair = [(lhs, rhs), (rhs, lhs)]
            .into_iter()
            .find_map(|(side, other)| Some((fixed(side)?, literal(other)?)));
        let Some((key, value)) = pair else { continue };
        let place = Place::from(&statement.span);
        match asked.get(&key) {
            Some((first, at)) if *first != value => found.push(
                Finding::new(
                    Level::Error,
                    "never",
                    &module.file,
                    format!(
                        "`{key}` can't be {} and {} at once",
                        first.to_json(),
                        value.to_json()
                    ),
                )
                .of(&statement.span)
                .remedy("for either of them, write `… in {…}`")
                .also(&module.file, at.line, "the other value"),
            ),
            Some(_) => {}
            None => _ = asked.insert(key, (value, place)),
        }
    }
}

/// A reference that has one value: one without wild cards and other variables than its first.
fn fixed(expr: &ExprRef) -> Option<String> {
    let (_, steps) = chain(expr)?;
    let plain = steps
        .iter()
        .all(|step| matches!(step, crmgate_policy::analysis::Step::Key(_)));
    plain.then(|| expr.span().text().to_owned())
}

/// An `else` behind a body that always holds.
fn unreachable(module: &Module, node: &RuleNode, found: &mut Vec<Finding>) {
    let Rule::Spec { bodies, .. } = node.node.as_ref() else {
        return;
    };
    let always = |query: &Query| {
        query
            .stmts
            .iter()
            .all(|statement| match &statement.literal {
                Literal::Expr { expr, .. } => constant(expr) == Some(true),
                _ => false,
            })
    };
    let mut sure = false;
    for body in bodies {
        if body.is_else && sure {
            found.push(
                Finding::new(
                    Level::Warning,
                    "unreachable",
                    &module.file,
                    format!(
                        "this `else` of `{}` is never reached: what stands before it always holds",
                        node.name
                    ),
                )
                .of(&body.span)
                .remedy("give the value before it a condition, or take the `else` out"),
            );
            return;
        }
        sure = always(&body.query);
    }
}
