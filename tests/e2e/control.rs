//! Plain HTTP to the control API and the simulators.

use bytes::Bytes;
use crmgate_outbound::{Client, Settings};
use http::Request;
use serde_json::Value;

/// A client that trusts the certificate authorities of a file.
pub(crate) fn http(ca: Option<&str>) -> Client {
    let extra_ca_files = ca.map(std::path::PathBuf::from).into_iter().collect();
    Client::new(Settings {
        extra_ca_files,
        ..Settings::default()
    })
    .unwrap()
}

/// One exchange.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// A header's text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Sends one request with a bearer token and reads the JSON answer (`Null` where there is none).
pub(crate) async fn call(
    client: &Client,
    method: &str,
    url: &str,
    token: &str,
    body: Option<&Value>,
) -> Result<Answer, String> {
    let mut request = Request::builder().method(method).uri(url);
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let bytes = body.map_or_else(Bytes::new, |body| serde_json::to_vec(body).unwrap().into());
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    let answer = client
        .execute_bytes(request.body(bytes).unwrap(), 16 << 20)
        .await
        .map_err(|e| e.to_string())?;
    let (head, bytes) = answer.into_parts();
    let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| {
        if bytes.is_empty() {
            Value::Null
        } else {
            Value::String(String::from_utf8_lossy(&bytes).into_owned())
        }
    });
    Ok(Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body,
    })
}
