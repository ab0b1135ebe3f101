//! From what was said to one judgement: deny over error over require_approval over allow.

use std::collections::BTreeMap;

use crmgate_domain::approval::Granted;
use crmgate_domain::{
    ApprovalRequest, Effect, Enforcement, ErrorClass, EvaluationError, FieldRef, Judgement, Layer,
    Operation, PackageVerdict, Patch, PatchOp, Point, Reason, Redaction, RevisionId, Warning,
};

use super::Case;
use super::evaluate::Round;
use super::said::{Spoken, Verdict, refusal};
use super::scopes;
use crate::value::OutOfRange;

/// The code of an evaluation error where it is told as a warning or by a dry run.
const FAILED: &str = "evaluation_error";

impl Case<'_> {
    /// What a layer's packages said, with what the engine adds for the layer.
    pub(super) fn verdict<'a>(&self, round: &Round<'a>, spoken: Vec<Spoken<'a>>) -> Verdict<'a> {
        let reasons = if self.asks_scopes() {
            scopes::refusals(&spoken, self.scopes())
        } else {
            Vec::new()
        };
        Verdict {
            reasons,
            spoken: spoken.into_iter().map(|one| (round.layer, one)).collect(),
            ..Verdict::default()
        }
    }

    fn scopes(&self) -> Option<&[String]> {
        self.operation.actor.scopes.as_deref()
    }

    /// The agreement, when it is there.
    fn granted(&self, approval: &ApprovalRequest) -> Option<Granted> {
        self.options.approvers.as_ref()?.granted(approval)
    }

    /// A scan has no caller to ask, and nobody to wait for.
    fn asks_scopes(&self) -> bool {
        self.operation.point != Point::Scan
    }

    /// What a package alone would have decided.
    fn effect(&self, spoken: &Spoken<'_>) -> Effect {
        let said = &spoken.said;
        let refused = !said.reasons.is_empty()
            || (self.asks_scopes() && scopes::alone(spoken, self.scopes()).is_some());
        if refused {
            Effect::Deny
        } else if !said.errors.is_empty() {
            Effect::Error
        } else if self.asks_scopes() && said.approvals.iter().any(|it| self.granted(it).is_none()) {
            Effect::RequireApproval
        } else {
            Effect::Allow
        }
    }
}

/// The judgement of an operation that no package governs.
pub(super) fn ungoverned(operation: &Operation, refuse: bool, revision: &RevisionId) -> Judgement {
    let mut judgement = empty(revision);
    judgement.ungoverned = true;
    if refuse {
        judgement.effect = Effect::Deny;
        judgement.reasons.push(refusal(
            "ungoverned",
            format!(
                "no policy governs {} of `{}`, and the connection lets nothing pass that no policy governs",
                operation.kind.as_str(),
                operation.object
            ),
        ));
    }
    judgement
}

/// The judgement of an operation that can't be shown to a policy.
pub(super) fn unreadable(error: &OutOfRange, revision: &RevisionId) -> Judgement {
    let mut judgement = empty(revision);
    judgement.effect = Effect::Deny;
    judgement
        .reasons
        .push(refusal("number_out_of_range", error.to_string()));
    judgement
}

/// The judgement where nothing can be judged.
pub(super) fn shut(revision: &RevisionId) -> Judgement {
    let mut judgement = empty(revision);
    judgement.effect = Effect::Error;
    judgement.errors.push(EvaluationError {
        package: super::ENGINE.to_owned(),
        class: ErrorClass::Policy,
        message: "the connection's own policies are broken, and there are no earlier ones: \
                  nothing is judged until they are mended"
            .to_owned(),
    });
    judgement
}

fn empty(revision: &RevisionId) -> Judgement {
    Judgement {
        effect: Effect::Allow,
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
        revision: revision.clone(),
    }
}

/// The judgement of everything that was said.
pub(super) fn all(
    verdict: Verdict<'_>,
    patches: Vec<Patch>,
    case: &Case<'_>,
    revision: &RevisionId,
) -> Judgement {
    let mut judgement = empty(revision);
    judgement.patches = patches;
    judgement.reasons = verdict.reasons;
    judgement.errors = verdict.errors;
    let mut packages: BTreeMap<(bool, String), PackageVerdict> = BTreeMap::new();
    for (layer, spoken) in &verdict.spoken {
        let effect = case.effect(spoken);
        let name = &spoken.package.name;
        let entry = packages
            .entry((*layer == Layer::Connection, name.clone()))
            .or_insert_with(|| PackageVerdict {
                package: name.clone(),
                owner: spoken.package.metadata.owner.clone(),
                layer: *layer,
                enforcement: spoken.enforcement,
                effect,
                patched: verdict.patched.contains(name),
            });
        entry.effect = entry.effect.max(effect);
        match spoken.enforcement {
            Enforcement::Enforce => enforced(spoken, case, &mut judgement),
            Enforcement::Warn => warned(spoken, &mut judgement),
            Enforcement::Dryrun => dry(spoken, case, &mut judgement),
            Enforcement::Off => {}
        }
    }
    judgement.packages = packages.into_values().collect();
    tidy(&mut judgement);
    judgement.effect = effect(&judgement);
    judgement
}

fn effect(judgement: &Judgement) -> Effect {
    if !judgement.reasons.is_empty() {
        Effect::Deny
    } else if !judgement.errors.is_empty() {
        Effect::Error
    } else if !judgement.approvals.is_empty() {
        Effect::RequireApproval
    } else {
        Effect::Allow
    }
}

fn enforced(spoken: &Spoken<'_>, case: &Case<'_>, judgement: &mut Judgement) {
    let said = &spoken.said;
    judgement.reasons.extend(said.reasons.iter().cloned());
    judgement.errors.extend(said.errors.iter().cloned());
    judgement.warnings.extend(said.warnings.iter().cloned());
    judgement.redactions.extend(said.redactions.iter().cloned());
    if case.operation.point == Point::Scan {
        return;
    }
    for approval in &said.approvals {
        if let Some(granted) = case.granted(approval) {
            judgement.approved.push(granted);
            continue;
        }
        match impossible(approval, case) {
            Some(reason) => judgement.reasons.push(reason),
            None => judgement.approvals.push(approval.clone()),
        }
    }
}

/// Why nobody can give an agreement.
fn impossible(approval: &ApprovalRequest, case: &Case<'_>) -> Option<Reason> {
    let (package, reason) = (&approval.package, &approval.reason);
    if approval.users.is_empty() && approval.groups.is_empty() {
        return Some(refusal(
            "no_approvers",
            format!("{reason}: {package} asks for an approval and names nobody who may give it"),
        ));
    }
    let approvers = case.options.approvers.as_ref();
    if approvers.is_some_and(|approvers| !approvers.can_agree(approval)) {
        let quorum = approval.quorum.max(1);
        return Some(refusal(
            "no_approvers",
            format!(
                "{reason}: {package} asks {quorum} of {} to agree, and not so many others than \
                 the one who asks can be found",
                named(approval)
            ),
        ));
    }
    if !case.options.can_hold {
        let point = case.operation.point.as_str();
        return Some(refusal(
            "approval_not_possible",
            format!(
                "{reason}: {package} asks for an approval, which can't be waited for at the {point}"
            ),
        ));
    }
    None
}

/// Who is asked, for messages.
fn named(approval: &ApprovalRequest) -> String {
    let users = approval.users.iter().map(|user| format!("`{user}`"));
    let groups = approval
        .groups
        .iter()
        .map(|group| format!("group `{group}`"));
    let all: Vec<String> = users.chain(groups).collect();
    all.join(", ")
}

/// A package in `warn`: refusals are told and nothing else.
fn warned(spoken: &Spoken<'_>, judgement: &mut Judgement) {
    let said = &spoken.said;
    let told = would_have(spoken);
    judgement
        .warnings
        .extend(told.into_iter().map(|reason| Warning {
            package: reason.package,
            code: reason.code,
            message: reason.message,
            fields: reason.fields,
        }));
    judgement.warnings.extend(said.warnings.iter().cloned());
    judgement.redactions.extend(said.redactions.iter().cloned());
}

/// A package in `dryrun`: everything is recorded and has no effect.
fn dry(spoken: &Spoken<'_>, case: &Case<'_>, judgement: &mut Judgement) {
    let said = &spoken.said;
    let mut told = would_have(spoken);
    if case.asks_scopes()
        && let Some(mut reason) = scopes::alone(spoken, case.scopes())
    {
        reason.package.clone_from(&spoken.package.name);
        told.push(reason);
    }
    let fields = |fields: &[FieldRef]| fields.to_vec();
    told.extend(said.warnings.iter().map(|warning| {
        reason(
            spoken,
            &warning.code,
            warning.message.clone(),
            fields(&warning.fields),
        )
    }));
    told.extend(said.patches.iter().map(|patch| {
        let field = &patch.field;
        let message = match patch.op {
            PatchOp::Set => format!("would set `{field}`"),
            PatchOp::Default => format!("would set `{field}` if it has no value"),
            PatchOp::Clear => format!("would clear `{field}`"),
        };
        reason(spoken, "patch", message, vec![field.clone()])
    }));
    told.extend(said.redactions.iter().map(|redaction| {
        let field = &redaction.field;
        reason(
            spoken,
            "redact",
            format!("would hide `{field}`"),
            vec![field.clone()],
        )
    }));
    judgement.dryrun.extend(told);
}

/// Refusals, agreements and errors of a package that does not enforce them.
fn would_have(spoken: &Spoken<'_>) -> Vec<Reason> {
    let said = &spoken.said;
    let mut told = said.reasons.clone();
    told.extend(said.approvals.iter().map(|approval| {
        let message = format!("would need an approval: {}", approval.reason);
        reason(spoken, &approval.code, message, Vec::new())
    }));
    told.extend(
        said.errors
            .iter()
            .map(|error| reason(spoken, FAILED, error.message.clone(), Vec::new())),
    );
    told
}

fn reason(spoken: &Spoken<'_>, code: &str, message: String, fields: Vec<FieldRef>) -> Reason {
    let metadata = &spoken.package.metadata;
    Reason {
        package: spoken.package.name.clone(),
        code: code.to_owned(),
        message,
        fields,
        severity: metadata.severity,
        remediation: metadata.remediation.clone(),
    }
}

/// Sorts and drops repetitions, so that equal operations give equal records.
fn tidy(judgement: &mut Judgement) {
    let by_reason = |a: &Reason, b: &Reason| {
        (&a.package, &a.code, &a.message, &a.fields)
            .cmp(&(&b.package, &b.code, &b.message, &b.fields))
    };
    judgement.reasons.sort_by(by_reason);
    judgement.reasons.dedup();
    judgement.dryrun.sort_by(by_reason);
    judgement.dryrun.dedup();
    judgement.warnings.sort_by(|a, b| {
        (&a.package, &a.code, &a.message, &a.fields)
            .cmp(&(&b.package, &b.code, &b.message, &b.fields))
    });
    judgement.warnings.dedup();
    judgement
        .approvals
        .sort_by(|a, b| (&a.package, &a.code).cmp(&(&b.package, &b.code)));
    judgement.approvals.dedup();
    judgement
        .approved
        .sort_by(|a, b| (&a.package, &a.code).cmp(&(&b.package, &b.code)));
    judgement.approved.dedup();
    let by_error = |a: &EvaluationError, b: &EvaluationError| {
        (&a.package, &a.message).cmp(&(&b.package, &b.message))
    };
    judgement.errors.sort_by(by_error);
    judgement.errors.dedup();
    judgement.redactions = strongest(std::mem::take(&mut judgement.redactions));
}

/// One redaction per field: the strongest.
fn strongest(mut redactions: Vec<Redaction>) -> Vec<Redaction> {
    redactions.sort_by(|a, b| {
        (&a.field, std::cmp::Reverse(a.mode), &a.package).cmp(&(
            &b.field,
            std::cmp::Reverse(b.mode),
            &b.package,
        ))
    });
    redactions.dedup_by(|later, first| later.field == first.field);
    redactions
}
