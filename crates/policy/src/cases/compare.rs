//! What came out beside what must.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};

use crmgate_domain::{ApprovalRequest, Document, Judgement, RedactionMode};

use super::Expect;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What is compared: `codes`, `patches`, …
    pub what: &'static str,
    /// What must come out.
    pub expected: String,
    /// What came out.
    pub found: String,
}

impl Difference {
    pub(super) fn new(what: &'static str, expected: &str, found: &str) -> Self {
        Self {
            what,
            expected: expected.to_owned(),
            found: found.to_owned(),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            expected,
            found,
        } = self;
        write!(f, "{what}: expected {expected}, found {found}")
    }
}

/// Every difference.
pub(super) fn all(expect: &Expect, found: &Judgement) -> Vec<Difference> {
    let mut sheet = Sheet::default();
    let effects = (expect.effect.as_str(), found.effect.as_str());
    sheet.check("effect", effects.0 == effects.1, effects.0, effects.1);
    let codes = found.reasons.iter().map(|reason| reason.code.clone());
    sheet.texts("codes", &expect.codes, codes.collect());
    let warnings = found.warnings.iter().map(|warning| warning.code.clone());
    sheet.texts("warnings", &expect.warnings, warnings.collect());
    if let Some(expected) = &expect.dryrun {
        let codes = found.dryrun.iter().map(|reason| reason.code.clone());
        sheet.texts("dryrun", expected, codes.collect());
    }
    if let Some(expected) = &expect.packages {
        let names = found.packages.iter().map(|verdict| verdict.package.clone());
        sheet.texts("packages", expected, names.collect());
    }
    sheet.maps(expect, found);
    sheet.messages(expect, found);
    sheet.all
}

#[derive(Default)]
struct Sheet {
    all: Vec<Difference>,
}

impl Sheet {
    fn check(&mut self, what: &'static str, same: bool, expected: &str, found: &str) {
        if !same {
            self.all.push(Difference::new(what, expected, found));
        }
    }

    fn texts(&mut self, what: &'static str, expected: &[String], found: Vec<String>) {
        let (expected, found) = (sorted(expected.to_vec()), sorted(found));
        self.check(what, expected == found, &show(&expected), &show(&found));
    }

    fn maps(&mut self, expect: &Expect, found: &Judgement) {
        let patches: BTreeMap<String, Document> = found
            .patches
            .iter()
            .map(|patch| (patch.field.0.clone(), patch.value.clone()))
            .collect();
        let same = expect.patches == patches;
        self.check("patches", same, &values(&expect.patches), &values(&patches));
        let groups = |approval: &ApprovalRequest| {
            let asked = approval.groups.iter().chain(&approval.users).cloned();
            (approval.code.clone(), sorted(asked.collect()))
        };
        let approvals: BTreeMap<String, Vec<String>> = found.approvals.iter().map(groups).collect();
        let same = expect.approvals == approvals;
        self.check(
            "approvals",
            same,
            &show(&expect.approvals),
            &show(&approvals),
        );
        let redactions: BTreeMap<String, RedactionMode> = found
            .redactions
            .iter()
            .map(|redaction| (redaction.field.0.clone(), redaction.mode))
            .collect();
        let same = expect.redactions == redactions;
        self.check(
            "redactions",
            same,
            &show(&expect.redactions),
            &show(&redactions),
        );
    }

    fn messages(&mut self, expect: &Expect, found: &Judgement) {
        let errors: Vec<&String> = found.errors.iter().map(|error| &error.message).collect();
        let told = |part: &String| errors.iter().any(|error| error.contains(part));
        let same = expect.errors.len() == errors.len() && expect.errors.iter().all(told);
        self.check("errors", same, &show(&expect.errors), &show(&errors));
        let reasons = found.reasons.iter().map(|reason| reason.message.as_str());
        let warnings = found
            .warnings
            .iter()
            .map(|warning| warning.message.as_str());
        let approvals = found
            .approvals
            .iter()
            .map(|approval| approval.reason.as_str());
        let messages: Vec<&str> = reasons.chain(warnings).chain(approvals).collect();
        for part in &expect.messages {
            let hit = messages
                .iter()
                .any(|message| message.contains(part.as_str()));
            self.check(
                "messages",
                hit,
                &format!("one with `{part}`"),
                &show(&messages),
            );
        }
    }
}

/// What was said, so that a difference explains itself.
pub(super) fn said(found: &Judgement) -> Vec<String> {
    let reasons = found.reasons.iter();
    let reasons = reasons.map(|it| format!("{} {}: {}", it.package, it.code, it.message));
    let approvals = found.approvals.iter();
    let approvals = approvals.map(|it| format!("{} {}: {}", it.package, it.code, it.reason));
    let warnings = found.warnings.iter();
    let warnings = warnings.map(|it| format!("{} warns {}: {}", it.package, it.code, it.message));
    let errors = found.errors.iter();
    let errors = errors.map(|it| format!("{} error: {}", it.package, it.message));
    let engine = (reasons.chain(approvals)).chain(warnings.chain(errors));
    engine.collect()
}

fn values(values: &BTreeMap<String, Document>) -> String {
    let shown: Vec<String> = values
        .iter()
        .map(|(field, value)| format!("{field}: {}", value.to_json()))
        .collect();
    format!("{{{}}}", shown.join(", "))
}

fn show(value: &impl Debug) -> String {
    format!("{value:?}")
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts
}
