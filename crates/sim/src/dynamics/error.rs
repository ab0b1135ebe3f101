//! Errors in the service's own shape and with its own codes.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;
use uuid::Uuid;

use crate::crm::Answer;

/// An error as the service answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) retry_after: Option<u64>,
}

/// What most functions of the simulator give.
pub(crate) type Outcome<T> = Result<T, ApiError>;

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    pub(crate) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// A query or an address that makes no sense.
    pub(crate) fn query(message: impl Into<String>) -> Self {
        Self::bad_request("0x80060888", message)
    }

    pub(crate) fn invalid_argument(message: impl Into<String>) -> Self {
        Self::bad_request("0x80040203", message)
    }

    /// A body that does not fit the table's type.
    pub(crate) fn payload(set: &str, inner: impl AsRef<str>) -> Self {
        let inner = inner.as_ref();
        Self::bad_request(
            "0x80048d19",
            format!(
                "Error identified in Payload provided by the user for Entity :'{set}', For more information on this error please follow this help link https://go.microsoft.com/fwlink/?linkid=2195293  ---->  InnerException : Microsoft.OData.ODataException: {inner}"
            ),
        )
    }

    pub(crate) fn no_property(property: &str, kind: &str) -> Self {
        Self::query(format!(
            "Could not find a property named '{property}' on type '{kind}'."
        ))
    }

    pub(crate) fn no_segment(segment: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "0x8006088a",
            format!("Resource not found for the segment '{segment}'."),
        )
    }

    pub(crate) fn no_row(table: &str, id: Uuid) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "0x80040217",
            format!("Entity '{table}' With Id = {id} Does Not Exist"),
        )
    }

    pub(crate) fn no_row_by_key(table: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "0x80060891",
            format!("A record with the specified key values does not exist in {table} entity"),
        )
    }

    pub(crate) fn duplicate_id() -> Self {
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "0x80040237",
            "A record with matching key values already exists.",
        )
    }

    pub(crate) fn duplicate_key(key: &str, columns: &str) -> Self {
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "0x80060892",
            format!(
                "Entity Key {key} violated. A record with the same value for {columns} already exists. A duplicate record cannot be created. Select one or more unique values and try again."
            ),
        )
    }

    pub(crate) fn version_mismatch(table: &str) -> Self {
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "0x80060882",
            format!(
                "The version of the existing record doesn't match the RowVersion property provided. Entity: {table}"
            ),
        )
    }

    /// A synchronous plug-in's refusal.
    pub(crate) fn plug_in(message: impl Into<String>) -> Self {
        Self::bad_request("0x80040265", message)
    }

    pub(crate) fn method(method: &http::Method) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "0x80060888",
            format!("The requested resource does not support http method '{method}'."),
        )
    }

    /// Honest about what the simulator leaves out.
    pub(crate) fn not_simulated(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_IMPLEMENTED,
            "0x80060888",
            format!("{what} is not simulated."),
        )
    }

    /// The simulator contradicts itself; never the caller's doing.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "0x80040216",
            message.into(),
        )
    }

    pub(crate) fn after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub(crate) fn answer(&self) -> Answer {
        let body = json!({"error": {"code": self.code, "message": self.message}});
        let mut answer = Response::new(Bytes::from(body.to_string()));
        *answer.status_mut() = self.status;
        let headers = answer.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json; odata.metadata=minimal"),
        );
        headers.insert("odata-version", HeaderValue::from_static("4.0"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        answer
    }
}
