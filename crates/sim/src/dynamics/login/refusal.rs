//! The directory's errors.

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

/// An error with the directory's number.
#[derive(Debug)]
pub(super) struct Refused {
    number: u32,
    message: String,
    error: &'static str,
    pub(super) status: StatusCode,
}

impl Refused {
    pub(super) fn new(number: u32, message: &str) -> Self {
        let (error, status) = match number {
            7_000_215 | 7_000_218 | 700_023 | 700_024 | 700_027 | 50_012 => {
                ("invalid_client", StatusCode::UNAUTHORIZED)
            }
            700_016 => ("unauthorized_client", StatusCode::BAD_REQUEST),
            70_003 => ("unsupported_grant_type", StatusCode::BAD_REQUEST),
            70_011 | 1_002_012 => ("invalid_scope", StatusCode::BAD_REQUEST),
            500_011 => ("invalid_resource", StatusCode::BAD_REQUEST),
            50_000 => ("server_error", StatusCode::INTERNAL_SERVER_ERROR),
            _ => ("invalid_request", StatusCode::BAD_REQUEST),
        };
        Self {
            number,
            message: message.to_owned(),
            error,
            status,
        }
    }

    pub(super) fn missing(field: &str) -> Self {
        Self::new(
            900_144,
            &format!("The request body must contain the following parameter: '{field}'."),
        )
    }

    pub(super) fn body(&self, at: Timestamp, trace: Uuid) -> Value {
        let timestamp = at.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        let correlation = Uuid::from_u128(trace.as_u128().rotate_left(64));
        json!({
            "error": self.error,
            "error_description": format!(
                "AADSTS{}: {} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}",
                self.number, self.message
            ),
            "error_codes": [self.number],
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": format!("https://login.microsoftonline.com/error?code={}", self.number),
        })
    }
}
