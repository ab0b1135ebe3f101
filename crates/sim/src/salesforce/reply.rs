//! Answers before they are rendered, and their rendering.

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde::Serialize;
use serde_json::Value;

use super::error::ApiError;
use crate::crm::Answer;

/// What a call is answered with.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, String)>,
    pub(crate) body: Option<Value>,
}

impl Reply {
    pub(crate) fn ok(body: Value) -> Self {
        Self::json(StatusCode::OK, body)
    }

    pub(crate) fn json(status: StatusCode, body: Value) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Some(body),
        }
    }

    pub(crate) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: None,
        }
    }

    pub(crate) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The answer on the wire.
    pub(crate) fn render(self, pretty: bool) -> Answer {
        let body = match &self.body {
            Some(body) => Bytes::from(text(body, pretty)),
            None => Bytes::new(),
        };
        let mut answer = Response::new(body);
        *answer.status_mut() = self.status;
        let headers = answer.headers_mut();
        if self.body.is_some() {
            let kind = HeaderValue::from_static("application/json;charset=UTF-8");
            headers.insert(header::CONTENT_TYPE, kind);
        }
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-cache,must-revalidate,max-age=0,no-store,private"),
        );
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        answer
    }
}

impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Self {
        Self::json(error.status, error.body())
    }
}

fn text(body: &impl Serialize, pretty: bool) -> String {
    let text = if pretty {
        serde_json::to_string_pretty(body)
    } else {
        serde_json::to_string(body)
    };
    text.unwrap_or_else(|error| {
        format!("[{{\"errorCode\":\"UNKNOWN_EXCEPTION\",\"message\":\"{error}\"}}]")
    })
}

/// An answer that isn't JSON.
pub(crate) fn plain(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
