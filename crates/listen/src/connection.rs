//! One connection, from handshake to close.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{FuturesUnordered, StreamExt as _};
use http::{Request, Response, StatusCode, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt as _};

use crate::Settings;
use crate::meters::{self, Meters};
use crate::peer::{self, Origin};
use crate::stall::Stall;

/// What all connections of a listener share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) meters: Meters,
    pub(crate) tls: Option<TlsAcceptor>,
    /// No new requests: end what is under way and close.
    pub(crate) closing: CancellationToken,
    /// The time is up: close.
    pub(crate) cut: CancellationToken,
    /// Requests under way on all connections.
    pub(crate) in_flight: AtomicUsize,
}

/// Serves one connection until it closes.
pub(crate) async fn serve<S>(stream: TcpStream, from: SocketAddr, service: S, shared: Arc<Shared>)
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
{
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its send delay");
    }
    let stream = Stall::new(stream, shared.settings.write_stall_timeout);
    let Some(tls) = shared.tls.clone() else {
        return speak(stream, from, service, false, &shared).await;
    };
    let limit = shared.settings.handshake_timeout;
    let handshake = tokio::time::timeout(limit, tls.accept(stream));
    let stream = tokio::select! {
        done = handshake => match done {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                shared.meters.no_handshake(meters::FAILED);
                tracing::debug!(%from, %error, "a TLS handshake failed");
                return;
            }
            Err(_) => {
                shared.meters.no_handshake(meters::TIMED_OUT);
                tracing::debug!(%from, "a TLS handshake took too long");
                return;
            }
        },
        () = shared.closing.cancelled() => return,
    };
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    speak(stream, from, service, http2, &shared).await;
}

async fn speak<I, S>(stream: I, from: SocketAddr, service: S, http2: bool, shared: &Arc<Shared>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
{
    let activity = Arc::new(Activity::new());
    let service = {
        let shared = Arc::clone(shared);
        let activity = Arc::clone(&activity);
        service_fn(move |request: Request<Incoming>| {
            let under_way = UnderWay::new(&shared, &activity);
            let answer =
                prepare(request, from, &shared).map(|request| service.clone().oneshot(request));
            let shared = Arc::clone(&shared);
            async move {
                let response = match answer {
                    Ok(answer) => match answer.await {
                        Ok(response) => response,
                        Err(never) => match never {},
                    },
                    Err(response) => response,
                };
                shared.meters.answered(response.status());
                Ok::<_, Infallible>(response.map(|body| Watched {
                    body,
                    _under_way: under_way,
                }))
            }
        })
    };
    let stream = TokioIo::new(stream);
    let settings = &shared.settings;
    if http2 {
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(settings.max_header_bytes).unwrap_or(u32::MAX))
            .max_concurrent_streams(settings.max_concurrent_streams)
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(20))
            .serve_connection(stream, service);
        drive(connection, &activity, shared, from).await;
    } else {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(settings.header_read_timeout)
            .max_header_size(settings.max_header_bytes)
            .max_headers(settings.max_headers)
            // Must hold the longest head; a body is never buffered beyond it.
            .max_buf_size(settings.max_header_bytes.max(64 * 1024) + 8 * 1024)
            .serve_connection(stream, service);
        drive(connection, &activity, shared, from).await;
    }
}

/// What ends a connection from our side.
enum Signal {
    /// End what is under way and close.
    Close,
    /// Close.
    Cut,
}

/// Runs a connection; ends it when it is unused for too long, and at shutdown.
async fn drive<C>(connection: C, activity: &Activity, shared: &Shared, from: SocketAddr)
where
    C: GracefulConnection,
    C::Error: std::fmt::Display,
{
    let mut connection = pin!(connection);
    // In a set of their own, these are looked at only when one of them has news. Polled with the
    // connection, each of its steps would take the lock that all connections share.
    let mut signals = FuturesUnordered::<BoxFuture<'_, Signal>>::new();
    signals.push(Box::pin(shared.cut.cancelled().map(|()| Signal::Cut)));
    signals.push(Box::pin(shared.closing.cancelled().map(|()| Signal::Close)));
    // HTTP/1 has its own clock for this; HTTP/2 has none.
    let idle = activity.idle(shared.settings.header_read_timeout);
    signals.push(Box::pin(idle.map(|()| Signal::Close)));
    loop {
        tokio::select! {
            biased;
            done = connection.as_mut() => {
                if let Err(error) = done {
                    tracing::debug!(%from, %error, "a connection broke");
                }
                return;
            }
            Some(signal) = signals.next() => match signal {
                Signal::Close => connection.as_mut().graceful_shutdown(),
                Signal::Cut => return,
            },
        }
    }
}

#[expect(
    clippy::result_large_err,
    reason = "the error is the answer, and is made once per bad request"
)]
fn prepare(
    request: Request<Incoming>,
    from: SocketAddr,
    shared: &Shared,
) -> Result<Request<Body>, Response<Body>> {
    let mut request = request.map(Body::new);
    let origin = Origin {
        ip: from.ip(),
        secure: shared.tls.is_some(),
        trusted: &shared.settings.trusted_proxies,
        headers: shared.settings.forwarded,
    };
    match peer::identify(&mut request, &origin) {
        Ok(peer) => {
            request.extensions_mut().insert(peer);
            Ok(request)
        }
        Err(problem) => {
            let mut response = Response::new(Body::from(format!("{problem}\n")));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            if request.version() < Version::HTTP_2 {
                // What follows on this connection may not be what its sender believes.
                response.headers_mut().insert(
                    http::header::CONNECTION,
                    http::HeaderValue::from_static("close"),
                );
            }
            Err(response)
        }
    }
}

/// When a connection was last used.
struct Activity {
    began: Instant,
    in_flight: AtomicUsize,
    last_end: AtomicU64,
}

impl Activity {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            in_flight: AtomicUsize::new(0),
            last_end: AtomicU64::new(0),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Ends when nothing was under way for `limit`.
    async fn idle(&self, limit: Duration) {
        loop {
            let unused_since = self.last_end.load(Ordering::Relaxed);
            let due = self.began + Duration::from_millis(unused_since) + limit;
            let busy = self.in_flight.load(Ordering::Relaxed) > 0;
            if !busy && Instant::now() >= due {
                return;
            }
            // While busy, look again a whole period later.
            let next = if busy { Instant::now() + limit } else { due };
            tokio::time::sleep_until(next).await;
        }
    }
}

/// Counts a request from its head to the last byte of its answer.
struct UnderWay {
    shared: Arc<Shared>,
    activity: Arc<Activity>,
}

impl UnderWay {
    fn new(shared: &Arc<Shared>, activity: &Arc<Activity>) -> Self {
        shared.in_flight.fetch_add(1, Ordering::Relaxed);
        activity.in_flight.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: Arc::clone(shared),
            activity: Arc::clone(activity),
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let now = self.activity.now();
        self.activity.last_end.store(now, Ordering::Relaxed);
        self.activity.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Watched {
    body: Body,
    _under_way: UnderWay,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
