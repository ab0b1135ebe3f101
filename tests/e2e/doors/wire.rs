//! A client that sends exactly the bytes it is given.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// TLS to one port of this machine.
#[derive(Clone)]
pub(crate) struct Wire {
    tls: TlsConnector,
    pub(crate) port: u16,
}

/// An answer as it came.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter();
        found
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Wire {
    /// Trusts the certificate authority of a file.
    pub(crate) fn new(ca: &std::path::Path, port: u16) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(ca).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            tls: TlsConnector::from(Arc::new(config)),
            port,
        }
    }

    /// The same, offering these protocols.
    pub(crate) fn offering(&self, protocol: &[u8]) -> Self {
        let mut config = ClientConfig::clone(self.tls.config());
        config.alpn_protocols = vec![protocol.to_vec()];
        Self {
            tls: TlsConnector::from(Arc::new(config)),
            port: self.port,
        }
    }

    pub(crate) async fn connect(&self) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        self.tls.connect(name, stream).await.unwrap()
    }

    /// Sends bytes and reads one answer; `None` when the connection closed without one.
    pub(crate) async fn send(&self, bytes: &[u8]) -> Option<Reply> {
        let mut stream = self.connect().await;
        // A gate that answers before it has read all may close its side: the answer still counts.
        let _ = stream.write_all(bytes).await;
        let _ = stream.flush().await;
        Incoming::new(&mut stream).reply(false).await
    }

    /// Sends bytes and reads answers until the gate closes the connection.
    pub(crate) async fn send_all(&self, bytes: &[u8]) -> Vec<Reply> {
        let mut stream = self.connect().await;
        let _ = stream.write_all(bytes).await;
        let _ = stream.flush().await;
        let mut incoming = Incoming::new(&mut stream);
        let mut replies = Vec::new();
        while let Some(reply) = incoming.reply(false).await {
            replies.push(reply);
        }
        replies
    }
}

/// What comes in on a connection.
pub(crate) struct Incoming<'s> {
    stream: &'s mut TlsStream<TcpStream>,
    held: Vec<u8>,
}

impl<'s> Incoming<'s> {
    pub(crate) const fn new(stream: &'s mut TlsStream<TcpStream>) -> Self {
        Self {
            stream,
            held: Vec::new(),
        }
    }

    async fn more(&mut self) -> bool {
        let mut piece = [0_u8; 16 * 1024];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut piece)).await;
        let read = read.expect("neither an answer nor a close came in time");
        // A close without TLS's good-bye is a close.
        let count = read.unwrap_or(0);
        self.held.extend_from_slice(&piece[..count]);
        count > 0
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let rest = self.held.split_off(count);
        std::mem::replace(&mut self.held, rest)
    }

    /// The next final answer; with `interim`, also one that only says to go on.
    pub(crate) async fn reply(&mut self, interim: bool) -> Option<Reply> {
        loop {
            let end = loop {
                match self.held.windows(4).position(|four| four == b"\r\n\r\n") {
                    Some(at) => break at + 4,
                    None if self.more().await => {}
                    None => return None,
                }
            };
            let head = String::from_utf8_lossy(&self.take(end)).into_owned();
            let mut lines = head.split("\r\n");
            let status = lines.next().unwrap().split(' ').nth(1).unwrap();
            let status: u16 = status.parse().unwrap();
            let headers: Vec<(String, String)> = lines
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
                .collect();
            let mut reply = Reply {
                status,
                headers,
                body: Vec::new(),
            };
            if status < 200 {
                if interim {
                    return Some(reply);
                }
                continue;
            }
            self.body(&mut reply).await;
            return Some(reply);
        }
    }

    async fn body(&mut self, reply: &mut Reply) {
        if reply.status == 204 || reply.status == 304 {
            return;
        }
        if reply.header("transfer-encoding").is_some() {
            return self.chunks(reply).await;
        }
        let length = reply.header("content-length").unwrap_or("0");
        let length: usize = length.parse().unwrap();
        while self.held.len() < length && self.more().await {}
        reply.body = self.take(length.min(self.held.len()));
    }

    async fn chunks(&mut self, reply: &mut Reply) {
        loop {
            let end = loop {
                match self.held.windows(2).position(|two| two == b"\r\n") {
                    Some(at) => break at + 2,
                    None => assert!(self.more().await, "an answer broke off"),
                }
            };
            let size = String::from_utf8_lossy(&self.take(end)).into_owned();
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            while self.held.len() < size + 2 {
                assert!(self.more().await, "an answer broke off");
            }
            let mut piece = self.take(size + 2);
            piece.truncate(size);
            reply.body.extend_from_slice(&piece);
            if size == 0 {
                return;
            }
        }
    }
}

/// Packed as `Content-Encoding: gzip` means it.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// Packed as `Content-Encoding: deflate` means it.
pub(crate) fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// Packed as some think `Content-Encoding: deflate` means it.
pub(crate) fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}
