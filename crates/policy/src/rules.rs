//! The reserved rules, and what their values must look like.

use crmgate_domain::{
    ApprovalRequest, FieldRef, Patch, PatchOp, Reason, Redaction, RedactionMode, Severity, Warning,
};
use regorus::Value;

mod shape;
pub(crate) use shape::{Members, Wrong};

/// A rule name with a meaning to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the contract's own names")]
pub enum Reserved {
    Deny,
    RequireApproval,
    Warn,
    Patch,
    Redact,
    AllowScopes,
    Release,
    Allow,
    Include,
}

/// The kind of rule that a reserved name must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `name contains …`
    Set,
    /// `name if …`, true or false.
    Truth,
}

impl Reserved {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Deny,
        Self::RequireApproval,
        Self::Warn,
        Self::Patch,
        Self::Redact,
        Self::AllowScopes,
        Self::Release,
        Self::Allow,
        Self::Include,
    ];

    /// The rule's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::RequireApproval => "require_approval",
            Self::Warn => "warn",
            Self::Patch => "patch",
            Self::Redact => "redact",
            Self::AllowScopes => "allow_scopes",
            Self::Release => "release",
            Self::Allow => "allow",
            Self::Include => "include",
        }
    }

    /// The reserved rule of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.name() == name)
    }

    pub(crate) const fn shape(self) -> Shape {
        match self {
            Self::Allow | Self::Include => Shape::Truth,
            _ => Shape::Set,
        }
    }

    /// Whether a judgement evaluates it. `include` and `release` have callers of their own.
    pub(crate) const fn judges(self) -> bool {
        !matches!(self, Self::Include | Self::Release)
    }
}

/// How a package signs what it says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Speaker<'a> {
    pub(crate) package: &'a str,
    pub(crate) severity: Severity,
    pub(crate) remediation: Option<&'a str>,
}

/// Reads one member of `deny`.
pub(crate) fn reason(value: &Value, by: Speaker<'_>) -> Result<Reason, Wrong> {
    let (code, message, fields) = told(value)?;
    Ok(Reason {
        package: by.package.to_owned(),
        code,
        message,
        fields,
        severity: by.severity,
        remediation: by.remediation.map(str::to_owned),
    })
}

/// Reads one member of `warn`.
pub(crate) fn warning(value: &Value, by: Speaker<'_>) -> Result<Warning, Wrong> {
    let (code, message, fields) = told(value)?;
    Ok(Warning {
        package: by.package.to_owned(),
        code,
        message,
        fields,
    })
}

fn told(value: &Value) -> Result<(String, String, Vec<FieldRef>), Wrong> {
    if let Value::String(text) = value {
        return Ok((String::new(), cut(text.as_ref(), MAX_MESSAGE), Vec::new()));
    }
    let members = Members::of(
        value,
        "a string, or an object with `code`, `message`, `fields`",
    )?;
    members.known(&["code", "message", "fields"])?;
    let fields = members.texts("fields")?.unwrap_or_default();
    let fields = fields.into_iter().filter(|field| is_name(field));
    Ok((
        code(&members)?.unwrap_or_default(),
        cut(&members.required_text("message")?, MAX_MESSAGE),
        fields
            .take(MAX_FIELDS)
            .map(|field| FieldRef(cut(&field, MAX_NAME)))
            .collect(),
    ))
}

/// INVARIANT: codes and names of fields stay in the record for good and become labels of numbers.
/// Values of records have no place in them, and most do not look like names.
fn is_name(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-:/".contains(&byte);
    !text.is_empty() && text.bytes().all(letter)
}

fn code(members: &Members<'_>) -> Result<Option<String>, Wrong> {
    let code = members.text("code")?;
    if code
        .as_deref()
        .is_none_or(|code| code.is_empty() || is_name(code))
    {
        return Ok(code.map(|code| cut(&code, MAX_NAME)));
    }
    Err(Wrong::new(
        "`code` is no name: write letters, digits and `_.-:/`; what is told of values belongs into \
         the message"
            .into(),
    ))
}

/// Bytes of a message to people.
const MAX_MESSAGE: usize = 2_000;
/// Bytes of a code or of a field's name.
const MAX_NAME: usize = 200;
/// Fields that one message is about.
const MAX_FIELDS: usize = 100;

/// The beginning of a text that is too long for a decision: what it says stands, however long it
/// is said.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let start = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = start.take_while(|end| *end <= most).last().unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// Reads one member of `patch`.
pub(crate) fn patch(value: &Value, package: &str) -> Result<Patch, Wrong> {
    let members = Members::of(value, "an object with `op`, `field`, `value`")?;
    members.known(&["op", "field", "value"])?;
    let op = match members.required_text("op")?.as_str() {
        "set" => PatchOp::Set,
        "default" => PatchOp::Default,
        "clear" => PatchOp::Clear,
        other => {
            return Err(Wrong::new(format!(
                "`op` is `{other}`, expected set, default or clear"
            )));
        }
    };
    let value = match (op, members.get("value")) {
        (PatchOp::Clear, None) => crmgate_domain::Document::Null,
        (PatchOp::Clear, Some(_)) => {
            return Err(Wrong::new("`clear` takes no `value`".into()));
        }
        (_, None) => return Err(Wrong::new("`value` is missing".into())),
        (_, Some(value)) => {
            if !crate::bounds::is_small(value) {
                return Err(Wrong::new(
                    "`value` is larger than any field of a record".into(),
                ));
            }
            crate::value::to_document(value).map_err(Wrong::new)?
        }
    };
    Ok(Patch {
        op,
        field: field(&members)?,
        value,
        package: package.to_owned(),
    })
}

/// Reads one member of `redact`.
pub(crate) fn redaction(value: &Value, package: &str) -> Result<Redaction, Wrong> {
    let members = Members::of(value, "an object with `field`, `mode`")?;
    members.known(&["field", "mode"])?;
    let mode = match members.required_text("mode")?.as_str() {
        "drop" => RedactionMode::Drop,
        "hash" => RedactionMode::Hash,
        "partial" => RedactionMode::Partial,
        other => {
            return Err(Wrong::new(format!(
                "`mode` is `{other}`, expected drop, hash or partial"
            )));
        }
    };
    Ok(Redaction {
        field: field(&members)?,
        mode,
        package: package.to_owned(),
    })
}

fn field(members: &Members<'_>) -> Result<FieldRef, Wrong> {
    let name = members.required_text("field")?;
    if name.is_empty() || name == "native." {
        return Err(Wrong::new("`field` is empty".into()));
    }
    if !is_name(&name) {
        return Err(Wrong::new("`field` is no name of a field".into()));
    }
    Ok(FieldRef(name))
}

/// Three days, the time a hold lasts unless a rule says otherwise.
const EXPIRES_IN: u64 = 72 * 60 * 60;

/// The code of an agreement that a package gave none.
const APPROVAL: &str = "approval";

/// Reads one member of `require_approval`.
pub(crate) fn approval(value: &Value, package: &str) -> Result<ApprovalRequest, Wrong> {
    let members = Members::of(value, "an object with `code`, `reason`, `approvers`")?;
    members.known(&[
        "code",
        "reason",
        "approvers",
        "quorum",
        "expires_in",
        "reject_needs_reason",
    ])?;
    let (users, groups) = match members.get("approvers") {
        None => (Vec::new(), Vec::new()),
        Some(approvers) => {
            let approvers = Members::of(approvers, "an object with `users`, `groups`")?;
            approvers.known(&["users", "groups"])?;
            (
                approvers.texts("users")?.unwrap_or_default(),
                approvers.texts("groups")?.unwrap_or_default(),
            )
        }
    };
    let expires_in_seconds = match members.get("expires_in") {
        None => EXPIRES_IN,
        Some(value) => shape::seconds(value)
            .filter(|seconds| *seconds > 0)
            .ok_or_else(|| {
                Wrong::new(
                    "`expires_in` is not a time: write seconds, or `30m`, `72h`, `3d`".into(),
                )
            })?,
    };
    Ok(ApprovalRequest {
        package: package.to_owned(),
        code: code(&members)?.unwrap_or_else(|| APPROVAL.into()),
        reason: cut(&members.required_text("reason")?, MAX_MESSAGE),
        users,
        groups,
        quorum: members.count("quorum")?.unwrap_or(1),
        expires_in_seconds,
        reject_needs_reason: members.flag("reject_needs_reason")?.unwrap_or(false),
    })
}

/// Reads one member of `allow_scopes` or `release`.
pub(crate) fn word(value: &Value) -> Result<String, Wrong> {
    match value {
        Value::String(text) if !text.is_empty() => Ok(text.as_ref().to_owned()),
        other => Err(Wrong::new(format!(
            "a member is {}, expected a string",
            crate::value::type_name(other)
        ))),
    }
}
