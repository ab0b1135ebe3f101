//! What the interface refuses, in its own words.

use http::StatusCode;
use serde_json::{Value, json};

use super::soql::QueryError;

/// A refusal: one status, and one or more reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) reasons: Vec<Reason>,
}

/// One element of an error body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// `None`: the key is left out, as for everything that isn't about a record.
    pub(crate) fields: Option<Vec<String>>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            reasons: vec![Reason {
                code,
                message: message.into(),
                fields: None,
            }],
        }
    }

    /// 400 about the request as a whole.
    pub(crate) fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 400 about fields of the record.
    pub(crate) fn fields<'a>(
        code: &'static str,
        message: impl Into<String>,
        fields: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut error = Self::bad(code, message);
        if let Some(reason) = error.reasons.first_mut() {
            reason.fields = Some(fields.into_iter().map(str::to_owned).collect());
        }
        error
    }

    pub(crate) fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
            "The requested resource does not exist",
        )
    }

    pub(crate) fn deleted() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "ENTITY_IS_DELETED",
            "entity is deleted",
        )
    }

    pub(crate) fn session() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "INVALID_SESSION_ID",
            "Session expired or invalid",
        )
    }

    pub(crate) fn no_access() -> Self {
        let message = "insufficient access rights on object id";
        Self::new(
            StatusCode::FORBIDDEN,
            "INSUFFICIENT_ACCESS_OR_READONLY",
            message,
        )
    }

    pub(crate) fn method(method: &str, allowed: &str) -> Self {
        let message = format!("HTTP Method '{method}' not allowed. Allowed are {allowed}");
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "METHOD_NOT_ALLOWED",
            message,
        )
    }

    pub(crate) fn no_column(field: &str, object: &str) -> Self {
        Self::bad(
            "INVALID_FIELD",
            format!("No such column '{field}' on sobject of type {object}"),
        )
    }

    pub(crate) fn query(error: &QueryError, text: &str) -> Self {
        Self::bad(error.code, error.explain(text))
    }

    /// The body.
    pub(crate) fn body(&self) -> Value {
        self.reasons.iter().map(Reason::to_json).collect()
    }
}

impl Reason {
    fn to_json(&self) -> Value {
        let mut shown = json!({"message": self.message, "errorCode": self.code});
        if let (Some(fields), Value::Object(map)) = (&self.fields, &mut shown) {
            map.insert("fields".to_owned(), json!(fields));
        }
        shown
    }
}
