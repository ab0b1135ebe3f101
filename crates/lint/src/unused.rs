//! What is written and never used, and names that hide others.

use std::collections::{BTreeMap, BTreeSet};

use crmgate_policy::Reserved;
use crmgate_policy::analysis::{
    Expr, GroupId, Meaning, Module, Rule, RuleHead, RuleNode, Span, chain, function,
};

use crate::finding::{Finding, Level};
use crate::layer::{Layer, is_helper};
use crate::variables::{Declared, How, Variables};
use crate::words::{did_you_mean, nearest};

/// Finds variables, imports, rules and files that nothing uses. `elsewhere` are the packages'
/// rules that other layers use.
pub(crate) fn run(
    layer: &Layer<'_>,
    elsewhere: &BTreeSet<(String, String)>,
    found: &mut Vec<Finding>,
) {
    for (_, module) in layer.own() {
        imports(module, found);
        for node in &module.rules {
            variables(layer, module, node, found);
        }
    }
    if !layer.parsed.broken {
        rules(layer, elsewhere, found);
    }
}

fn variables(layer: &Layer<'_>, module: &Module, node: &RuleNode, found: &mut Vec<Finding>) {
    let all = Variables::of(&node.node);
    for (name, declared) in &all.declared {
        let Some(first) = declared.first().filter(|_| !name.starts_with('_')) else {
            continue;
        };
        let seen = all.seen.get(name).copied().unwrap_or_default();
        if seen <= declared.len() {
            match first.how {
                How::Argument => argument(layer, module, node, name, first.span, found),
                how => found.push(unused_variable(layer, module, name, first.span, how)),
            }
        }
        shadows(layer, module, name, first, found);
    }
}

fn unused_variable(
    layer: &Layer<'_>,
    module: &Module,
    name: &str,
    span: &Span,
    how: How,
) -> Finding {
    let rule = layer.symbols.group(&module.package, name).is_some();
    let remedy = match how {
        How::Assigned if rule || module.imports.contains_key(name) => {
            "`:=` makes a new variable: write `==` to compare".to_owned()
        }
        How::Assigned => "use it, or take it out; to compare, write `==`".to_owned(),
        _ => format!("write `_` for `{name}`"),
    };
    Finding::new(
        Level::Warning,
        "unused_variable",
        &module.file,
        format!("`{name}` is never used"),
    )
    .of(span)
    .remedy(remedy)
}

/// An argument that no clause of its function uses.
fn argument(
    layer: &Layer<'_>,
    module: &Module,
    node: &RuleNode,
    name: &str,
    span: &Span,
    found: &mut Vec<Finding>,
) {
    let clauses = layer.symbols.group(&module.package, &node.name);
    let clauses: Vec<&RuleNode> = clauses
        .map(|id| layer.symbols.rules(id).map(|(_, node)| node).collect())
        .unwrap_or_default();
    let position = |node: &RuleNode, is: &dyn Fn(usize, &str) -> bool| match node.node.as_ref() {
        Rule::Spec {
            head: RuleHead::Func { args, .. },
            ..
        } => args
            .iter()
            .enumerate()
            .find(|(index, arg)| is(*index, arg.span().text()))
            .map(|(index, arg)| (index, arg.span().text().to_owned())),
        _ => None,
    };
    let Some((at, _)) = position(node, &|_, text| text == name) else {
        return;
    };
    // Clauses share their head: one that needs the argument excuses the others.
    let used = clauses.iter().any(|other| {
        position(other, &|index, _| index == at).is_some_and(|(_, theirs)| {
            let plain = theirs
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_');
            let seen = Variables::of(&other.node);
            !plain || seen.seen.get(theirs.as_str()).copied().unwrap_or_default() > 1
        })
    });
    if !used {
        found.push(unused_variable(layer, module, name, span, How::Argument));
    }
}

fn shadows(
    layer: &Layer<'_>,
    module: &Module,
    name: &str,
    first: &Declared<'_>,
    found: &mut Vec<Finding>,
) {
    let what = if layer.symbols.group(&module.package, name).is_some() {
        "a rule of the package"
    } else if module.imports.contains_key(name) {
        "an import"
    } else {
        return;
    };
    let remedy = if first.how == How::Assigned {
        "`:=` makes a new variable: write `==` to compare with the other, or use another name"
    } else {
        "use another name"
    };
    found.push(
        Finding::new(
            Level::Warning,
            "shadowed",
            &module.file,
            format!("the variable `{name}` hides {what} of the same name"),
        )
        .of(first.span)
        .remedy(remedy),
    );
}

fn imports(module: &Module, found: &mut Vec<Finding>) {
    let mut used = BTreeSet::new();
    for node in &module.rules {
        let all = Variables::of(&node.node);
        let of_file = |name: &&str| !all.declared.contains_key(name);
        used.extend(all.seen.into_keys().filter(of_file));
    }
    for import in &module.import_list {
        // Imports of the language itself say how to read the file.
        let documents = matches!(
            import.path.first().map(String::as_str),
            Some("input" | "data")
        );
        if documents && !used.contains(import.name.as_str()) {
            let message = format!("the import `{}` is never used", import.path.join("."));
            found.push(
                Finding::new(Level::Warning, "unused_import", &module.file, message)
                    .at(import.place)
                    .remedy("take it out"),
            );
        }
    }
}

/// What a group's rules use.
pub(crate) fn uses(layer: &Layer<'_>, id: GroupId) -> BTreeSet<GroupId> {
    let rules = layer.symbols.rules(id);
    rules
        .flat_map(|(module, node)| uses_of(layer, module, node))
        .collect()
}

/// What one rule uses.
pub(crate) fn uses_of<'a>(
    layer: &Layer<'a>,
    module: usize,
    node: &'a RuleNode,
) -> BTreeSet<GroupId> {
    let mut used = BTreeSet::new();
    {
        let locals = Variables::of(&node.node).declared;
        crmgate_policy::analysis::every_expr(&node.node, &mut |expr| {
            if let Expr::Call { fcn, .. } = expr.as_ref() {
                used.extend(function(&layer.symbols, module, fcn));
                return;
            }
            if chain(expr).is_none_or(|(root, _)| locals.contains_key(root)) {
                return;
            }
            match layer.symbols.meaning(module, expr) {
                Some(Meaning::Rule(id, _)) => _ = used.insert(id),
                Some(Meaning::Rules(ids)) => used.extend(ids),
                _ => {}
            }
        });
    }
    used
}

/// Everything that the reserved rules of a layer use, themselves included.
pub(crate) fn reached(layer: &Layer<'_>, also: &BTreeSet<(String, String)>) -> BTreeSet<GroupId> {
    let groups = &layer.symbols.groups;
    let reserved = |name: &str| Reserved::ALL.iter().any(|rule| rule.name() == name);
    let mut open: Vec<GroupId> = groups
        .iter()
        .enumerate()
        .filter(|(_, group)| {
            (group.package.starts_with("crm.") && reserved(&group.name))
                // Read by the decision log.
                || group.package.starts_with("system.")
                || also.contains(&(group.package.clone(), group.name.clone()))
        })
        .map(|(id, _)| id)
        .collect();
    let mut reached: BTreeSet<GroupId> = open.iter().copied().collect();
    while let Some(id) = open.pop() {
        for next in uses(layer, id) {
            if reached.insert(next) {
                open.push(next);
            }
        }
    }
    reached
}

/// The helpers of the global layer that this layer uses.
pub(crate) fn of_helpers(layer: &Layer<'_>) -> BTreeSet<(String, String)> {
    let groups = &layer.symbols.groups;
    reached(layer, &BTreeSet::new())
        .into_iter()
        .filter_map(|id| groups.get(id))
        .filter(|group| group.package.starts_with("lib."))
        .map(|group| (group.package.clone(), group.name.clone()))
        .collect()
}

fn rules(layer: &Layer<'_>, elsewhere: &BTreeSet<(String, String)>, found: &mut Vec<Finding>) {
    let reached = reached(layer, elsewhere);
    for (index, module) in layer.own() {
        let unused: BTreeMap<&str, &RuleNode> = module
            .rules
            .iter()
            .rev()
            .filter(|node| {
                let id = layer.symbols.group(&module.package, &node.name);
                id.is_some_and(|id| {
                    // Told once, where its first rule stands.
                    let here = layer.symbols.rules(id).next();
                    !reached.contains(&id) && here.is_some_and(|(at, _)| at == index)
                })
            })
            .map(|node| (node.name.as_str(), node))
            .collect();
        let names: BTreeSet<&str> = module.rules.iter().map(|r| r.name.as_str()).collect();
        if is_helper(module) && !names.is_empty() && unused.len() == names.len() {
            let message = format!("no policy uses anything of `{}`", module.package_name());
            found.push(
                Finding::new(Level::Warning, "unused_file", &module.file, message)
                    .on_line(module.package_line)
                    .remedy("take the file out, or use it"),
            );
            continue;
        }
        for (name, node) in unused {
            found.push(unused_rule(module, name, node));
        }
    }
}

fn unused_rule(module: &Module, name: &str, node: &RuleNode) -> Finding {
    let near = nearest(name, Reserved::ALL.map(Reserved::name)).filter(|_| {
        !is_helper(module)
            && !matches!(
                node.node.as_ref(),
                Rule::Spec {
                    head: RuleHead::Func { .. },
                    ..
                }
            )
    });
    match near {
        Some(near) => Finding::new(
            Level::Error,
            "unknown_rule",
            &module.file,
            format!("`{name}` is no rule that decides anything, and no rule uses it"),
        )
        .at(node.place)
        .remedy(did_you_mean(near)),
        None => Finding::new(
            Level::Warning,
            "unused_rule",
            &module.file,
            format!("nothing that decides uses `{name}`"),
        )
        .at(node.place)
        .remedy("take it out, or use it in a rule such as `deny`"),
    }
}
