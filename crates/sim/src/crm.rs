//! What a simulated CRM is to the shared front.

use std::any::Any;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, Uri};
use jiff::Timestamp;
use serde_json::Value;

use crate::faults::{RowFault, RowFaults};

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
    /// The faults in force that may hit single rows of it. A part of a call has those of the whole.
    pub rows: Option<RowFaults>,
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

    /// The fault that hits a row of this call, if one does: `index` is its place among those of the call, `place` what
    /// it is addressed by, `row` its body. Asked once for each row.
    #[must_use]
    pub fn row_fault(&self, index: usize, place: &str, row: &Value) -> Option<RowFault> {
        self.rows.as_ref()?.strike(index, place, row)
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

    /// A call has come; what this gives is kept until the call has ended, answered or not.
    fn arrive(&self, _call: &Call) -> Option<Box<dyn Any + Send>> {
        None
    }

    /// The limits in force that `/_sim/limits` shows and sets; `None` where the CRM has none to be set.
    fn limits(&self) -> Option<Value> {
        None
    }

    /// Puts limits in force; without a body those that the CRM began with.
    ///
    /// # Errors
    /// What is wrong with them.
    fn set_limits(&self, _body: Option<&[u8]>) -> Result<(), String> {
        Err("this CRM has no limits to be set".to_owned())
    }

    /// What is stored of one object, in the CRM's native form; `None` if there is no such object.
    fn records(&self, object: &str) -> Option<Vec<Value>>;

    /// The changes of records that stayed, after the one of this number, oldest first.
    fn effects(&self, _after: u64) -> Vec<Value> {
        Vec::new()
    }

    /// The names that [`Crm::records`] knows.
    fn objects(&self) -> Vec<String>;

    /// Whether a compressed answer's `ETag` says that it is compressed.
    fn marks_compressed(&self) -> bool {
        true
    }

    /// Goes back to the seeded data. Credentials and open sessions stay.
    fn reset(&self);
}
