//! Packages of different teams that contradict each other where both govern.

use std::collections::{BTreeMap, BTreeSet};

use crmgate_domain::{Document, PatchOp};
use crmgate_policy::Reserved;
use crmgate_policy::analysis::{Expr, Literal, Query, RuleBody, literal_text};

use crate::conditions::Conditions;
use crate::finding::{Finding, Level};
use crate::layer::Parsed;

mod speaker;

use speaker::{Refusal, Speaker, first};

/// Codes that the engine gives itself.
const ENGINES: [&str; 8] = [
    "approval_not_possible",
    "no_approvers",
    "number_out_of_range",
    "patch_conflict",
    "patch_not_possible",
    "patch_unstable",
    "scope_missing",
    "scopes_unknown",
];

/// Looks at every pair of packages that may meet at one operation.
pub(crate) fn run(layers: &[Parsed], found: &mut Vec<Finding>) {
    let speakers: Vec<Speaker<'_>> = layers
        .iter()
        .flat_map(|layer| {
            let packages = layer.packages.values();
            packages.map(|package| Speaker::new(layer, package))
        })
        .collect();
    let mut pairs = Vec::new();
    for (index, one) in speakers.iter().enumerate() {
        engines_codes(one, found);
        no_scopes(one, found);
        for other in speakers.iter().skip(index + 1) {
            if one.meets(other) {
                codes(one, other, &mut pairs);
                copies(one, other, &mut pairs);
                patches(one, other, &mut pairs);
                for (a, b) in [(one, other), (other, one)] {
                    refused(a, b, &mut pairs);
                    scopes(a, b, &mut pairs);
                }
            }
        }
        // What one says against many is told once.
        found.extend(merged(std::mem::take(&mut pairs)));
    }
}

/// Other places that one finding names.
const ALSO: usize = 5;

/// The first finding of each place, with the places of those that say the same of others.
fn merged(pairs: Vec<Finding>) -> impl Iterator<Item = Finding> {
    let mut first: BTreeMap<_, Finding> = BTreeMap::new();
    for finding in pairs {
        let key = (
            finding.file.clone(),
            finding.line,
            finding.column,
            finding.code,
        );
        match first.get_mut(&key) {
            None => _ = first.insert(key, finding),
            Some(known) if known.also.len() < ALSO => known.also.extend(finding.also),
            Some(_) => {}
        }
    }
    first.into_values()
}

fn engines_codes(one: &Speaker<'_>, found: &mut Vec<Finding>) {
    for refusal in &one.refusals {
        if let Some(code) = refusal.code.filter(|code| ENGINES.contains(code)) {
            let message = format!("the code `{code}` is one that the engine gives itself");
            found.push(
                Finding::new(Level::Warning, "reserved_code", refusal.file, message)
                    .at(refusal.place)
                    .remedy("use another, so that callers can tell them apart"),
            );
        }
    }
}

/// A list without any scope lets nobody in.
fn no_scopes(one: &Speaker<'_>, found: &mut Vec<Finding>) {
    if let Some((file, place, list)) = one.no_scopes.as_ref().filter(|_| one.scopes.is_empty()) {
        let message = format!("nobody has the scopes that are asked for: `{list}` is empty");
        found.push(
            Finding::new(Level::Warning, "no_scopes", file, message)
                .at(*place)
                .remedy("name the scopes, or take `allow_scopes` out"),
        );
    }
}

fn codes(one: &Speaker<'_>, other: &Speaker<'_>, found: &mut Vec<Finding>) {
    let theirs: BTreeMap<&str, &Refusal<'_>> = other
        .refusals
        .iter()
        .filter_map(|refusal| Some((refusal.code?, refusal)))
        .collect();
    let mut told = BTreeSet::new();
    for refusal in &one.refusals {
        let Some(code) = refusal.code.filter(|code| told.insert(*code)) else {
            continue;
        };
        if let Some(same) = theirs.get(code) {
            let message = format!(
                "{} and {} refuse by the same code `{code}`, and both govern the same records",
                one.named(),
                other.named()
            );
            found.push(
                Finding::new(Level::Warning, "same_code", refusal.file, message)
                    .at(refusal.place)
                    .remedy("callers act on codes: give each reason a code of its own")
                    .also(
                        same.file,
                        same.place.line,
                        format!("`{}`", other.package.name),
                    ),
            );
        }
    }
}

/// What stands twice.
fn copies(one: &Speaker<'_>, other: &Speaker<'_>, found: &mut Vec<Finding>) {
    let same_helpers = one.whole == other.whole;
    for (text, (file, place)) in &one.texts {
        let Some((other_file, other_place)) = other.texts.get(text) else {
            continue;
        };
        // The same words over other helpers may mean something else.
        let alone = same_helpers || !uses_helpers(one, text) && !uses_helpers(other, text);
        if alone && text.contains("input.") {
            let message = format!(
                "{} and {} have the same rule, word for word",
                one.named(),
                other.named()
            );
            found.push(
                Finding::new(Level::Warning, "duplicate_rule", file, message)
                    .at(*place)
                    .remedy("keep it in one package")
                    .also(
                        other_file,
                        other_place.line,
                        format!("`{}`", other.package.name),
                    ),
            );
        }
    }
}

/// Whether a rule's text names another rule of its package.
fn uses_helpers(speaker: &Speaker<'_>, text: &str) -> bool {
    let words: BTreeSet<&str> = text
        .split(|char: char| !char.is_ascii_alphanumeric() && char != '_')
        .collect();
    let names = speaker.whole.iter().filter(|whole| *whole != text);
    names
        .filter_map(|whole| {
            whole
                .trim_start_matches("default ")
                .split(|char: char| !char.is_ascii_alphanumeric() && char != '_')
                .next()
        })
        .any(|name| !Reserved::ALL.iter().any(|r| r.name() == name) && words.contains(name))
}

fn patches(one: &Speaker<'_>, other: &Speaker<'_>, found: &mut Vec<Finding>) {
    if !one.enforced() || !other.enforced() {
        return;
    }
    for (file, mine) in &one.patches {
        for (other_file, theirs) in &other.patches {
            let certain = mine.always() && theirs.always() && mine.op != PatchOp::Default;
            // What is certain does not even load.
            if certain || !mine.conflicts(theirs) || exclude(mine.bodies, theirs.bodies) {
                continue;
            }
            let message = format!(
                "{} sets `{}` to {}, and {} to {}: where both do, the write is refused",
                one.named(),
                mine.field,
                mine.value.to_json(),
                other.named(),
                theirs.value.to_json(),
            );
            found.push(
                Finding::new(Level::Warning, "patch_conflict", file, message)
                    .at(mine.place)
                    .remedy("let one of the two owners set the field, or give the patches conditions that exclude each other")
                    .also(other_file, theirs.place.line, format!("`{}`", other.package.name)),
            );
        }
    }
}

/// Whether two bodies ask for different values of one thing.
fn exclude(one: &[RuleBody], other: &[RuleBody]) -> bool {
    let of = |bodies| first(bodies).map(Conditions::of).unwrap_or_default();
    of(one).exclude(&of(other))
}

/// What one sets and the other refuses.
fn refused(one: &Speaker<'_>, other: &Speaker<'_>, found: &mut Vec<Finding>) {
    if !one.enforced() || !other.enforced() {
        return;
    }
    for (file, patch) in one.patches.iter().filter(|(_, p)| p.op != PatchOp::Default) {
        let path = match patch.field.strip_prefix("native.") {
            Some(native) => format!("input.native.{native}"),
            None => format!("input.record.{}", patch.field),
        };
        let mut patched = first(patch.bodies).map(Conditions::of).unwrap_or_default();
        patched.set(&path, &patch.value);
        for refusal in &other.refusals {
            let Some(query) = first(refusal.bodies) else {
                continue;
            };
            let asked = Conditions::of(query);
            if !asked.names(&path) || !asked.allow(&path, &patch.value) || patched.exclude(&asked) {
                continue;
            }
            let message = format!(
                "{} sets `{}` to {}, which {} refuses",
                one.named(),
                patch.field,
                shown(&patch.value),
                other.named(),
            );
            found.push(
                Finding::new(Level::Warning, "patch_refused", file, message)
                    .at(patch.place)
                    .remedy(
                        "what is patched is judged again: agree on the value, or on who decides",
                    )
                    .also(
                        refusal.file,
                        refusal.place.line,
                        format!("`{}` refuses it", other.package.name),
                    ),
            );
        }
    }
}

fn shown(value: &Document) -> String {
    if value.is_null() {
        "nothing".into()
    } else {
        value.to_json()
    }
}

/// Scopes that one asks for and the other refuses.
fn scopes(one: &Speaker<'_>, other: &Speaker<'_>, found: &mut Vec<Finding>) {
    if one.scopes.is_empty() || !one.all_scopes || !one.enforced() || !other.enforced() {
        return;
    }
    let refused: BTreeMap<&str, &Refusal<'_>> = other
        .refusals
        .iter()
        .filter_map(|refusal| Some((only_scope(first(refusal.bodies)?)?, refusal)))
        .collect();
    let mut last = None;
    for scope in one.scopes.keys() {
        match refused.get(scope) {
            Some(refusal) => last = Some((scope, refusal)),
            None => return,
        }
    }
    let place = one.scopes.values().next();
    if let (Some((scope, refusal)), Some((file, at))) = (last, place) {
        let message = format!(
            "nobody can satisfy both: {} asks for the scope `{scope}`, and {} refuses whoever has it",
            one.named(),
            other.named()
        );
        found.push(
            Finding::new(Level::Warning, "scopes_refused", file, message)
                .at(*at)
                .remedy("agree on the scopes of the integrations that may do this")
                .also(
                    refusal.file,
                    refusal.place.line,
                    format!("`{}`", other.package.name),
                ),
        );
    }
}

/// The scope of a body that asks for nothing else than that the actor has it.
fn only_scope(query: &Query) -> Option<&str> {
    let [only] = query.stmts.as_slice() else {
        return None;
    };
    let Literal::Expr { expr, .. } = &only.literal else {
        return None;
    };
    match expr.as_ref() {
        Expr::Membership {
            value, collection, ..
        } if collection.span().text() == "input.actor.scopes" => literal_text(value),
        _ => None,
    }
}
