//! Every called function exists, takes that many arguments, and may be called in a policy.

use regorus::unstable::BUILTINS;

use super::fault;
use crate::LoadError;
use crate::symbols::{GroupId, Meaning, Symbols};
use crate::syntax::{self, Expr, ExprRef, Rule, RuleHead};

/// Functions that a decision must not depend on, and why.
const BANNED: [(&str, &str); 5] = [
    (
        "rand.intn",
        "a decision must come out the same when it is made again",
    ),
    (
        "uuid.rfc4122",
        "a decision must come out the same when it is made again",
    ),
    ("http.send", "policies make no calls of their own"),
    (
        "opa.runtime",
        "policies see no part of the machine they run on",
    ),
    ("trace", "nobody reads traces of a decision; use `print`"),
];

/// Finds calls that cannot work.
pub(crate) fn check(symbols: &Symbols<'_>, faults: &mut Vec<LoadError>) {
    for (index, module) in symbols.modules.iter().enumerate() {
        for rule in &module.rules {
            syntax::every_expr(&rule.node, &mut |expr| {
                let Expr::Call {
                    span, fcn, params, ..
                } = expr.as_ref()
                else {
                    return;
                };
                if let Some((message, remedy)) = wrong(symbols, index, fcn, params.len()) {
                    faults.push(
                        fault("call", &module.file, fcn_place(fcn, span), message).remedy(remedy),
                    );
                }
            });
        }
    }
}

fn fcn_place(fcn: &ExprRef, span: &syntax::Span) -> syntax::Place {
    let mut at = fcn;
    while let Expr::RefDot { refr, .. } | Expr::RefBrack { refr, .. } = at.as_ref() {
        at = refr;
    }
    match at.as_ref() {
        Expr::Var { span, .. } => span.into(),
        _ => span.into(),
    }
}

fn wrong<'a>(
    symbols: &Symbols<'a>,
    module: usize,
    fcn: &'a ExprRef,
    given: usize,
) -> Option<(String, String)> {
    let Some(path) = syntax::static_path(fcn) else {
        return Some((
            "a function is called by a name that is not fixed".into(),
            "write its name out".into(),
        ));
    };
    let name = path.join(".");
    if let Some(id) = function(symbols, module, fcn) {
        let takes = arity(symbols, id)?;
        return (takes != given).then(|| {
            (
                format!("`{name}` takes {takes} arguments, {given} are given"),
                "give as many as its definition names".into(),
            )
        });
    }
    if let Some((_, why)) = BANNED.iter().find(|(banned, _)| *banned == name) {
        return Some((
            format!("`{name}` may not be called in a policy"),
            (*why).into(),
        ));
    }
    if name == "print" {
        return None;
    }
    match BUILTINS.get(name.as_str()) {
        // One argument more is the result, in the form `f(x, result)`.
        Some((_, takes)) if given == usize::from(*takes) || given == usize::from(*takes) + 1 => {
            None
        }
        Some((_, takes)) => Some((
            format!("`{name}` takes {takes} arguments, {given} are given"),
            "see OPA's reference of built-in functions".into(),
        )),
        None => Some((format!("there is no function `{name}`"), nearest(&name))),
    }
}

/// The function that a call means, when rules of this layer define it.
pub fn function<'a>(symbols: &Symbols<'a>, module: usize, fcn: &'a ExprRef) -> Option<GroupId> {
    match symbols.meaning(module, fcn)? {
        Meaning::Rule(id, rest) if rest.is_empty() => arity(symbols, id).map(|_| id),
        _ => None,
    }
}

/// How many arguments a group takes, when it is a function.
pub fn arity(symbols: &Symbols<'_>, id: GroupId) -> Option<usize> {
    symbols
        .rules(id)
        .find_map(|(_, rule)| match rule.node.as_ref() {
            Rule::Spec {
                head: RuleHead::Func { args, .. },
                ..
            } => Some(args.len()),
            Rule::Default { args, .. } if !args.is_empty() => Some(args.len()),
            _ => None,
        })
}

fn nearest(name: &str) -> String {
    let last = name.rsplit('.').next().unwrap_or(name);
    let alike = BUILTINS
        .keys()
        .find(|known| known.rsplit('.').next() == Some(last));
    alike.map_or_else(
        || {
            "define it, import its package, or see `policies/README.md` for the functions there are"
                .into()
        },
        |known| format!("did you mean `{known}`?"),
    )
}
