//! Salesforce's refusals, told apart by their code and by status only where there is none.

use std::time::Duration;

use bytes::Bytes;
use crmgate_connector::{Body, Failure, NativeResponse};
use crmgate_domain::Document;
use crmgate_outbound::SendError;
use http::{HeaderMap, StatusCode, header};

use crate::headers;

/// How long to wait when the day's calls are spent: the count is of the last 24 hours, so that some
/// come free little by little.
const SPENT: Duration = Duration::from_mins(15);

/// A whole answer of the CRM.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Whether a call may have changed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Reads,
    Writes,
}

impl Answer {
    /// The first error's code and message; empty where the body has none.
    pub(crate) fn error(&self) -> (String, String) {
        let parsed = Document::parse(&self.body);
        let first = match &parsed {
            Ok(Document::Array(all)) => all.first().and_then(Document::as_object),
            Ok(Document::Object(one)) => Some(one),
            _ => None,
        };
        let text = |names: [&str; 2]| {
            names
                .into_iter()
                .find_map(|name| first?.get(name)?.as_str())
                .unwrap_or_default()
                .to_owned()
        };
        (
            text(["errorCode", "error"]),
            text(["message", "error_description"]),
        )
    }

    /// Whether the session is over, which nothing but a new one mends.
    pub(crate) fn session_expired(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
            || (self.status == StatusCode::FORBIDDEN && self.body.starts_with(b"Bad_OAuth_Token"))
    }

    /// Whether the day's allowance of calls is spent, and not merely too much going on.
    pub(crate) fn says_spent(&self) -> bool {
        self.status == StatusCode::FORBIDDEN && {
            let (code, message) = self.error();
            is_spent(&code, &message)
        }
    }

    /// The answer for the client.
    pub(crate) fn native(self) -> NativeResponse {
        NativeResponse {
            status: self.status,
            headers: headers::answered(&self.headers),
            body: Body::Full(self.body),
        }
    }

    /// What an answer that is no success means.
    pub(crate) fn failure(mut self, effect: Effect) -> Failure {
        // A refusal sends nobody anywhere.
        self.headers.remove(header::LOCATION);
        let (code, message) = self.error();
        let reason = if message.is_empty() {
            format!("the answer was {}", self.status)
        } else {
            format!("{code}: {message}")
        };
        if let Some(word) = repeatable(self.status, &code, &message) {
            return Failure::Repeatable {
                code: word.to_owned(),
                reason,
                retry_after: retry_after(&self.headers)
                    .or_else(|| is_spent(&code, &message).then_some(SPENT)),
                response: Some(Box::new(self.native())),
            };
        }
        if self.status.is_server_error() {
            return match effect {
                Effect::Writes => Failure::Unknown { reason },
                Effect::Reads => Failure::Repeatable {
                    code: "unavailable".to_owned(),
                    reason,
                    retry_after: retry_after(&self.headers),
                    response: Some(Box::new(self.native())),
                },
            };
        }
        let code = if code.is_empty() {
            self.status.as_u16().to_string()
        } else {
            code
        };
        Failure::Refused {
            code,
            message,
            response: Some(Box::new(self.native())),
        }
    }
}

/// The stable word of a refusal after which the same request may succeed; nothing was written.
fn repeatable(status: StatusCode, code: &str, message: &str) -> Option<&'static str> {
    match code {
        "UNABLE_TO_LOCK_ROW" => Some("locked"),
        // A spent daily quota lasts for hours, but it is over some day, and nothing was written.
        "REQUEST_LIMIT_EXCEEDED" | "TXN_SECURITY_METERING_ERROR" => Some("throttled"),
        "SERVER_UNAVAILABLE" | "API_CURRENTLY_DISABLED" | "REQUEST_RUNNING_TOO_LONG" => {
            Some("unavailable")
        }
        // What a trigger or flow met in its own writes.
        "UNKNOWN_EXCEPTION"
        | "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"
        | "CANNOT_EXECUTE_FLOW_TRIGGER"
            if message.contains("UNABLE_TO_LOCK_ROW") =>
        {
            Some("locked")
        }
        "" => match status.as_u16() {
            429 => Some("throttled"),
            420 | 503 => Some("unavailable"),
            _ => None,
        },
        _ if status == StatusCode::TOO_MANY_REQUESTS => Some("throttled"),
        _ => None,
    }
}

/// The other meaning of the code is that too many long calls run at once.
fn is_spent(code: &str, message: &str) -> bool {
    code == "REQUEST_LIMIT_EXCEEDED" && message.starts_with("TotalRequests")
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

/// A call without an answer.
pub(crate) fn unanswered(error: &SendError, effect: Effect) -> Failure {
    if error.is_not_sent() || effect == Effect::Reads {
        return Failure::not_sent(error.to_string());
    }
    Failure::Unknown {
        reason: error.to_string(),
    }
}

/// A stored record or object that is not there, in Salesforce's words.
pub(crate) fn not_found(message: &str) -> Failure {
    refused(StatusCode::NOT_FOUND, "NOT_FOUND", message, &[])
}

/// A refusal in Salesforce's shape that is not worth a call.
pub(crate) fn refused(status: StatusCode, code: &str, message: &str, fields: &[String]) -> Failure {
    let response = crate::render::errors(status, code, message, fields);
    Failure::Refused {
        code: code.to_owned(),
        message: message.to_owned(),
        response: Some(Box::new(response)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, "7".parse().unwrap());
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    fn word(status: u16, code: &str) -> String {
        let body = if code.is_empty() {
            "<html>".to_owned()
        } else {
            format!(r#"[{{"message":"m","errorCode":"{code}"}}]"#)
        };
        match answer(status, &body).failure(Effect::Writes) {
            Failure::Refused { code, .. } => format!("refused {code}"),
            Failure::Repeatable {
                code, retry_after, ..
            } => {
                assert_eq!(retry_after, Some(Duration::from_secs(7)));
                format!("repeatable {code}")
            }
            Failure::VersionMismatch => "mismatch".to_owned(),
            Failure::Unknown { .. } => "unknown".to_owned(),
        }
    }

    #[test]
    fn codes_come_before_statuses() {
        for (status, code, expected) in [
            (400, "UNABLE_TO_LOCK_ROW", "repeatable locked"),
            (500, "UNABLE_TO_LOCK_ROW", "repeatable locked"),
            (403, "REQUEST_LIMIT_EXCEEDED", "repeatable throttled"),
            (503, "SERVER_UNAVAILABLE", "repeatable unavailable"),
            (503, "", "repeatable unavailable"),
            (420, "", "repeatable unavailable"),
            (429, "", "repeatable throttled"),
            (500, "UNKNOWN_EXCEPTION", "unknown"),
            (502, "", "unknown"),
            (504, "", "unknown"),
            (
                400,
                "FIELD_CUSTOM_VALIDATION_EXCEPTION",
                "refused FIELD_CUSTOM_VALIDATION_EXCEPTION",
            ),
            (404, "", "refused 404"),
            (401, "INVALID_SESSION_ID", "refused INVALID_SESSION_ID"),
        ] {
            assert_eq!(word(status, code), expected, "{status} {code}");
        }
    }

    #[test]
    fn an_oauth_error_is_an_error() {
        let answer = answer(
            400,
            r#"{"error":"invalid_grant","error_description":"expired"}"#,
        );
        assert_eq!(
            answer.error(),
            ("invalid_grant".to_owned(), "expired".to_owned())
        );
    }
}
