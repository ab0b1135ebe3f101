//! Why there is no listener.

use std::io;
use std::net::SocketAddr;

use jiff::Timestamp;

/// A listener that can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else listens there.
    #[error("address `{0}` is already in use: another process listens there")]
    InUse(SocketAddr),
    /// The process may not listen there.
    #[error("address `{0}` is not permitted: ports below 1024 need a privilege")]
    NotPermitted(SocketAddr),
    /// The system refuses for another reason.
    #[error("address `{addr}` can't be listened on: {source}")]
    Io {
        /// The address.
        addr: SocketAddr,
        /// The system's word.
        source: io::Error,
    },
    /// A certificate can't be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A setting that makes no sense.
    #[error("setting `{name}`: expected {expected}")]
    Setting {
        /// The setting's name in [`Settings`](crate::Settings).
        name: &'static str,
        /// What would do.
        expected: &'static str,
    },
}

/// A certificate that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// A file that can't be read, or does not hold what it should.
    #[error("certificate file `{file}`: {problem}")]
    File {
        /// The file; `(inline)` for one given as text.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Certificate and key don't belong together, or are of a kind that can't be used.
    #[error("certificate `{certificate}` and key `{key}`: {problem}")]
    Pair {
        /// The chain's file.
        certificate: String,
        /// The key's file.
        key: String,
        /// What is wrong with them.
        problem: String,
    },
    /// Past its end.
    #[error("certificate `{file}` expired at {at}: renew it")]
    Expired {
        /// The chain's file.
        file: String,
        /// Its end.
        at: Timestamp,
    },
    /// Before its beginning.
    #[error("certificate `{file}` is not valid before {at}: check the clock of this machine")]
    NotYetValid {
        /// The chain's file.
        file: String,
        /// Its beginning.
        at: Timestamp,
    },
}
