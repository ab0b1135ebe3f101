//! The service behind a gateway's listener.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use crmgate_app::App;
use crmgate_connector::{Class, NativeRequest, Refusal};
use crmgate_enforce::Answer;
use crmgate_listen::Peer;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::answer::{self, Told};
use crate::body::Limits;
use crate::doors::{Door, Doors};
use crate::observe::{self, Labels};
use crate::request::{self, Arrived};

/// A gateway's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The longest body of a request that is judged, also after decompression.
    pub body_limit: usize,
    /// How long a body may stand still.
    pub body_timeout: Duration,
    /// How long a request that is not judged may wait for the head of its answer. What is judged
    /// has its own times, and is never given up half way.
    pub pass_timeout: Duration,
    /// How many requests may be under way behind one listener; more are told to come back.
    pub concurrency: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            body_limit: 8 * 1024 * 1024,
            body_timeout: Duration::from_secs(30),
            pass_timeout: Duration::from_secs(120),
            concurrency: 4096,
        }
    }
}

/// The data plane behind one listener: a [`tower::Service`] for [`crmgate_listen::Listener`].
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

struct Shared {
    app: Arc<App>,
    doors: Doors,
    settings: Settings,
    slots: Arc<Semaphore>,
}

impl Gateway {
    /// A gateway for these connections.
    #[must_use]
    pub fn new(app: Arc<App>, doors: Doors, settings: Settings) -> Self {
        observe::describe();
        let concurrency = settings.concurrency.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            shared: Arc::new(Shared {
                app,
                doors,
                settings,
                slots: Arc::new(Semaphore::new(concurrency)),
            }),
        }
    }

    /// Answers one request.
    pub async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let started = Instant::now();
        let shared = &self.shared;
        let Some(peer) = request.extensions().get::<Peer>().cloned() else {
            return plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                "no_peer",
                "the listener did not say who calls",
            );
        };
        let Some(door) = shared.doors.find(peer.host()) else {
            observe::wrong_host();
            return plain(
                StatusCode::MISDIRECTED_REQUEST,
                "unknown_host",
                "no connection is served under this host name",
            );
        };
        let Some(arrived) = request::arrive(request, &peer, door) else {
            return plain(
                StatusCode::BAD_REQUEST,
                "no_host",
                "the request does not say which host it is for",
            );
        };
        let name = door.connection.name();
        let class = door.connection.classify(&arrived.head);
        let labels = Labels::of(&class);
        let (head, method) = (arrived.head.clone(), arrived.head.method.clone());
        let slot = Arc::clone(&shared.slots).try_acquire_owned().ok();
        let answer = shared.guarded(door, class, arrived, slot.as_ref()).await;
        let told = Told::of(&answer);
        let effect = told.effect;
        let render = |refusal: &Refusal| door.connection.connector().render(&head, refusal);
        let response = answer::send(answer.reply, told, &method, render, slot);
        observe::answered(name, labels, response.status(), effect, started.elapsed());
        let free = shared.slots.available_permits();
        observe::under_way(name, shared.settings.concurrency.saturating_sub(free));
        response
    }
}

impl Shared {
    /// Serves, and turns a fault of this program into an inability.
    async fn guarded(
        &self,
        door: &Door,
        class: Class,
        arrived: Arrived,
        slot: Option<&OwnedSemaphorePermit>,
    ) -> Answer {
        let mode = door.connection.mode();
        if slot.is_none() {
            let busy = Self::unable(door, "the gate is busy: try again");
            return self.app.refuse(&door.connection, &arrived.head, busy);
        }
        let serving = AssertUnwindSafe(self.serve(door, class, arrived));
        serving.catch_unwind().await.unwrap_or_else(|_| {
            let connection = door.connection.name();
            observe::panicked(connection);
            tracing::error!(%connection, "a request ended in a fault of this program");
            let fault = Self::unable(door, "the gate could not answer this request: try again");
            Answer::refused(mode, fault)
        })
    }

    async fn serve(&self, door: &Door, class: Class, arrived: Arrived) -> Answer {
        let connection = &door.connection;
        let Arrived { head, body } = arrived;
        let limits = Limits {
            max: self.settings.body_limit,
            idle: self.settings.body_timeout,
        };
        let kept = head.clone();
        match request::ready(class, head, body, connection.mode(), limits).await {
            Err(refusal) => self.app.refuse(connection, &kept, refusal),
            Ok((class, request)) if may_write(&class) => {
                self.app.serve(connection, class, request).await
            }
            Ok((class, request)) => self.pass(door, class, request).await,
        }
    }

    async fn pass(&self, door: &Door, class: Class, request: NativeRequest) -> Answer {
        let limit = self.settings.pass_timeout;
        let serving = self.app.serve(&door.connection, class, request);
        let answer = tokio::time::timeout(limit, serving).await;
        answer.unwrap_or_else(|_| {
            let late = Self::unable(door, "no answer came in time: try again");
            Answer::refused(door.connection.mode(), late)
        })
    }

    fn unable(door: &Door, message: &str) -> Refusal {
        Refusal::Inability {
            decision: None,
            message: message.to_owned(),
            retry_after: door.connection.gate().settings().retry_after,
        }
    }
}

/// Whether a request may change something; one that is not understood may.
const fn may_write(class: &Class) -> bool {
    matches!(class, Class::Write(_) | Class::Unknown { .. })
}

/// An answer before any connection is known, in nobody's shape.
fn plain(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let text = format!("{{\"code\":\"{code}\",\"message\":\"{message}\",\"details\":null}}\n");
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

impl tower::Service<Request<Body>> for Gateway {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let gateway = self.clone();
        Box::pin(async move { Ok(gateway.answer(request).await) })
    }
}
