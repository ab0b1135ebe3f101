//! `with` puts values in place of others, which is for tests: a decision made over other functions
//! than its own is not the one that was asked for.

use regorus::unstable::BUILTINS;

use super::{calls, fault};
use crate::LoadError;
use crate::symbols::Symbols;
use crate::syntax::{self, Part};

/// Finds functions that are replaced.
pub(crate) fn check(symbols: &Symbols<'_>, faults: &mut Vec<LoadError>) {
    let tests = |file: &str| file.ends_with("_test.rego");
    let modules = symbols.modules.iter().enumerate();
    for (index, module) in modules.filter(|(_, module)| !tests(&module.file)) {
        for rule in &module.rules {
            let mut open = Vec::new();
            syntax::rule_parts(&rule.node, &mut |part| open.push(part));
            while let Some(part) = open.pop() {
                let query = match part {
                    Part::Expr(expr) => {
                        syntax::parts(expr, &mut |part| open.push(part));
                        continue;
                    }
                    Part::Query(query) => query,
                };
                for modifier in query.stmts.iter().flat_map(|stmt| &stmt.with_mods) {
                    let path = syntax::static_path(&modifier.refr).unwrap_or_default();
                    let name = path.join(".");
                    let own = calls::function(symbols, index, &modifier.refr).is_some();
                    if own || name == "print" || BUILTINS.contains_key(name.as_str()) {
                        let place = modifier.refr.span().into();
                        let message = format!("`with` replaces the function `{name}`");
                        let remedy = "only tests (`…_test.rego`) replace functions; in a policy, call another one";
                        faults.push(fault("with", &module.file, place, message).remedy(remedy));
                    }
                }
                syntax::literal_parts(query, &mut |part| open.push(part));
            }
        }
    }
}
