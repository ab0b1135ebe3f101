//! What a simulated CRM is to the shared front.

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, Uri};
use jiff::Timestamp;
use serde_json::Value;

/// A whole answer, body included.
pub type Answer = Response<Bytes>;

/// One request as a CRM sees it: read to the end and decompressed.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method on the wire.
    pub method: Method,
    /// Path and query as they were sent.
    pub uri: Uri,
    /// All headers.
    pub headers: HeaderMap,
    /// The body, after `Content-Encoding` was undone.
    pub body: Bytes,
    /// `https://host:port`, without a slash at the end: what absolute links begin with.
    pub base_url: String,
    /// When it came, by the simulator's clock.
    pub at: Timestamp,
}

impl Call {
    /// The path, still percent-encoded.
    #[must_use]
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// The query without its question mark; empty if there is none.
    #[must_use]
    pub fn query(&self) -> &str {
        self.uri.query().unwrap_or_default()
    }

    /// A header's value, if it is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Why the front answers in the CRM's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A fault asked for this status.
    Status {
        /// The status.
        status: StatusCode,
        /// Seconds for `Retry-After`.
        retry_after: Option<u64>,
    },
    /// A fault asked for the CRM's "row is locked by someone else".
    LockedRow,
    /// The body is longer than the CRM takes.
    TooLarge,
    /// The `Content-Encoding` is none the CRM knows.
    UnknownEncoding(String),
    /// The body isn't what its `Content-Encoding` says.
    BrokenEncoding,
}

/// A simulated CRM. All of it is in memory, so nothing here waits.
pub trait Crm: Send + Sync + 'static {
    /// Answers one call.
    fn answer(&self, call: &Call) -> Answer;

    /// The CRM's own words for a refusal that the front decided.
    fn refuse(&self, call: &Call, refusal: Refusal) -> Answer;

    /// Ends the session that the call carries.
    fn expire_session(&self, call: &Call);

    /// What is stored of one object, in the CRM's native form; `None` if there is no such object.
    fn records(&self, object: &str) -> Option<Vec<Value>>;

    /// The names that [`Crm::records`] knows.
    fn objects(&self) -> Vec<String>;

    /// Whether a compressed answer's `ETag` says that it is compressed.
    fn marks_compressed(&self) -> bool {
        true
    }

    /// Goes back to the seeded data. Credentials and open sessions stay.
    fn reset(&self);
}
