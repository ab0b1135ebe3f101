//! References to data that is not there.
//!
//! An undefined reference makes its rule silent, so a `deny` with a typo in `data.params…` would
//! never fire.

use crmgate_domain::Object;

use super::fault;
use crate::LoadError;
use crate::symbols::{Meaning, Symbols};
use crate::syntax::{self, Expr, ExprRef, Place, Step};

/// Finds references to data or rules that do not exist. `data` is what was loaded; only its first
/// two levels are held to be fixed, below `params` all of them.
pub(crate) fn check(symbols: &Symbols<'_>, data: &Object, faults: &mut Vec<LoadError>) {
    for (index, module) in symbols.modules.iter().enumerate() {
        for rule in &module.rules {
            syntax::every_expr(&rule.node, &mut |expr| {
                if let Expr::Call { .. } = expr.as_ref() {
                    return;
                }
                if let Some(path) = missing(symbols, index, expr, data) {
                    let place = Place::from(expr.span());
                    faults.push(
                        fault(
                            "data",
                            &module.file,
                            place,
                            format!("there is no `data.{path}`"),
                        )
                        .remedy("an undefined reference would silence the rule: mend the name, or add the data, parameter or rule"),
                    );
                }
            });
        }
    }
}

fn missing<'a>(
    symbols: &Symbols<'a>,
    module: usize,
    expr: &'a ExprRef,
    data: &Object,
) -> Option<String> {
    let steps = data_steps(symbols, module, expr)?;
    let keys: Vec<&str> = steps.iter().map(String::as_str).collect();
    if let Some(&("crm" | "lib")) = keys.first() {
        // Only rules are there, and this is none.
        return Some(keys.join("."));
    }
    let levels = if keys.first() == Some(&"params") {
        keys.len()
    } else {
        2
    };
    let mut at: Option<&Object> = Some(data);
    for (depth, key) in keys.iter().take(levels).enumerate() {
        // What is not an object has no fixed names below it.
        let object = at?;
        let Some(value) = object.get(key) else {
            return keys.get(..=depth).map(|path| path.join("."));
        };
        at = value.as_object();
    }
    None
}

/// The literal steps of a reference to plain data.
fn data_steps<'a>(symbols: &Symbols<'a>, module: usize, expr: &'a ExprRef) -> Option<Vec<String>> {
    let (root, _) = syntax::chain(expr)?;
    let here = symbols.modules.get(module)?;
    if root != "data" && !here.imports.contains_key(root) {
        return None;
    }
    match symbols.meaning(module, expr)? {
        Meaning::Data(steps) => Some(
            steps
                .iter()
                .map_while(|step| match step {
                    Step::Key(key) => Some((*key).to_owned()),
                    Step::Index(_) => None,
                })
                .collect(),
        ),
        _ => None,
    }
}
