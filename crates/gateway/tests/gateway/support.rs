//! A connection that does as it is told, and ways to call it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body as WireBody;
use bytes::Bytes;
use crmgate_connector::{
    Body, Class, Connector as _, NativeRequest, NativeResponse, Refusal, RequestHead,
};
use crmgate_domain::{ConnectionName, Mode};
use crmgate_enforce::{Answer, Reply};
use crmgate_gateway::{Behind, Door, Doors, Gateway, Settings};
use crmgate_listen::Peer;
use crmgate_testkit::{FakeConnector, FakeCrm, TestAmbient};
use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response, StatusCode};
use tower::ServiceExt as _;

/// What reached the connection.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) class: &'static str,
    pub(crate) why: String,
    pub(crate) head: RequestHead,
    /// `None`: it broke off.
    pub(crate) body: Option<Bytes>,
    pub(crate) flowing: bool,
}

type Play = Box<dyn Fn() -> BoxFuture<'static, Answer> + Send + Sync>;

/// A connection that does as it is told.
pub(crate) struct Script {
    connector: FakeConnector,
    name: ConnectionName,
    mode: Mode,
    play: Play,
    seen: Mutex<Vec<Seen>>,
    refused: Mutex<Vec<Refusal>>,
}

impl Script {
    pub(crate) fn new(
        mode: Mode,
        play: impl Fn() -> BoxFuture<'static, Answer> + Send + Sync + 'static,
    ) -> Arc<Self> {
        let clock = TestAmbient::default();
        let now = move || crmgate_domain::Ambient::now(&clock);
        Arc::new(Self {
            connector: FakeConnector::new("acme", Arc::new(FakeCrm::default()), now),
            name: "acme".parse().unwrap(),
            mode,
            play: Box::new(play),
            seen: Mutex::default(),
            refused: Mutex::default(),
        })
    }

    /// One that answers everything with 200.
    pub(crate) fn fine(mode: Mode) -> Arc<Self> {
        Self::new(mode, move || {
            Box::pin(async move { Answer::undecided(mode, Reply::Native(ok())) })
        })
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The only request that reached it.
    pub(crate) fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.into_iter().next().unwrap()
    }

    pub(crate) fn refused(&self) -> Vec<Refusal> {
        self.refused.lock().unwrap().clone()
    }

    pub(crate) fn gateway(self: &Arc<Self>) -> Gateway {
        self.gateway_with(settings())
    }

    pub(crate) fn gateway_with(self: &Arc<Self>, settings: Settings) -> Gateway {
        Gateway::new(Doors::only(self.door()), settings)
    }

    pub(crate) fn door(self: &Arc<Self>) -> Door {
        Door::to(Arc::clone(self) as Arc<dyn Behind>)
    }
}

pub(crate) fn settings() -> Settings {
    Settings {
        body_limit: 1000,
        body_timeout: Duration::from_secs(5),
        pass_timeout: Duration::from_secs(60),
    }
}

impl Behind for Script {
    fn name(&self) -> &ConnectionName {
        &self.name
    }

    fn mode(&self) -> Mode {
        self.mode
    }

    fn request_id(&self) -> String {
        "r1".to_owned()
    }

    fn retry_after(&self) -> Duration {
        Duration::from_secs(7)
    }

    fn classify(&self, head: &RequestHead) -> Class {
        self.connector.classify(head)
    }

    fn serve(&self, class: Class, request: NativeRequest) -> BoxFuture<'_, Answer> {
        Box::pin(async move {
            let (class, why) = match class {
                Class::Open(_) => ("open", String::new()),
                Class::SignIn(_) => ("sign_in", String::new()),
                Class::Read(_) => ("read", String::new()),
                Class::Write(_) => ("write", String::new()),
                Class::Unknown { why } => ("unknown", why),
            };
            let flowing = matches!(request.body, Body::Stream(_));
            let body = request.body.collect(1 << 30).await.ok();
            self.seen.lock().unwrap().push(Seen {
                class,
                why,
                head: request.head,
                body,
                flowing,
            });
            (self.play)().await
        })
    }

    fn refuse(&self, _head: &RequestHead, refusal: Refusal) -> Answer {
        self.refused.lock().unwrap().push(refusal.clone());
        Answer::refused(self.mode, refusal)
    }

    fn render(&self, head: &RequestHead, refusal: &Refusal) -> NativeResponse {
        self.connector.render(head, refusal)
    }
}

pub(crate) fn ok() -> NativeResponse {
    NativeResponse::full(StatusCode::OK, "application/json", "{\"ok\":true}")
}

/// A request to `https://gate.example:8701`.
pub(crate) fn request(method: &str, path: &str, body: impl Into<WireBody>) -> Request<WireBody> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "gate.example:8701")
        .header("authorization", "Bearer t1")
        .body(body.into())
        .unwrap();
    request.extensions_mut().insert(peer("gate.example:8701"));
    request
}

pub(crate) fn peer(authority: &str) -> Peer {
    Peer {
        ip: "192.0.2.1".parse().unwrap(),
        secure: true,
        authority: Some(authority.parse().unwrap()),
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

pub(crate) async fn call(gateway: &Gateway, request: Request<WireBody>) -> Got {
    read(gateway.clone().oneshot(request).await.unwrap()).await
}

pub(crate) async fn read(response: Response<WireBody>) -> Got {
    let (head, body) = response.into_parts();
    let body = axum::body::to_bytes(body, 1 << 30).await.unwrap();
    Got {
        status: head.status.as_u16(),
        headers: head.headers,
        body: String::from_utf8_lossy(&body).to_string(),
    }
}
