//! OPA's decision log service: `POST {url}/logs` with a compressed array of events.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use crmgate_domain::{Ambient, Document, Timestamp};
use crmgate_outbound::Client;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, Method, Request, StatusCode, header};
use url::Url;

use super::{Sink, SinkError};

#[cfg(test)]
mod tests;

/// What an answer's body may take; it is not read.
const MAX_ANSWER: usize = 1 << 20;
/// The longest that a service's `Retry-After` is followed.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);
/// How much better than its text an event is at first thought to compress.
const FIRST_RATIO: u64 = 4;

/// The headers of a request: credentials are asked for anew each time.
pub type Headers = Arc<dyn Fn() -> Result<HeaderMap, String> + Send + Sync>;

/// Where the service is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// The service; `logs` comes behind it.
    pub url: Url,
    /// Comes behind `logs`, as in OPA's `partition_name`.
    pub partition_name: Option<String>,
    /// How many compressed bytes one request may have.
    pub upload_size_limit: u64,
}

/// Sends events to a service that takes OPA's decision logs.
pub struct HttpSink {
    client: Client,
    target: Url,
    limit: u64,
    /// How many bytes of text are tried to fit into one request; follows how well they compress.
    fitting: u64,
    headers: Headers,
    ambient: Arc<dyn Ambient>,
}

/// What a request came to.
enum Sent {
    Taken,
    TooLarge,
}

impl HttpSink {
    /// Over a client.
    ///
    /// # Errors
    /// When the address cannot have a path.
    pub fn new(
        client: Client,
        settings: &HttpSettings,
        headers: Headers,
        ambient: Arc<dyn Ambient>,
    ) -> Result<Self, String> {
        let mut target = settings.url.clone();
        {
            let mut path = target
                .path_segments_mut()
                .map_err(|()| format!("`{}` is no address of a service", settings.url))?;
            path.pop_if_empty().push("logs");
            path.extend(&settings.partition_name);
        }
        Ok(Self {
            client,
            target,
            limit: settings.upload_size_limit,
            fitting: settings.upload_size_limit.saturating_mul(FIRST_RATIO),
            headers,
            ambient,
        })
    }

    /// As many of the events as fit into one request; at least one.
    fn chunk(&mut self, events: &[Vec<u8>]) -> Result<(usize, Bytes), SinkError> {
        let mut size = 0;
        let fit = events.iter().take_while(|event| {
            size += event.len() as u64;
            size <= self.fitting
        });
        let mut count = fit.count().max(1);
        loop {
            let chunk = events.get(..count).unwrap_or(events);
            let text: u64 = chunk.iter().map(|event| event.len() as u64).sum();
            let body = compressed(chunk).map_err(|error| SinkError::new(error.to_string()))?;
            let length = (body.len() as u64).max(1);
            if count == 1 || length <= self.limit {
                let could = text.saturating_mul(self.limit) / length;
                // Grows carefully: the next events may compress worse.
                let most = self.fitting.saturating_mul(2);
                self.fitting = (could - could / 10).clamp(self.limit, most.max(self.limit));
                return Ok((count, body.into()));
            }
            self.fitting = (self.fitting / 2).max(self.limit);
            count /= 2;
        }
    }

    async fn post(&self, body: Bytes) -> Result<Sent, SinkError> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.target.as_str())
            .body(body)
            .map_err(|error| SinkError::new(error.to_string()))?;
        *request.headers_mut() = (self.headers)().map_err(SinkError::new)?;
        let plain = [
            (header::CONTENT_TYPE, "application/json"),
            (header::CONTENT_ENCODING, "gzip"),
        ];
        for (name, value) in plain {
            request
                .headers_mut()
                .insert(name, http::HeaderValue::from_static(value));
        }
        let answer = self.client.execute_bytes(request, MAX_ANSWER).await;
        let answer = answer.map_err(|error| SinkError::new(error.to_string()))?;
        match answer.status() {
            status if status.is_success() => Ok(Sent::Taken),
            StatusCode::PAYLOAD_TOO_LARGE => Ok(Sent::TooLarge),
            status => Err(SinkError {
                message: format!("the service answered {status}"),
                retry_after: self
                    .retry_after(answer.headers())
                    .map(|asked| asked.min(MAX_RETRY_AFTER)),
            }),
        }
    }

    fn retry_after(&self, headers: &HeaderMap) -> Option<Duration> {
        let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
        if let Ok(seconds) = text.trim().parse() {
            return Some(Duration::from_secs(seconds));
        }
        let at: Timestamp = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        Duration::try_from(at.duration_since(self.ambient.now())).ok()
    }
}

#[async_trait]
impl Sink for HttpSink {
    async fn take(&mut self, events: &[Vec<u8>]) -> Result<usize, SinkError> {
        let (mut count, mut body) = self.chunk(events)?;
        loop {
            match self.post(body).await? {
                Sent::Taken => return Ok(count),
                Sent::TooLarge if count > 1 => {
                    count /= 2;
                    let chunk = events.get(..count).unwrap_or(events);
                    let text: u64 = chunk.iter().map(|event| event.len() as u64).sum();
                    self.fitting = text.max(self.limit / 16).max(1);
                    body = compressed(chunk)
                        .map_err(|error| SinkError::new(error.to_string()))?
                        .into();
                }
                Sent::TooLarge => break,
            }
        }
        // One event alone is too large: what was decided goes, what was judged stays here.
        let reduced: Option<Vec<u8>> = events.first().and_then(|event| without_input(event));
        let too_large = || SinkError::new("the service takes no event of that size");
        let reduced = [reduced.ok_or_else(too_large)?];
        let body = compressed(&reduced).map_err(|error| SinkError::new(error.to_string()))?;
        match self.post(body.into()).await? {
            Sent::Taken => {
                tracing::warn!(
                    "an event was too large for the decision log's service; it was sent without \
                     its input"
                );
                Ok(1)
            }
            Sent::TooLarge => Err(too_large()),
        }
    }
}

fn compressed(events: &[Vec<u8>]) -> std::io::Result<Vec<u8>> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    for (index, event) in events.iter().enumerate() {
        out.write_all(if index == 0 { b"[" } else { b"," })?;
        out.write_all(event)?;
    }
    out.write_all(b"]")?;
    out.finish()
}

/// The event without its input, which it then names as erased; `None` where it has none.
fn without_input(event: &[u8]) -> Option<Vec<u8>> {
    let Ok(Document::Object(mut event)) = Document::parse(event) else {
        return None;
    };
    event.remove("input")?;
    let mut erased = match event.remove("erased") {
        Some(Document::Array(erased)) => erased,
        _ => Vec::new(),
    };
    erased.push("/input".into());
    event.set("erased", Document::Array(erased));
    Some(Document::Object(event).to_json().into_bytes())
}
