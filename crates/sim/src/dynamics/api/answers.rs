//! Answers before they are put on the wire.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value};

use crate::crm::Answer;

/// An answer that is no error.
#[derive(Debug)]
pub(crate) struct Reply {
    status: StatusCode,
    content: Option<(&'static str, String)>,
    headers: Vec<(HeaderName, String)>,
}

impl Reply {
    fn new(status: StatusCode) -> Self {
        Self {
            status,
            content: None,
            headers: Vec::new(),
        }
    }

    /// 204.
    pub(crate) fn nothing() -> Self {
        Self::new(StatusCode::NO_CONTENT)
    }

    /// 304.
    pub(crate) fn unchanged() -> Self {
        Self::new(StatusCode::NOT_MODIFIED)
    }

    /// 200 with JSON.
    pub(crate) fn json(body: Map<String, Value>) -> Self {
        let mut reply = Self::new(StatusCode::OK);
        reply.content = Some((
            "application/json; odata.metadata=minimal",
            Value::Object(body).to_string(),
        ));
        reply
    }

    /// 200 with XML.
    pub(crate) fn xml(body: &str) -> Self {
        let mut reply = Self::new(StatusCode::OK);
        reply.content = Some(("application/xml", body.to_owned()));
        reply
    }

    /// 200 with text.
    pub(crate) fn text(body: String) -> Self {
        let mut reply = Self::new(StatusCode::OK);
        reply.content = Some(("text/plain", body));
        reply
    }

    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers
            .push((HeaderName::from_static(name), value.into()));
        self
    }

    /// Where the record lies that was written.
    pub(crate) fn address(&self) -> Option<&str> {
        let named = |(name, _): &&(HeaderName, String)| name == "odata-entityid";
        self.headers
            .iter()
            .find(named)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn answer(self) -> Answer {
        let (kind, body) = self.content.unzip();
        let mut answer = Response::new(Bytes::from(body.unwrap_or_default()));
        *answer.status_mut() = self.status;
        let headers = answer.headers_mut();
        if let Some(kind) = kind {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        headers.insert("odata-version", HeaderValue::from_static("4.0"));
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.append(name, value);
            }
        }
        answer
    }
}
