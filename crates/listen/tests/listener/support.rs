//! A listener to call, and raw ways to call it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::{any, post};
use crmgate_listen::{BindError, Certificates, Listener, Peer, Report, Settings};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

pub(crate) const ANY: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// A listener that serves.
pub(crate) struct Served {
    pub(crate) addr: SocketAddr,
    pub(crate) certificates: Option<Certificates>,
    /// Told when `/slow` has begun; lets it end.
    pub(crate) begun: Arc<Notify>,
    pub(crate) go_on: Arc<Notify>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<Report, BindError>>,
}

impl Served {
    pub(crate) async fn stop(self) -> Report {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap()
    }

    /// Begins the shutdown; the result comes with the handle.
    pub(crate) fn begin_stop(self) -> JoinHandle<Result<Report, BindError>> {
        self.stop.send(()).unwrap();
        self.task
    }
}

/// The middle of 2026, at which the certificates of these tests are valid unless they say otherwise.
pub(crate) fn now() -> jiff::Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

pub(crate) async fn serve(settings: Settings) -> Served {
    let begun = Arc::new(Notify::new());
    let go_on = Arc::new(Notify::new());
    let listener = Listener::bind(settings, now()).await.unwrap();
    let (addr, certificates) = (listener.addr(), listener.certificates());
    let (stop, stopped) = oneshot::channel::<()>();
    let router = router(&begun, &go_on);
    let task = tokio::spawn(async move {
        let until = async {
            stopped.await.ok();
        };
        listener.serve(router, until).await
    });
    Served {
        addr,
        certificates,
        begun,
        go_on,
        stop,
        task,
    }
}

fn router(begun: &Arc<Notify>, go_on: &Arc<Notify>) -> Router {
    let (begun, go_on) = (Arc::clone(begun), Arc::clone(go_on));
    let slow = move || {
        let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
        async move {
            begun.notify_one();
            go_on.notified().await;
            "slow but whole"
        }
    };
    let peer = |request: Request| async move {
        let peer = request.extensions().get::<Peer>().unwrap();
        let forwarded = request.headers().contains_key("x-forwarded-for");
        let authority = peer.authority.as_ref().map_or("-", |it| it.as_str());
        format!("{} {} {authority} {forwarded}", peer.ip, peer.scheme())
    };
    let huge = || async { Body::from(vec![b'x'; 64 << 20]) };
    Router::new()
        .route("/peer", any(peer))
        .route("/slow", any(slow))
        .route("/huge", any(huge))
        .route("/echo", post(|body: String| async move { body }))
}

pub(crate) async fn connect(addr: SocketAddr) -> TcpStream {
    TcpStream::connect(addr).await.unwrap()
}

/// Sends text and reads until the other side closes, or for as long as a second.
pub(crate) async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    text: &str,
) -> String {
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(1), reading)
        .await
        .ok();
    String::from_utf8_lossy(&answer).to_string()
}

/// Reads one answer with a `Content-Length`, and leaves the connection open.
pub(crate) async fn read_answer<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut text = String::new();
    let mut piece = [0_u8; 4096];
    loop {
        let count = stream.read(&mut piece).await.unwrap();
        assert!(count > 0, "the connection closed after: {text}");
        text.push_str(&String::from_utf8_lossy(&piece[..count]));
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return text;
            }
        }
    }
}

pub(crate) const CLOSE: &str =
    "GET /peer HTTP/1.1\r\nhost: gate.example:8701\r\nconnection: close\r\n\r\n";
pub(crate) const KEEP: &str = "GET /peer HTTP/1.1\r\nhost: gate.example:8701\r\n\r\n";
