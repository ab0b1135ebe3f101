//! OAuth scopes: a union within a layer, every layer satisfied, a final package by its own set.

use std::collections::BTreeSet;

use crmgate_domain::{Enforcement, Reason};

use super::said::{Spoken, refusal};

/// The refusals of one layer.
pub(super) fn refusals(spoken: &[Spoken<'_>], actor: Option<&[String]>) -> Vec<Reason> {
    let asking: Vec<(&Spoken<'_>, &BTreeSet<String>)> = spoken
        .iter()
        .filter(|spoken| spoken.enforcement == Enforcement::Enforce)
        .filter_map(|spoken| Some((spoken, spoken.said.scopes.as_ref()?)))
        .collect();
    let finals = asking
        .iter()
        .filter(|(spoken, _)| spoken.package.metadata.is_final);
    let mut reasons: Vec<Reason> = finals
        .filter_map(|(spoken, scopes)| refuse(scopes, &[spoken], actor))
        .collect();
    if !asking.is_empty() {
        let union: BTreeSet<String> = asking
            .iter()
            .flat_map(|(_, scopes)| scopes.iter().cloned())
            .collect();
        let packages: Vec<&Spoken<'_>> = asking.iter().map(|(spoken, _)| *spoken).collect();
        reasons.extend(refuse(&union, &packages, actor));
    }
    reasons
}

/// The refusal of one package alone, for its own verdict.
pub(super) fn alone(spoken: &Spoken<'_>, actor: Option<&[String]>) -> Option<Reason> {
    refuse(spoken.said.scopes.as_ref()?, &[spoken], actor)
}

fn refuse(
    scopes: &BTreeSet<String>,
    packages: &[&Spoken<'_>],
    actor: Option<&[String]>,
) -> Option<Reason> {
    let names: Vec<&str> = packages
        .iter()
        .map(|spoken| spoken.package.name.as_str())
        .collect();
    let names = names.join(", ");
    let wanted: Vec<String> = scopes.iter().map(|scope| format!("`{scope}`")).collect();
    let wanted = match wanted.as_slice() {
        [] => "no OAuth scope may do this".to_owned(),
        [one] => format!("this needs the OAuth scope {one}"),
        many => format!("this needs one of the OAuth scopes {}", many.join(", ")),
    };
    let mut reason = match actor {
        Some(held) if held.iter().any(|scope| scopes.contains(scope)) => return None,
        Some(_) => refusal("scope_missing", format!("{wanted} ({names})")),
        None => refusal(
            "scopes_unknown",
            format!("{wanted} ({names}), and the caller's scopes are not known"),
        ),
    };
    let metadata = packages.iter().map(|spoken| &spoken.package.metadata);
    for metadata in metadata {
        if reason.remediation.is_none() {
            reason.remediation.clone_from(&metadata.remediation);
            reason.severity = metadata.severity;
        }
    }
    Some(reason)
}
