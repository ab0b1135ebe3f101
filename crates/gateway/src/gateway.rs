//! The service behind a gateway's listener.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use crmgate_connector::{Class, NativeRequest, Refusal, RequestHead};
use crmgate_enforce::Answer;
use crmgate_listen::Peer;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Request, Response, StatusCode};
use tracing::Instrument as _;

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
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            body_limit: 8 * 1024 * 1024,
            body_timeout: Duration::from_secs(30),
            pass_timeout: Duration::from_secs(120),
        }
    }
}

/// The data plane behind one listener: a [`tower::Service`] for [`crmgate_listen::Listener`].
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

struct Shared {
    doors: Doors,
    settings: Settings,
}

impl Gateway {
    /// A gateway for these connections.
    #[must_use]
    pub fn new(doors: Doors, settings: Settings) -> Self {
        observe::describe();
        Self {
            shared: Arc::new(Shared { doors, settings }),
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
        let class = door.behind.classify(&arrived.head);
        let labels = Labels::of(&class);
        let behind = &door.behind;
        let fresh_id = || behind.request_id();
        let span = observe::span(behind.name(), &labels, &arrived.head, fresh_id);
        self.serve(door, (class, labels), arrived, started)
            .instrument(span)
            .await
    }

    async fn serve(
        &self,
        door: &Door,
        (class, labels): (Class, Labels),
        arrived: Arrived,
        started: Instant,
    ) -> Response<Body> {
        let behind = &door.behind;
        let head = arrived.head.clone();
        let slot = door.enter();
        let answer = if slot.is_some() {
            self.shared.guarded(door, class, &head, arrived).await
        } else {
            let busy = Shared::unable(door, "the gate is busy: try again");
            behind.refuse(&head, busy)
        };
        let told = Told::of(&answer);
        let effect = told.effect;
        let render = |refusal: &Refusal| behind.render(&head, refusal);
        let response = answer::send(answer.reply, told, &head.method, render, slot);
        let status = response.status();
        door.meters
            .answered(&labels, status, effect, started.elapsed());
        response
    }
}

impl Shared {
    /// Serves, and turns a fault of this program into an inability.
    async fn guarded(
        &self,
        door: &Door,
        class: Class,
        head: &RequestHead,
        arrived: Arrived,
    ) -> Answer {
        let serving = AssertUnwindSafe(self.serve(door, class, head, arrived));
        serving.catch_unwind().await.unwrap_or_else(|_| {
            let connection = door.behind.name();
            observe::panicked();
            tracing::error!(%connection, "a request ended in a fault of this program");
            let fault = Self::unable(door, "the gate could not answer this request: try again");
            Answer::refused(door.behind.mode(), fault)
        })
    }

    async fn serve(
        &self,
        door: &Door,
        class: Class,
        head: &RequestHead,
        arrived: Arrived,
    ) -> Answer {
        let behind = &door.behind;
        let limits = Limits {
            max: self.settings.body_limit,
            idle: self.settings.body_timeout,
        };
        let mode = behind.mode();
        match request::ready(class, arrived.head, arrived.body, mode, limits).await {
            Err(refusal) => behind.refuse(head, refusal),
            Ok((class, request)) if may_write(&class) => behind.serve(class, request).await,
            Ok((class, request)) => self.pass(door, class, request).await,
        }
    }

    async fn pass(&self, door: &Door, class: Class, request: NativeRequest) -> Answer {
        let limit = self.settings.pass_timeout;
        let serving = door.behind.serve(class, request);
        let answer = tokio::time::timeout(limit, serving).await;
        answer.unwrap_or_else(|_| {
            let late = Self::unable(door, "no answer came in time: try again");
            Answer::refused(door.behind.mode(), late)
        })
    }

    fn unable(door: &Door, message: &str) -> Refusal {
        Refusal::Inability {
            decision: None,
            message: message.to_owned(),
            retry_after: door.behind.retry_after(),
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
        Box::pin(async move {
            // A fault outside of the serving itself: there may be no connector to put it into words.
            let answering = AssertUnwindSafe(gateway.answer(request)).catch_unwind();
            Ok(answering.await.unwrap_or_else(|_| {
                observe::panicked();
                let mut response = plain(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "fault",
                    "the gate could not answer this request: try again",
                );
                response
                    .headers_mut()
                    .insert(RETRY_AFTER, HeaderValue::from_static("2"));
                response
            }))
        })
    }
}
