//! Literal patterns compile, within the engine's cap.

use regorus::Value;
use regorus::unstable::BUILTINS;

use super::fault;
use crate::LoadError;
use crate::symbols::Symbols;
use crate::syntax::{self, Expr, Place};

/// Functions with a pattern, and which argument it is.
const PATTERNS: [(&str, usize); 6] = [
    ("regex.match", 0),
    ("regex.split", 0),
    ("regex.find_n", 0),
    ("regex.find_all_string_submatch_n", 0),
    ("regex.replace", 1),
    (GLOB, 0),
];

/// The one whose pattern is no regular expression.
const GLOB: &str = "glob.match";

/// Finds literal patterns that no call could use.
pub(crate) fn check(symbols: &Symbols<'_>, faults: &mut Vec<LoadError>) {
    for module in symbols.modules {
        for rule in &module.rules {
            syntax::every_expr(&rule.node, &mut |expr| {
                let Expr::Call { fcn, params, .. } = expr.as_ref() else {
                    return;
                };
                let name = syntax::static_path(fcn).unwrap_or_default().join(".");
                let known = PATTERNS.iter().find(|(function, _)| *function == name);
                let Some(param) = known.and_then(|(_, index)| params.get(*index)) else {
                    return;
                };
                let Some(pattern) = syntax::literal_text(param) else {
                    return;
                };
                // Asking the engine's own function keeps this check in step with its cap.
                let glob = name == GLOB;
                let (asked, args) = if glob {
                    let any = Value::new_array();
                    (GLOB, vec![Value::from(pattern), any, Value::from("")])
                } else {
                    let args = vec![Value::from(pattern), Value::from("")];
                    ("regex.match", args)
                };
                let all = [param.clone(), param.clone(), param.clone()];
                let all = all.get(..args.len()).unwrap_or(&all);
                let compiled = BUILTINS
                    .get(asked)
                    .map(|(function, _)| function(param.span(), all, &args, true));
                if let Some(Err(error)) = compiled {
                    let told = crate::message::Told::read(&error).message;
                    let place = Place::from(param.span());
                    faults.push(
                        fault(
                            "regex",
                            &module.file,
                            place,
                            format!("the pattern `{pattern}` can't be used: {told}"),
                        )
                        .remedy(if glob {
                            "mend it: brackets and braces must be closed"
                        } else {
                            "mend it; for size, write `[0-9]` for `\\d`, `[A-Za-z0-9_]` for `\\w`, and check lengths with `count`"
                        }),
                    );
                }
            });
        }
    }
}
