//! What a reserved rule says, as far as its text tells.

use crmgate_domain::{Document, Object, Severity};

use super::{Expr, literal_text};
use crate::rules::{self, Reserved, Speaker};
use crate::value;

/// What is wrong with what a reserved rule always says, in the words of a judgement. Members that
/// only a judgement gives a value count as fitting.
#[must_use]
pub fn misshapen(rule: &str, said: &Expr) -> Option<String> {
    let rule = Reserved::named(rule)?;
    if rule == Reserved::Patch && !has_literal_op(said) {
        return None;
    }
    let said = value::from_document(&sample("", said)?).ok()?;
    let by = Speaker {
        package: "",
        severity: Severity::Low,
        remediation: None,
    };
    let read = match rule {
        Reserved::Deny => rules::reason(&said, by).map(drop),
        Reserved::Warn => rules::warning(&said, by).map(drop),
        Reserved::Patch => rules::patch(&said, "").map(drop),
        Reserved::Redact => rules::redaction(&said, "").map(drop),
        Reserved::RequireApproval => rules::approval(&said, "").map(drop),
        Reserved::AllowScopes | Reserved::Release => rules::word(&said).map(drop),
        Reserved::Allow | Reserved::Include => return None,
    };
    read.err().map(|wrong| wrong.0)
}

/// Which members a patch has depends on it.
fn has_literal_op(said: &Expr) -> bool {
    let Expr::Object { fields, .. } = said else {
        return false;
    };
    let mut fields = fields.iter();
    fields.any(|(_, key, value)| literal_text(key) == Some("op") && literal_text(value).is_some())
}

/// The value of an expression, with what fits in the place of members that are no literals. `None`
/// where nothing can be said of the whole.
fn sample(name: &str, expr: &Expr) -> Option<Document> {
    match expr {
        Expr::String { value, .. }
        | Expr::RawString { value, .. }
        | Expr::Number { value, .. }
        | Expr::Bool { value, .. }
        | Expr::Null { value, .. } => value::to_document(value).ok(),
        Expr::Array { items, .. } | Expr::Set { items, .. } => {
            let items: Option<Vec<Document>> =
                items.iter().map(|item| sample("item", item)).collect();
            items.map(Document::Array)
        }
        Expr::Object { fields, .. } => {
            let mut object = Object::new();
            for (_, key, value) in fields {
                let key = literal_text(key)?;
                object.set(key, sample(key, value)?);
            }
            Some(Document::Object(object))
        }
        _ => fitting(name),
    }
}

fn fitting(member: &str) -> Option<Document> {
    Some(match member {
        // The whole.
        "" => return None,
        "fields" | "users" | "groups" => Document::Array(Vec::new()),
        "approvers" => Document::Object(Object::new()),
        "quorum" | "expires_in" => Document::from(1_i64),
        "reject_needs_reason" => Document::from(true),
        "mode" => Document::from("drop"),
        _ => Document::from("x"),
    })
}
