//! Reserved rules must be of the kind that the engine asks for.

use super::fault;
use crate::LoadError;
use crate::rules::{Reserved, Shape};
use crate::symbols::Symbols;
use crate::syntax::{Expr, Rule, RuleHead, RuleNode};

/// Finds reserved rules of the wrong kind in policy packages.
pub(crate) fn check(symbols: &Symbols<'_>, faults: &mut Vec<LoadError>) {
    for module in symbols.modules {
        if module.package.first().map(String::as_str) != Some("crm") {
            continue;
        }
        for rule in &module.rules {
            let Some(reserved) = Reserved::named(&rule.name) else {
                continue;
            };
            if let Some(found) = wrong(rule, reserved.shape()) {
                let name = reserved.name();
                let expected = match reserved.shape() {
                    Shape::Set => format!("`{name} contains … if {{ … }}`"),
                    Shape::Truth => format!("`{name} if {{ … }}`"),
                };
                faults.push(
                    fault(
                        "reserved",
                        &module.file,
                        rule.place,
                        format!("`{name}` is reserved and is {found} here"),
                    )
                    .remedy(format!("write {expected}, or use another name")),
                );
            }
        }
    }
}

/// What the rule is instead, when it is of the wrong kind.
fn wrong(rule: &RuleNode, shape: Shape) -> Option<&'static str> {
    if rule.nested {
        return Some("a map of rules");
    }
    match (rule.node.as_ref(), shape) {
        (Rule::Spec { head, .. }, shape) => match (head, shape) {
            (RuleHead::Func { .. }, _) => Some("a function"),
            (RuleHead::Set { .. }, Shape::Set) => None,
            (RuleHead::Set { .. }, Shape::Truth) => Some("a set"),
            (RuleHead::Compr { .. }, Shape::Set) => Some("a single value"),
            (RuleHead::Compr { assign, .. }, Shape::Truth) => match assign {
                None => None,
                Some(assign) => not_truth(&assign.value),
            },
        },
        (Rule::Default { .. }, Shape::Set) => Some("a default value"),
        (Rule::Default { args, value, .. }, Shape::Truth) => {
            if args.is_empty() {
                not_truth(value)
            } else {
                Some("a function")
            }
        }
    }
}

/// A literal that can never be true or false. Other values are checked when they are made.
fn not_truth(value: &Expr) -> Option<&'static str> {
    match value {
        Expr::String { .. } | Expr::RawString { .. } => Some("a string"),
        Expr::Number { .. } => Some("a number"),
        Expr::Null { .. } => Some("null"),
        Expr::Array { .. } | Expr::ArrayCompr { .. } => Some("an array"),
        Expr::Set { .. } | Expr::SetCompr { .. } => Some("a set"),
        Expr::Object { .. } | Expr::ObjectCompr { .. } => Some("an object"),
        _ => None,
    }
}
