//! What packages said.

use std::collections::BTreeSet;

use crmgate_domain::{
    ApprovalRequest, Enforcement, ErrorClass, EvaluationError, Layer, Patch, Reason, Redaction,
    Severity, Warning,
};
use regorus::Value;

use super::ENGINE;
use crate::package::Package;
use crate::rules::{self, Reserved, Speaker};
use crate::value::{OutOfRange, type_name};

/// Reasons or warnings of one package that a decision holds.
const MOST_TOLD: usize = 100;
/// Members of every other rule.
const MOST_ASKED: usize = 1_000;
/// Members told that do not fit, and bytes of what is said of each.
const MOST_FAULTS: usize = 10;
const MOST_SAID: usize = 500;

/// What one package said in one evaluation.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Said {
    pub(crate) reasons: Vec<Reason>,
    pub(crate) approvals: Vec<ApprovalRequest>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) patches: Vec<Patch>,
    pub(crate) redactions: Vec<Redaction>,
    /// The scopes that may do this, when the package has `allow_scopes`.
    pub(crate) scopes: Option<BTreeSet<String>>,
    pub(crate) errors: Vec<EvaluationError>,
}

/// A package with what it said and how strongly that counts.
#[derive(Debug, Clone)]
pub(crate) struct Spoken<'a> {
    pub(crate) package: &'a Package,
    pub(crate) enforcement: Enforcement,
    pub(crate) said: Said,
}

/// Everything that was said, and what the engine adds.
#[derive(Debug, Default)]
pub(crate) struct Verdict<'a> {
    pub(crate) spoken: Vec<(Layer, Spoken<'a>)>,
    /// The engine's own refusals.
    pub(crate) reasons: Vec<Reason>,
    pub(crate) errors: Vec<EvaluationError>,
    /// Packages that asked for patches.
    pub(crate) patched: BTreeSet<String>,
}

impl<'a> Verdict<'a> {
    pub(crate) fn add(&mut self, other: Verdict<'a>) {
        self.spoken.extend(other.spoken);
        self.reasons.extend(other.reasons);
        self.errors.extend(other.errors);
        self.patched.extend(other.patched);
    }
}

/// A refusal of the engine's own.
pub(crate) fn refusal(code: &str, message: String) -> Reason {
    Reason {
        package: ENGINE.to_owned(),
        code: code.to_owned(),
        message,
        fields: Vec::new(),
        severity: Severity::default(),
        remediation: None,
    }
}

impl Said {
    pub(crate) fn error(error: EvaluationError) -> Self {
        Self {
            errors: vec![error],
            ..Self::default()
        }
    }

    /// No retry helps against a number that no policy can read: a refusal.
    pub(crate) fn out_of_range(error: &OutOfRange) -> Self {
        Self {
            reasons: vec![refusal("number_out_of_range", error.to_string())],
            ..Self::default()
        }
    }

    /// Reads the value of a package's generated rule. Whatever does not fit is an error.
    pub(crate) fn read(package: &Package, value: &Value) -> Self {
        let mut said = Self::default();
        for rule in package.judging() {
            let members = value.as_object().ok();
            let found = members.and_then(|members| members.get(&rule.name().into()));
            said.take(package, rule, found.unwrap_or(&Value::Undefined));
        }
        said
    }

    /// Reads the value of a package's only rule.
    pub(crate) fn of_one(package: &Package, rule: Reserved, value: Value) -> Self {
        let mut said = Self::default();
        let value = match (rule, value) {
            (Reserved::Allow, Value::Undefined) => Value::new_array(),
            (Reserved::Allow, value) => Value::from(vec![value]),
            (_, value) => value,
        };
        said.take(package, rule, &value);
        said
    }

    fn take(&mut self, package: &Package, rule: Reserved, value: &Value) {
        if let Err(message) = self.rule(package, rule, value) {
            self.wrong(package, rule, &message);
        }
    }

    fn wrong(&mut self, package: &Package, rule: Reserved, message: &str) {
        let files = package.files.join(", ");
        self.errors.push(EvaluationError {
            package: package.name.clone(),
            class: ErrorClass::Policy,
            message: format!("`{}` in {files}: {message}", rule.name()),
        });
    }

    fn rule(&mut self, package: &Package, rule: Reserved, found: &Value) -> Result<(), String> {
        if rule == Reserved::Allow {
            return self.allow(package, found);
        }
        let Value::Set(members) = found else {
            return Err(format!("it is {}, expected a set", type_name(found)));
        };
        if rule == Reserved::AllowScopes {
            self.scopes = Some(BTreeSet::new());
        }
        let told = matches!(rule, Reserved::Deny | Reserved::Warn);
        if !told && members.len() > MOST_ASKED {
            let count = members.len();
            return Err(format!(
                "it has {count} members, at most {MOST_ASKED} are read"
            ));
        }
        let mut faults = Vec::new();
        let read = if told { MOST_TOLD } else { MOST_ASKED };
        for member in members.iter_sorted().take(read) {
            if let Err(wrong) = self.member(package, rule, member) {
                faults.push(rules::cut(&wrong.0, MOST_SAID));
            }
        }
        let any = !self.reasons.is_empty() || !self.warnings.is_empty();
        if told && any && members.len() > read {
            self.and_more(package, rule, members.len() - read);
        }
        faults.truncate(MOST_FAULTS);
        if rule == Reserved::RequireApproval && self.same_codes() {
            faults.push("two members have one `code`: give each its own".to_owned());
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(faults.join("; "))
        }
    }

    /// A decision is read by people: it says how much more there was.
    fn and_more(&mut self, package: &Package, rule: Reserved, count: usize) {
        let code = "and_more".to_owned();
        let message = format!("and {count} more of `{}`", rule.name());
        if rule == Reserved::Warn {
            return self.warnings.push(Warning {
                package: package.name.clone(),
                code,
                message,
                fields: Vec::new(),
            });
        }
        self.reasons.push(Reason {
            package: package.name.clone(),
            code,
            message,
            fields: Vec::new(),
            severity: package.metadata.severity,
            remediation: package.metadata.remediation.clone(),
        });
    }

    fn member(
        &mut self,
        package: &Package,
        rule: Reserved,
        value: &Value,
    ) -> Result<(), rules::Wrong> {
        let name = package.name.as_str();
        let by = Speaker {
            package: name,
            severity: package.metadata.severity,
            remediation: package.metadata.remediation.as_deref(),
        };
        match rule {
            Reserved::Deny => self.reasons.push(rules::reason(value, by)?),
            Reserved::Warn => self.warnings.push(rules::warning(value, by)?),
            Reserved::Patch => self.patches.push(rules::patch(value, name)?),
            Reserved::Redact => self.redactions.push(rules::redaction(value, name)?),
            Reserved::RequireApproval => self.approvals.push(rules::approval(value, name)?),
            Reserved::AllowScopes => {
                let scope = rules::word(value)?;
                self.scopes.get_or_insert_default().insert(scope);
            }
            Reserved::Release | Reserved::Allow | Reserved::Include => {}
        }
        Ok(())
    }

    /// An approval is bound to its code, so a code asks for one agreement only.
    fn same_codes(&self) -> bool {
        let codes: BTreeSet<&str> = self.approvals.iter().map(|a| a.code.as_str()).collect();
        codes.len() < self.approvals.len()
    }

    /// `allow`, taken as a list: empty when it is undefined.
    fn allow(&mut self, package: &Package, found: &Value) -> Result<(), String> {
        let values = found.as_array().map_err(|error| error.to_string())?;
        match values.first() {
            Some(Value::Bool(true)) => Ok(()),
            None | Some(Value::Bool(false)) => {
                let metadata = &package.metadata;
                self.reasons.push(Reason {
                    package: package.name.clone(),
                    code: "not_allowed".to_owned(),
                    message: format!("not allowed by: {}", metadata.title),
                    fields: Vec::new(),
                    severity: metadata.severity,
                    remediation: metadata.remediation.clone(),
                });
                Ok(())
            }
            Some(other) => Err(format!(
                "it is {}, expected true or false",
                type_name(other)
            )),
        }
    }
}
