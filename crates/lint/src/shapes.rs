//! What reserved rules say, where it does not fit what the engine takes: every judgement in which
//! such a rule holds would err.

use std::collections::BTreeSet;

use crmgate_policy::analysis::{
    Expr, ExprRef, Module, Rule, RuleHead, RuleNode, Span, literal_text, misshapen,
};

use crate::finding::{Finding, Level};
use crate::layer::Layer;
use crate::types::Objects;
use crate::words::{did_you_mean, list, nearest};

/// Looks at what the reserved rules of a layer's packages say outright.
pub(crate) fn run(layer: &Layer<'_>, found: &mut Vec<Finding>) {
    for (_, module) in layer.own() {
        if module.package.first().is_none_or(|root| root != "crm") {
            continue;
        }
        let governs = layer.governs(module);
        let names = Names::of(layer, &governs.objects);
        for node in module.rules.iter().filter(|node| !node.nested) {
            if let Some(said) = said(node) {
                shape(module, node, said, found);
                names.look(module, node, said, found);
            }
        }
    }
}

fn said(node: &RuleNode) -> Option<&ExprRef> {
    match node.node.as_ref() {
        Rule::Spec {
            head: RuleHead::Set { key, .. },
            ..
        } => key.as_ref(),
        _ => None,
    }
}

fn shape(module: &Module, node: &RuleNode, said: &Expr, found: &mut Vec<Finding>) {
    let Some(wrong) = misshapen(&node.name, said) else {
        return;
    };
    let expects = [", expected ", " here, only "];
    let (wrong, expected) = match expects.iter().find_map(|word| wrong.split_once(word)) {
        Some((wrong, expected)) => (wrong, Some(expected)),
        None => (wrong.as_str(), None),
    };
    let member = wrong.split('`').nth(1);
    let near = member
        .zip(expected)
        .and_then(|(member, known)| nearest(member, known.split(", ")));
    let message = format!("what `{}` says does not fit: {wrong}", node.name);
    let mut finding = Finding::new(Level::Error, "misshapen", &module.file, message)
        .of(place(said, member))
        .remedy(near.map_or_else(
            || "mend it: where the rule holds, the judgement errs and the write is held up".into(),
            did_you_mean,
        ));
    finding.expected = expected.map(str::to_owned);
    found.push(finding);
}

/// Where a member is named; where it is missing, the first one there is.
fn place<'a>(said: &'a Expr, member: Option<&str>) -> &'a Span {
    fn named<'a>(said: &'a Expr, member: &str) -> Option<&'a Span> {
        let Expr::Object { fields, .. } = said else {
            return None;
        };
        fields.iter().find_map(|(_, key, value)| {
            if literal_text(key) == Some(member) {
                return Some(key.span());
            }
            named(value, member)
        })
    }
    let first = || match said {
        // The engine's span of an object begins at its last member.
        Expr::Object { fields, .. } => fields.first().map(|(_, key, _)| key.span()),
        _ => None,
    };
    member
        .and_then(|member| named(said, member))
        .or_else(first)
        .unwrap_or_else(|| said.span())
}

/// The fields that a package's objects have.
struct Names<'l> {
    objects: &'l Objects,
    fields: BTreeSet<&'l str>,
}

impl<'l> Names<'l> {
    fn of(layer: &'l Layer<'_>, objects: &'l Objects) -> Self {
        let known = objects.names.iter();
        let fields = known
            .filter_map(|object| layer.catalogue.objects.get(object))
            .flat_map(|object| object.fields.keys().map(String::as_str));
        Self {
            objects,
            fields: fields.collect(),
        }
    }

    fn look(&self, module: &Module, node: &RuleNode, said: &Expr, found: &mut Vec<Finding>) {
        if self.fields.is_empty() {
            return;
        }
        let acts = matches!(node.name.as_str(), "patch" | "redact");
        if !acts && !matches!(node.name.as_str(), "deny" | "warn") {
            return;
        }
        for named in named_fields(said) {
            let Some(name) = literal_text(named) else {
                continue;
            };
            let minor = name.strip_suffix("_minor").unwrap_or(name);
            if name.starts_with("native.") || self.fields.contains(minor) {
                continue;
            }
            let near = nearest(name, self.fields.iter().copied());
            // An object without a mapping may have it.
            if near.is_none() && self.objects.others {
                continue;
            }
            let level = if acts && near.is_some() {
                Level::Error
            } else {
                Level::Warning
            };
            let whose = match self.objects.names.len() {
                1..=3 => format!(
                    " of {}",
                    list(self.objects.names.iter().map(String::as_str), "and")
                ),
                _ => String::new(),
            };
            let message = format!(
                "`{}` names the field `{name}`, which no mapping{whose} knows",
                node.name
            );
            found.push(
                Finding::new(level, "unknown_field", &module.file, message)
                    .of(named.span())
                    .remedy(near.map_or_else(
                        || "name a field of the vocabulary, or `native.X`".into(),
                        did_you_mean,
                    )),
            );
        }
    }
}

fn named_fields(said: &Expr) -> Vec<&ExprRef> {
    let Expr::Object { fields, .. } = said else {
        return Vec::new();
    };
    let mut named = Vec::new();
    for (_, key, value) in fields {
        match (literal_text(key), value.as_ref()) {
            (Some("field"), _) => named.push(value),
            (Some("fields"), Expr::Array { items, .. } | Expr::Set { items, .. }) => {
                named.extend(items.iter());
            }
            _ => {}
        }
    }
    named
}
