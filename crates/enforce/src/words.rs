//! What people read.

use std::time::Duration;

use crmgate_connector::{NativeChange, Refusal};
use crmgate_domain::{
    DecisionId, Effect, ErrorClass, EvaluationError, Judgement, Reason, RevisionId,
};
use crmgate_store::{Hold, HoldStatus};

/// The package name of the gate's own reasons.
pub(crate) const OWN: &str = "crmgate";

/// A judgement that could not be made.
pub(crate) fn no_judgement(
    revision: RevisionId,
    class: ErrorClass,
    message: impl Into<String>,
) -> Judgement {
    Judgement {
        effect: Effect::Error,
        errors: vec![EvaluationError {
            package: OWN.to_owned(),
            class,
            message: message.into(),
        }],
        ..empty(revision)
    }
}

/// A reason of the gate's own.
pub(crate) fn own(code: &str, message: String) -> Reason {
    Reason {
        package: OWN.to_owned(),
        code: code.to_owned(),
        message,
        fields: Vec::new(),
        severity: crmgate_domain::Severity::default(),
        remediation: None,
    }
}

/// What enforcing would answer to a request that is not understood.
pub(crate) fn not_understood(revision: RevisionId, code: &str, message: &str) -> Judgement {
    Judgement {
        effect: Effect::Deny,
        reasons: vec![own(code, message.to_owned())],
        ..empty(revision)
    }
}

fn empty(revision: RevisionId) -> Judgement {
    Judgement {
        effect: Effect::Error,
        reasons: Vec::new(),
        approvals: Vec::new(),
        approved: Vec::new(),
        warnings: Vec::new(),
        patches: Vec::new(),
        redactions: Vec::new(),
        errors: Vec::new(),
        packages: Vec::new(),
        dryrun: Vec::new(),
        ungoverned: false,
        revision,
    }
}

/// Why it does not pass, in one stable word: the first reason's package and code.
pub(crate) fn why(judgement: &Judgement) -> Option<String> {
    let named = |package: &str, code: &str| {
        if code.is_empty() {
            package.to_owned()
        } else {
            format!("{package}/{code}")
        }
    };
    match judgement.effect {
        Effect::Allow => None,
        Effect::Deny => judgement
            .reasons
            .first()
            .map(|r| named(&r.package, &r.code)),
        Effect::RequireApproval => judgement.approvals.first().map(|a| a.package.clone()),
        Effect::Error => judgement.errors.first().map(|e| named(&e.package, "error")),
    }
}

/// The refusal of a policy's "no".
pub(crate) fn denied(
    decision: DecisionId,
    judgement: &Judgement,
    change: &dyn NativeChange,
) -> Refusal {
    let about_actor = |reason: &Reason| reason.package == OWN && reason.code.starts_with("scope");
    let mut fields: Vec<String> = judgement
        .reasons
        .iter()
        .flat_map(|reason| &reason.fields)
        .flat_map(|field| change.native_fields(field))
        .collect();
    fields.sort();
    fields.dedup();
    Refusal::Denied {
        decision,
        message: sentences(judgement.reasons.iter().map(told)),
        fields,
        about_actor: !judgement.reasons.is_empty() && judgement.reasons.iter().all(about_actor),
    }
}

pub(crate) fn told(reason: &Reason) -> String {
    match &reason.remediation {
        Some(remedy) => format!("{} ({remedy})", reason.message),
        None => reason.message.clone(),
    }
}

/// The refusal of a held operation.
pub(crate) fn held(decision: DecisionId, hold: &Hold) -> Refusal {
    let reasons = sentences(
        hold.approvals
            .iter()
            .map(|approval| approval.reason.clone()),
    );
    let stale = match hold.replaces {
        Some(old) => format!(
            "; what people were asked about before, as {old}, has changed, so they are asked again"
        ),
        None => String::new(),
    };
    let (id, until) = (hold.id, hold.expires_at);
    let next = match (hold.queued, hold.status) {
        (None, _) => format!(
            "held for approval as {id} until {until}: nothing was written, send the same request \
             again once it is approved"
        ),
        (Some(operation), HoldStatus::Approved) => format!(
            "approved as {id}: the gate is writing it{}; see what becomes of it as operation \
             {operation}",
            in_name_of(hold)
        ),
        (Some(operation), _) => format!(
            "held for approval as {id} until {until}: nothing was written, and there is no need to \
             send it again: once it is approved the gate writes it{} as operation {operation}",
            in_name_of(hold)
        ),
    };
    Refusal::Held {
        decision,
        hold: id,
        operation: hold.queued,
        message: format!("{reasons}; {next}{stale}"),
    }
}

fn in_name_of(hold: &Hold) -> String {
    let named = hold.written_as.as_ref();
    named.map_or_else(String::new, |name| format!(" under the name of {name}"))
}

/// The refusal of what could not be judged.
pub(crate) fn unable(
    decision: Option<DecisionId>,
    message: impl Into<String>,
    retry_after: Duration,
) -> Refusal {
    Refusal::Inability {
        decision,
        message: message.into(),
        retry_after,
    }
}

/// What callers are told of an evaluation that failed: which package, not what it said, which may
/// quote values.
pub(crate) fn evaluation_failed(errors: &[EvaluationError]) -> String {
    let mut packages: Vec<&str> = errors.iter().map(|e| e.package.as_str()).collect();
    packages.sort_unstable();
    packages.dedup();
    if packages.iter().all(|package| *package == OWN) {
        return sentences(errors.iter().map(|e| e.message.clone()));
    }
    format!(
        "no judgement could be made: {} could not be evaluated",
        packages.join(", ")
    )
}

pub(crate) fn sentences(parts: impl Iterator<Item = String>) -> String {
    let mut said: Vec<String> = Vec::new();
    for part in parts {
        if !part.is_empty() && !said.contains(&part) {
            said.push(part);
        }
    }
    said.join("; ")
}
