//! A listener for tests and trials: plain HTTP on a free port of this machine.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A service that runs until it is shut down or dropped.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    /// The same, as `http://127.0.0.1:PORT`.
    pub url: String,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// Serves `router` on a free port of 127.0.0.1.
///
/// # Errors
/// No port can be bound.
pub async fn spawn(router: Router) -> io::Result<Running> {
    spawn_on(router, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
}

/// Serves `router` on `addr`.
///
/// # Errors
/// The address can't be bound.
pub async fn spawn_on(router: Router, addr: SocketAddr) -> io::Result<Running> {
    let listener = TcpListener::bind(addr).await?;
    let addr = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection keeps its send delay");
            }
        });
        let until = async {
            // A sender that is gone means the same as one that sent.
            stopped.await.ok();
        };
        if let Err(error) = axum::serve(listener, router)
            .with_graceful_shutdown(until)
            .await
        {
            tracing::warn!(%error, "the simulator's listener ended");
        }
    });
    Ok(Running {
        addr,
        url: format!("http://{addr}"),
        stop: Some(stop),
        task,
    })
}

impl Running {
    /// Stops taking connections and waits for open calls to end.
    pub async fn shutdown(mut self) {
        drop(self.stop.take());
        if let Err(error) = (&mut self.task).await {
            tracing::warn!(%error, "the simulator's listener failed");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}
