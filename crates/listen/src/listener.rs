//! The accept loop.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use crate::certificates::Resolver;
use crate::connection::{self, Shared};
use crate::meters::Meters;
use crate::{BindError, CertificateError, Certificates, Settings};

/// A bound listener that does not serve yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    addr: SocketAddr,
    settings: Settings,
    certificates: Option<Certificates>,
}

/// How serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Requests that were cut off because they took longer than the grace at shutdown.
    pub cut: usize,
}

impl Listener {
    /// Takes the address and reads the certificates. `now` is what certificates are held against.
    ///
    /// # Errors
    /// The address can't be had, or a certificate can't be used: unreadable, not matching its key,
    /// expired.
    pub async fn bind(settings: Settings, now: Timestamp) -> Result<Self, BindError> {
        check(&settings)?;
        let certificates = if settings.certificates.is_empty() {
            None
        } else {
            Some(Certificates::load(settings.certificates.clone(), now)?)
        };
        let addr = settings.addr;
        let fault = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse(addr),
            io::ErrorKind::PermissionDenied => BindError::NotPermitted(addr),
            _ => BindError::Io { addr, source },
        };
        let socket = TcpListener::bind(addr).await.map_err(fault)?;
        let addr = socket.local_addr().map_err(fault)?;
        Ok(Self {
            socket,
            addr,
            settings,
            certificates,
        })
    }

    /// Where it listens, the port found.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The handle by which certificates are read again; `None` for plain HTTP.
    #[must_use]
    pub fn certificates(&self) -> Option<Certificates> {
        self.certificates.clone()
    }

    /// Serves until `shutdown` is ready. Then no connection is taken any more, unused ones are
    /// closed, and requests under way have `shutdown_grace` to end.
    ///
    /// # Errors
    /// TLS can't be set up; nothing was served.
    pub async fn serve<S>(
        self,
        service: S,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<Report, BindError>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send + 'static,
    {
        let tls = self.certificates.map(acceptor).transpose()?;
        let grace = self.settings.shutdown_grace;
        let slots = Arc::new(Semaphore::new(self.settings.max_connections));
        let shared = Arc::new(Shared {
            meters: Meters::new(&self.settings.name),
            settings: self.settings,
            tls,
            closing: CancellationToken::new(),
            cut: CancellationToken::new(),
            in_flight: AtomicUsize::new(0),
        });
        let tasks = TaskTracker::new();
        let accepting = async {
            loop {
                let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                    return;
                };
                let (stream, from) = accept(&self.socket).await;
                let open = shared.meters.accepted();
                let served = connection::serve(stream, from, service.clone(), Arc::clone(&shared));
                tasks.spawn(async move {
                    served.await;
                    drop((slot, open));
                });
            }
        };
        tokio::select! {
            () = accepting => {}
            () = shutdown => {}
        }
        drop(self.socket);
        tasks.close();
        shared.closing.cancel();
        let ended = tokio::time::timeout(grace, tasks.wait()).await;
        let cut = match ended {
            Ok(()) => 0,
            Err(_) => shared.in_flight.load(Ordering::Relaxed),
        };
        if cut > 0 {
            tracing::warn!(addr = %self.addr, requests = cut, "requests were cut off at shutdown");
        }
        shared.cut.cancel();
        tasks.wait().await;
        Ok(Report { cut })
    }
}

fn check(settings: &Settings) -> Result<(), BindError> {
    let fault = |name, expected| Err(BindError::Setting { name, expected });
    if settings.max_connections == 0 || settings.max_connections > Semaphore::MAX_PERMITS {
        return fault("max_connections", "a number above zero");
    }
    if settings.max_header_bytes < 1024 {
        return fault("max_header_bytes", "at least 1024 bytes");
    }
    if settings.max_headers == 0 {
        return fault("max_headers", "a number above zero");
    }
    Ok(())
}

fn acceptor(certificates: Certificates) -> Result<TlsAcceptor, BindError> {
    let fault = |error: rustls::Error| CertificateError::File {
        file: "(all)".to_owned(),
        problem: error.to_string(),
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(fault)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Resolver(certificates)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Resumption without memory on our side; the keys change by themselves.
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(fault)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The next connection, however long it takes.
async fn accept(socket: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        let error = match socket.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => error,
        };
        let of_one_client = matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionRefused
        );
        if !of_one_client {
            // Mostly: out of file handles. Others have to close theirs before this can go on.
            tracing::error!(%error, "no connection can be accepted");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
