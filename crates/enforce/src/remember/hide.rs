//! Hides in a decision's own texts what may not be remembered.

use crmgate_decision_log::mask::{self, pointer};
use crmgate_decision_log::{REDACTED, Scrubber, Treatment};
use crmgate_domain::{Actor, Document, Judgement, Operation, RequestInfo};

use super::classes::{Marker, View};
use crate::settings::LogSettings;

/// Hides in a judgement what the scrubber knows, and the values of patches by their fields.
pub(super) fn judgement(
    judgement: &mut Judgement,
    scrubber: &Scrubber,
    marker: &mut Marker<'_>,
    settings: &LogSettings,
) {
    texts(judgement, &mut |text| {
        *text = scrubber.message(text);
    });
    codes(judgement, &mut |code| {
        *code = scrubber.text(code).into_owned();
    });
    for patch in &mut judgement.patches {
        let (view, name) = match patch.field.native() {
            Some(name) => (View::Native, name),
            None => (View::Canonical, patch.field.0.as_str()),
        };
        let treatment = marker.treatment(view, name, &patch.value);
        let treated = mask::treated(&patch.value, treatment, &settings.key);
        patch.value = treated.unwrap_or_default();
        if treatment == Treatment::Keep {
            scrubber.document(&mut patch.value);
        }
    }
}

/// Hides in an operation what the scrubber knows, and parameters by their names.
pub(super) fn operation(
    operation: &mut Operation,
    scrubber: &Scrubber,
    marker: &mut Marker<'_>,
    settings: &LogSettings,
) {
    actor(&mut operation.actor, scrubber, marker, settings);
    for text in operation.purpose.iter_mut() {
        *text = scrubber.message(text);
    }
    for parameters in operation.request.iter_mut().flat_map(parameters) {
        for (name, value) in parameters.iter_mut() {
            let treatment = marker.treatment(View::Plain, name, &value.as_str().into());
            if treatment == Treatment::Keep {
                *value = scrubber.text(value).into_owned();
            } else {
                REDACTED.clone_into(value);
            }
        }
    }
    if let Some(arguments) = operation.arguments.take() {
        let kept = arguments.into_iter().filter_map(|(name, value)| {
            let treatment = marker.treatment(View::Native, &name, &value);
            let mut value = mask::treated(&value, treatment, &settings.key)?;
            scrubber.document(&mut value);
            Some((name, value))
        });
        operation.arguments = Some(kept.collect());
    }
    for relation in operation.relation.iter_mut() {
        scrubber.document(relation);
    }
}

fn actor(actor: &mut Actor, scrubber: &Scrubber, marker: &Marker<'_>, settings: &LogSettings) {
    if let Some(email) = actor.email.take() {
        let email = Document::from(email);
        let treatment = marker.of_actor(&email);
        let kept = mask::treated(&email, treatment, &settings.key);
        actor.email = kept.and_then(|kept| kept.as_str().map(str::to_owned));
    }
    let names = [
        &mut actor.username,
        &mut actor.on_behalf_of,
        &mut actor.client,
    ];
    for name in names.into_iter().flatten() {
        *name = scrubber.text(name).into_owned();
    }
}

fn parameters(request: &mut RequestInfo) -> [&mut std::collections::BTreeMap<String, String>; 2] {
    [&mut request.path_parameters, &mut request.query_parameters]
}

/// Leaves of a judgement and an operation nothing but the envelope.
pub(super) fn all(judgement: &mut Judgement, operation: Option<&mut Operation>) {
    texts(judgement, &mut String::clear);
    for patch in &mut judgement.patches {
        patch.value = Document::Null;
    }
    let Some(operation) = operation else { return };
    operation.actor.email = None;
    operation.actor.username = None;
    operation.actor.on_behalf_of = None;
    operation.purpose = None;
    operation.arguments = None;
    operation.relation = None;
    for parameters in operation.request.iter_mut().flat_map(parameters) {
        parameters.clear();
    }
}

/// Leaves of a judgement what is left of it after rules masked its JSON: a text that is no longer
/// where it was is gone.
pub(super) fn as_masked(judgement: &mut Judgement, result: &Document) {
    let lengths = |name: &str| match pointer::get(result, &[name.to_owned()]) {
        Some(Document::Array(items)) => items.len(),
        _ => 0,
    };
    let at = |list: &str, index: usize, field: &str| {
        let parts = [list.to_owned(), index.to_string(), field.to_owned()];
        pointer::get(result, &parts)
            .and_then(Document::as_str)
            .map(str::to_owned)
            .unwrap_or_default()
    };
    macro_rules! list {
        ($list:ident, $($field:ident),+) => {{
            let name = stringify!($list);
            // Items taken away moved the others: none can be told from another any more.
            let same = lengths(name) == judgement.$list.len();
            for (index, item) in judgement.$list.iter_mut().enumerate() {
                $(item.$field = if same { at(name, index, stringify!($field)) } else { String::new() };)+
            }
        }};
    }
    list!(reasons, message);
    list!(approvals, reason);
    list!(warnings, message);
    list!(errors, message);
    list!(dryrun, message);
    let same = lengths("patches") == judgement.patches.len();
    for (index, patch) in judgement.patches.iter_mut().enumerate() {
        let parts = ["patches".to_owned(), index.to_string(), "value".to_owned()];
        let value = pointer::get(result, &parts).filter(|_| same);
        patch.value = value.cloned().unwrap_or_default();
    }
    for (list, index, reason) in judgement
        .reasons
        .iter_mut()
        .enumerate()
        .map(|(index, reason)| ("reasons", index, reason))
        .chain(
            judgement
                .dryrun
                .iter_mut()
                .enumerate()
                .map(|(index, reason)| ("dryrun", index, reason)),
        )
    {
        if reason.remediation.is_some() {
            let kept = at(list, index, "remediation");
            reason.remediation = Some(kept).filter(|kept| !kept.is_empty());
        }
    }
}

fn texts(judgement: &mut Judgement, change: &mut dyn FnMut(&mut String)) {
    for reason in judgement.reasons.iter_mut().chain(&mut judgement.dryrun) {
        change(&mut reason.message);
        reason.remediation.iter_mut().for_each(&mut *change);
    }
    for warning in &mut judgement.warnings {
        change(&mut warning.message);
    }
    for approval in &mut judgement.approvals {
        change(&mut approval.reason);
        approval.users.iter_mut().for_each(&mut *change);
        approval.groups.iter_mut().for_each(&mut *change);
    }
    for error in &mut judgement.errors {
        change(&mut error.message);
    }
}

/// Codes are of the envelope; one that a rule made of a value is not.
fn codes(judgement: &mut Judgement, change: &mut dyn FnMut(&mut String)) {
    for reason in judgement.reasons.iter_mut().chain(&mut judgement.dryrun) {
        change(&mut reason.code);
    }
    for warning in &mut judgement.warnings {
        change(&mut warning.code);
    }
    for approval in &mut judgement.approvals {
        change(&mut approval.code);
    }
}

/// Hides in a judgement of something that nobody understands what looks like a value.
pub(super) fn addresses(judgement: &mut Judgement) {
    texts(judgement, &mut |text| {
        let telling = |word: &str| word.contains(['@', '=', '\'']) || word.contains("%40");
        if text.split_whitespace().any(telling) {
            let words = text.split(' ');
            let kept = words.map(|word| if telling(word) { REDACTED } else { word });
            *text = kept.collect::<Vec<_>>().join(" ");
        }
    });
}

/// The path of a request that nobody understands: what looks like a value in it is hidden.
pub(super) fn opaque(seen: &str) -> String {
    let (method, path) = seen.split_once(' ').unwrap_or(("", seen));
    let parts: Vec<String> = path.split('/').map(segment).collect();
    format!("{method} {}", parts.join("/"))
}

/// Words, versions and ids stay; addresses, quoted texts, keys and long random texts do not.
fn segment(part: &str) -> String {
    let before = part.find(['(', ';', '=']).unwrap_or(part.len());
    let (name, behind) = part.split_at(before);
    let odd = name
        .bytes()
        .any(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'$')));
    let name = if odd || name.len() > 64 {
        REDACTED
    } else {
        name
    };
    let behind = if behind.is_empty() { "" } else { "(…)" };
    format!("{name}{behind}")
}
