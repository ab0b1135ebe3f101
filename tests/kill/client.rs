//! HTTP, as a good client does it: patient, and sure that what it sends again is the same.

use std::time::{Duration, Instant};

use bytes::Bytes;
use crmgate_outbound::{Client, Settings};
use http::Request;
use serde_json::Value;

/// How long one answer is waited for: a paused process gives none.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long something is tried again before it counts as not to be had.
pub(crate) const AGAIN: Duration = Duration::from_secs(120);

/// One exchange.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// What is sent.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ask<'a> {
    pub(crate) token: &'a str,
    pub(crate) key: Option<&'a str>,
    pub(crate) lines: bool,
    pub(crate) body: Option<&'a str>,
}

pub(crate) fn client() -> Client {
    Client::new(Settings::default()).unwrap()
}

/// Sends one request; the error is that nobody answered.
pub(crate) async fn send(
    client: &Client,
    method: &str,
    url: &str,
    ask: Ask<'_>,
) -> Result<Answer, String> {
    let mut request = Request::builder().method(method).uri(url);
    if !ask.token.is_empty() {
        request = request.header("authorization", format!("Bearer {}", ask.token));
    }
    if let Some(key) = ask.key {
        request = request.header("idempotency-key", key);
    }
    if ask.body.is_some() {
        let kind = if ask.lines {
            "application/x-ndjson"
        } else {
            "application/json"
        };
        request = request.header("content-type", kind);
    }
    let body = Bytes::from(ask.body.unwrap_or_default().to_owned());
    let sent = client.execute_bytes(request.body(body).unwrap(), 64 << 20);
    let answer = tokio::time::timeout(PATIENCE, sent)
        .await
        .map_err(|_| "no answer in time".to_owned())?
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(answer.body()).into_owned();
    Ok(Answer {
        status: answer.status().as_u16(),
        body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
    })
}

/// GETs from whichever of these answers, until one does.
pub(crate) async fn get(client: &Client, gates: &[String], token: &str, path: &str) -> Value {
    let until = Instant::now() + AGAIN;
    let mut last = String::new();
    while Instant::now() < until {
        for gate in gates {
            let ask = Ask {
                token,
                ..Ask::default()
            };
            match send(client, "GET", &format!("{gate}{path}"), ask).await {
                Ok(answer) if answer.status == 200 => return answer.body,
                Ok(answer) => last = format!("{} {}", answer.status, answer.body),
                Err(error) => last = error,
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{path} could not be read: {last}");
}
