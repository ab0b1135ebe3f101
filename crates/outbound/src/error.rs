//! What can go wrong on the way out.

use std::error::Error;
use std::path::PathBuf;

/// A client that can't be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A setting that makes no sense.
    #[error("setting `{name}`: expected {expected}")]
    Setting {
        /// The setting's name in [`Settings`](crate::Settings).
        name: &'static str,
        /// What would do.
        expected: String,
    },
    /// A file of certificate authorities that can't be used.
    #[error("certificate file `{}`: {detail}", file.display())]
    CaFile {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A certificate of the client's own, or its key, that can't be used.
    #[error("client certificate `{}`: {detail}", file.display())]
    ClientCertificate {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The HTTP library refuses the settings.
    #[error("the HTTP client can't be set up: {0}")]
    Library(String),
}

/// A request without an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The request can never be sent as it is.
    #[error("a request to `{to}` can't be sent: {detail}")]
    Invalid {
        /// Scheme, host and port.
        to: String,
        /// What is wrong.
        detail: String,
    },
    /// No server can have acted on the request: name resolution, connecting or the TLS handshake
    /// failed, or the connection closed before it took the request. Safe to repeat.
    #[error("can't reach `{to}`: {detail}")]
    NotSent {
        /// Scheme, host and port.
        to: String,
        /// What went wrong.
        detail: String,
    },
    /// The request, or a part of it, may have arrived.
    #[error("no answer from `{to}`, and the request may have arrived: {detail}")]
    Unknown {
        /// Scheme, host and port.
        to: String,
        /// What went wrong.
        detail: String,
        /// Whether the time was up.
        timed_out: bool,
    },
}

impl SendError {
    /// Whether no server can have acted on the request.
    #[must_use]
    pub const fn is_not_sent(&self) -> bool {
        matches!(self, Self::NotSent { .. } | Self::Invalid { .. })
    }

    /// A stable name, for metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "invalid_request",
            Self::NotSent { .. } => "not_sent",
            Self::Unknown {
                timed_out: true, ..
            } => "timed_out",
            Self::Unknown { .. } => "unknown",
        }
    }
}

/// A body that did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Nothing came for too long.
    #[error("the body stood still for too long")]
    TimedOut,
    /// It is longer than the caller takes.
    #[error("the body is longer than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// The connection broke, or the framing is wrong.
    #[error("the body broke off: {0}")]
    Broken(String),
}

/// A call that did not give a whole answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecuteError {
    /// There was no answer.
    #[error(transparent)]
    Send(#[from] SendError),
    /// There was one, without a whole body.
    #[error("the answer from `{to}` can't be read: {source}")]
    Body {
        /// Scheme, host and port.
        to: String,
        /// What went wrong.
        source: BodyError,
    },
}

/// The causes of an error in one line, without the library's own general phrases and without any
/// URL.
pub(crate) fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut parts: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        let general = text.starts_with("client error (") || text == "connection error";
        if !general && parts.last().is_none_or(|last| !last.contains(&text)) {
            parts.push(text);
        }
        cause = error.source();
    }
    if parts.is_empty() {
        error.to_string()
    } else {
        parts.join(": ")
    }
}
