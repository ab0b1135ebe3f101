//! What an answer of Dataverse means: its error code first, its status where there is none.

use std::time::Duration;

use crmgate_connector::{Body, Failure, NativeResponse};
use http::header::{LOCATION, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use crate::multipart;
use crate::upstream::Answer;

/// The pinned version no longer stands.
pub(crate) const VERSION_MISMATCH: &str = "0x80060882";
/// A record with this primary key exists.
pub(crate) const DUPLICATE_ID: &str = "0x80040237";
/// Another record has the values of an alternate key.
pub(crate) const DUPLICATE_KEY: &str = "0x80060892";
/// There is no record of this id, of this key.
const NO_RECORD: [&str; 2] = ["0x80040217", "0x80060891"];
/// Number of requests, their time, their number at once.
const THROTTLED: [&str; 3] = ["0x80072322", "0x80072321", "0x80072326"];
/// The database gave up waiting for a lock: rolled back as a whole.
const LOCKED: &str = "0x80044151";

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorDetail,
}

#[derive(Deserialize)]
struct ErrorDetail {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// Code and message of an error answer; the code is empty where the body is not Dataverse's.
pub(crate) fn code_and_message(answer: &Answer) -> (String, String) {
    serde_json::from_slice::<ErrorBody>(&answer.body).map_or_else(
        |_| (String::new(), format!("status {}", answer.status.as_u16())),
        |body| (body.error.code, body.error.message),
    )
}

/// Whether the answer says that the token is no longer good. That of a batch says so in a part.
pub(crate) fn is_expired(answer: &Answer) -> bool {
    answer.status == StatusCode::UNAUTHORIZED && multipart::boundary(&answer.headers).is_none()
}

/// Whether the answer says that there is no such record.
pub(crate) fn is_absent(answer: &Answer) -> bool {
    answer.status == StatusCode::NOT_FOUND
        && NO_RECORD.contains(&code_and_message(answer).0.as_str())
}

pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

/// Gives success through and makes a failure of anything else.
///
/// # Errors
/// As [`Failure`] tells them apart. `wrote`: the request could have changed something, so that an
/// answer of something in between leaves the outcome unknown.
pub(crate) fn check(answer: Answer, wrote: bool) -> Result<Answer, Failure> {
    if answer.status.is_success() || answer.status == StatusCode::NOT_MODIFIED {
        return Ok(answer);
    }
    let (code, message) = code_and_message(&answer);
    let status = answer.status.as_u16();
    let retry_after = retry_after(&answer.headers);
    let repeatable = |word: &str, answer: Answer| Failure::Repeatable {
        code: word.to_owned(),
        reason: message.clone(),
        retry_after,
        response: Some(Box::new(answer.into_response())),
    };
    if THROTTLED.contains(&code.as_str()) || status == 429 {
        return Err(repeatable("throttled", answer));
    }
    if status == 503 {
        return Err(repeatable("unavailable", answer));
    }
    if code == LOCKED {
        return Err(repeatable("locked", answer));
    }
    if wrote && code.is_empty() && status >= 500 {
        return Err(Failure::Unknown {
            reason: format!("something on the way answered with status {status}"),
        });
    }
    if !wrote && status >= 500 {
        return Err(repeatable("unavailable", answer));
    }
    Err(Failure::Refused {
        code: if code.is_empty() {
            status.to_string()
        } else {
            code
        },
        message,
        response: Some(Box::new(answer.into_response())),
    })
}

impl Answer {
    /// As an answer for a caller. Only headers that mean something to one are kept; a failure sends
    /// nobody anywhere.
    pub(crate) fn into_response(self) -> NativeResponse {
        let mut headers = crate::headers::answered(&self.headers);
        if !self.status.is_success() {
            headers.remove(LOCATION);
        }
        NativeResponse {
            status: self.status,
            headers,
            body: Body::Full(self.body),
        }
    }
}
