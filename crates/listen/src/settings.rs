//! What a listener can be told.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;

/// A listener's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What it is called in metrics.
    pub name: String,
    /// Where to listen; port 0 takes a free one.
    pub addr: SocketAddr,
    /// The certificates, or none for plain HTTP. The first serves clients that name no host, or
    /// one that no certificate names.
    pub certificates: Vec<CertificateSource>,
    /// How many connections may be open. Further ones wait in the system's queue.
    pub max_connections: usize,
    /// The time for a TLS handshake.
    pub handshake_timeout: Duration,
    /// The time in which a connection must deliver the head of its next request, an unused
    /// connection's waiting included. Clients that pool connections write on one that closes
    /// under them if this is short.
    pub header_read_timeout: Duration,
    /// How long a client may refuse to take any byte of its answer.
    pub write_stall_timeout: Duration,
    /// How long the head of a request may be, first line included.
    pub max_header_bytes: usize,
    /// How many headers a request may have.
    pub max_headers: usize,
    /// How many requests one HTTP/2 connection may have under way.
    pub max_concurrent_streams: u32,
    /// Proxies whose word about the caller counts. Everybody else's forwarding headers are dropped.
    pub trusted_proxies: Vec<IpNet>,
    /// In which headers those proxies speak.
    pub forwarded: ForwardedHeaders,
    /// How long requests under way may take to end at shutdown.
    pub shutdown_grace: Duration,
}

/// The headers in which a trusted proxy says who calls. Only one kind is believed, for a proxy that
/// writes the one may pass a client's own of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForwardedHeaders {
    /// `X-Forwarded-For`, `-Proto` and `-Host`.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// A certificate chain and its key, in PEM.
#[derive(Clone)]
pub enum CertificateSource {
    /// In files, which are read again at each reload.
    Files {
        /// The chain, the server's own certificate first.
        certificate: PathBuf,
        /// The private key.
        key: PathBuf,
    },
    /// Given as text.
    Pem {
        /// The chain, the server's own certificate first.
        certificate: String,
        /// The private key.
        key: SecretString,
    },
}

impl fmt::Debug for CertificateSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files { certificate, key } => f
                .debug_struct("Files")
                .field("certificate", certificate)
                .field("key", key)
                .finish(),
            Self::Pem { .. } => f.write_str("Pem"),
        }
    }
}

impl Settings {
    /// Plain HTTP at this address, with the ordinary limits.
    #[must_use]
    pub const fn plain(addr: SocketAddr) -> Self {
        Self {
            name: String::new(),
            addr,
            certificates: Vec::new(),
            max_connections: 10_000,
            handshake_timeout: Duration::from_secs(10),
            header_read_timeout: Duration::from_secs(75),
            write_stall_timeout: Duration::from_secs(30),
            max_header_bytes: 64 * 1024,
            max_headers: 100,
            max_concurrent_streams: 250,
            trusted_proxies: Vec::new(),
            forwarded: ForwardedHeaders::XForwarded,
            shutdown_grace: Duration::from_secs(30),
        }
    }

    /// HTTPS at this address, with the ordinary limits.
    #[must_use]
    pub fn tls(addr: SocketAddr, certificate: CertificateSource) -> Self {
        Self {
            certificates: vec![certificate],
            ..Self::plain(addr)
        }
    }
}
