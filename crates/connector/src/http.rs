//! Native requests and answers.

use std::pin::Pin;

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use bytes::Bytes;
use crmgate_domain::PayloadHash;
use futures::{Stream, StreamExt as _};
use url::Url;

/// A body that could not be read to its end.
#[derive(Debug, thiserror::Error)]
#[error("the body broke off: {0}")]
pub struct BodyError(pub String);

/// A stream of body chunks.
pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send + Sync>>;

/// A body, whole or flowing.
pub enum Body {
    /// All of it.
    Full(Bytes),
    /// As it comes.
    Stream(BodyStream),
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Full(bytes) => write!(f, "Full({} bytes)", bytes.len()),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

impl Body {
    /// No body.
    #[must_use]
    pub const fn empty() -> Self {
        Self::Full(Bytes::new())
    }

    /// Reads the body to its end.
    ///
    /// # Errors
    /// When it breaks off or is longer than `cap` bytes.
    pub async fn collect(self, cap: usize) -> Result<Bytes, BodyError> {
        let too_long = || BodyError(format!("longer than {cap} bytes"));
        match self {
            Self::Full(bytes) if bytes.len() > cap => Err(too_long()),
            Self::Full(bytes) => Ok(bytes),
            Self::Stream(mut stream) => {
                let mut all = Vec::new();
                while let Some(chunk) = stream.next().await {
                    all.extend_from_slice(&chunk?);
                    if all.len() > cap {
                        return Err(too_long());
                    }
                }
                Ok(all.into())
            }
        }
    }
}

/// All of a request but its body, as the client sent it (after the gateway took out hop-by-hop and
/// `Crmgate-…` headers).
#[derive(Clone)]
pub struct RequestHead {
    /// The method on the wire.
    pub method: Method,
    /// Path and query, byte for byte as received.
    pub uri: Uri,
    /// Headers.
    pub headers: HeaderMap,
    /// The gate's own address as this client reached it (`https://127.0.0.1:8701`, no trailing
    /// slash in its text form's path but `/`): links in answers point here.
    pub gate: Url,
}

impl std::fmt::Debug for RequestHead {
    /// Header values and queries hold credentials, so only names are told.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.headers.keys().map(HeaderName::as_str).collect();
        f.debug_struct("RequestHead")
            .field("method", &self.method)
            .field("path", &self.uri.path())
            .field("headers", &names)
            .field("gate", &self.gate.as_str())
            .finish()
    }
}

impl RequestHead {
    /// The undecoded path.
    #[must_use]
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// Decoded query parameters in order; `+` is a space.
    #[must_use]
    pub fn query(&self) -> Vec<(String, String)> {
        let query = self.uri.query().unwrap_or_default();
        url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect()
    }

    /// What a permit to pass this request as it came is bound to: method, path and query. The body
    /// may flow, so it is not part of it.
    #[must_use]
    pub fn passing_hash(&self) -> PayloadHash {
        let path = self.uri.path_and_query().map_or("", |path| path.as_str());
        PayloadHash::of(&[b"pass", self.method.as_str().as_bytes(), path.as_bytes()])
    }

    /// A header's text, when it is there once and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let only = values.next()?;
        values.next().is_none().then(|| only.to_str().ok())?
    }
}

/// A request to be passed or parsed.
#[derive(Debug)]
pub struct NativeRequest {
    /// All but the body.
    pub head: RequestHead,
    /// The body, with any content encoding undone (the gateway does that for writes).
    pub body: Body,
}

/// An answer in the CRM's own form.
#[derive(Debug)]
pub struct NativeResponse {
    /// Status.
    pub status: StatusCode,
    /// Headers, without hop-by-hop ones.
    pub headers: HeaderMap,
    /// Body.
    pub body: Body,
}

impl NativeResponse {
    /// An answer with a whole body of that content type.
    #[must_use]
    pub fn full(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(
            ::http::header::CONTENT_TYPE,
            HeaderValue::from_static(content_type),
        );
        Self {
            status,
            headers,
            body: Body::Full(body.into()),
        }
    }

    /// An answer without a body.
    #[must_use]
    pub fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: Body::empty(),
        }
    }
}
