//! The client.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName};
use http::{Request, Response, Uri};
use percent_encoding::percent_decode_str;
use tokio::time::Instant;
use url::Url;

use crate::choosy::Choosy;
use crate::error::causes;
use crate::meters::Meters;
use crate::{Body, BuildError, ExecuteError, SendError, Settings, read_to_end, tls};

/// The one HTTP client. A clone shares settings and connections.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    meters: Option<Meters>,
    library: ArcSwap<reqwest::Client>,
}

/// Headers that belong to one connection, or that the client works out itself.
const OWN: [HeaderName; 10] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

impl Client {
    /// A client with these settings.
    ///
    /// # Errors
    /// A setting makes no sense, or a certificate file can't be used.
    pub fn new(settings: Settings) -> Result<Self, BuildError> {
        settings.check()?;
        let library = ArcSwap::from_pointee(library(&settings)?);
        let shared = Arc::new(Shared {
            meters: Meters::new(&settings.name),
            settings,
            library,
        });
        Ok(Self { shared })
    }

    /// Reads the certificate files again. Calls under way go on; new ones use new connections. If
    /// a file can't be used, everything stays as it was.
    ///
    /// # Errors
    /// A certificate file can't be used.
    pub fn reload(&self) -> Result<(), BuildError> {
        let library = library(&self.shared.settings)?;
        self.shared.library.store(Arc::new(library));
        Ok(())
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Sends a request and gives the answer as soon as its head is there, whatever its status.
    ///
    /// `Host`, `Content-Length` and the headers that belong to a connection are worked out anew.
    ///
    /// # Errors
    /// There was no answer; the error says whether the request may have arrived.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Body>, SendError> {
        self.send_within(request, self.shared.settings.timeout)
            .await
    }

    /// Like [`send`](Self::send), with another time for the head of the answer.
    ///
    /// # Errors
    /// There was no answer; the error says whether the request may have arrived.
    pub async fn send_within(
        &self,
        request: Request<Body>,
        timeout: Duration,
    ) -> Result<Response<Body>, SendError> {
        let to = origin(request.uri());
        let method = request.method().clone();
        let request = native(request, &to)?;
        let library = self.shared.library.load_full();
        let started = Instant::now();
        let result = match tokio::time::timeout(timeout, library.execute(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(classify(error, to.clone())),
            Err(_) => Err(SendError::Unknown {
                to: to.clone(),
                detail: format!("the head of the answer did not come within {timeout:?}"),
                timed_out: true,
            }),
        };
        let took = started.elapsed();
        if let Some(meters) = &self.shared.meters {
            let status = result.as_ref().map(|response| response.status().as_u16());
            meters.ended(status, took);
        }
        match result {
            Ok(response) => {
                let response = Response::<reqwest::Body>::from(response);
                tracing::debug!(%method, %to, status = response.status().as_u16(), ?took, "called");
                let idle = self.shared.settings.body_idle_timeout;
                Ok(response.map(|body| Body::watched(body, idle)))
            }
            Err(error) => {
                tracing::debug!(%method, %to, %error, ?took, "a call failed");
                Err(error)
            }
        }
    }

    /// Sends a whole request and reads the whole answer, of at most `limit` bytes: what the
    /// `oauth2` crate's client trait asks for.
    ///
    /// # Errors
    /// There was no answer, or its body did not come whole.
    pub async fn execute(
        &self,
        request: Request<Vec<u8>>,
        limit: usize,
    ) -> Result<Response<Vec<u8>>, ExecuteError> {
        let response = self.execute_bytes(request.map(Bytes::from), limit).await?;
        Ok(response.map(Vec::from))
    }

    /// Like [`execute`](Self::execute), with shared bytes.
    ///
    /// # Errors
    /// There was no answer, or its body did not come whole.
    pub async fn execute_bytes(
        &self,
        request: Request<Bytes>,
        limit: usize,
    ) -> Result<Response<Bytes>, ExecuteError> {
        let to = origin(request.uri());
        let (head, body) = self.send(request.map(Body::from)).await?.into_parts();
        match read_to_end(body, limit).await {
            Ok(body) => Ok(Response::from_parts(head, body)),
            Err(source) => Err(ExecuteError::Body { to, source }),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the door that the ban points to"
)]
fn library(settings: &Settings) -> Result<reqwest::Client, BuildError> {
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::config(settings)?)
        .connect_timeout(settings.connect_timeout)
        .pool_idle_timeout(settings.pool_idle_timeout)
        .pool_max_idle_per_host(settings.pool_max_idle_per_host)
        .tcp_nodelay(true)
        .user_agent(&settings.user_agent)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy();
    if !settings.http2 {
        builder = builder.http1_only();
    }
    if let Some(may) = settings.may_reach {
        builder = builder.dns_resolver(Arc::new(Choosy(may)));
    }
    for (host, addresses) in &settings.resolve {
        builder = builder.resolve_to_addrs(host, addresses);
    }
    if let Some(url) = &settings.proxy {
        let proxy = reqwest::Proxy::all(url.clone())
            .map_err(|error| BuildError::Library(causes(error)))?
            .no_proxy(reqwest::NoProxy::from_string(&settings.no_proxy));
        builder = builder.proxy(proxy);
    }
    builder
        .build()
        .map_err(|error| BuildError::Library(causes(error)))
}

/// Scheme, host and port: all that may be told about an address.
fn origin(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or("?");
    let host = uri.host().unwrap_or("?");
    match uri.port() {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    }
}

fn native(request: Request<Body>, to: &str) -> Result<reqwest::Request, SendError> {
    let (head, body) = request.into_parts();
    let url = url(&head.uri).map_err(|detail| SendError::Invalid {
        to: to.to_owned(),
        detail,
    })?;
    let mut native = reqwest::Request::new(head.method, url);
    *native.headers_mut() = without_own(head.headers);
    *native.body_mut() = Some(body.into_inner());
    Ok(native)
}

fn without_own(mut headers: HeaderMap) -> HeaderMap {
    for name in OWN {
        headers.remove(name);
    }
    headers
}

/// The URI in the form the library takes. That form resolves `..`, also when it is written
/// `%2e%2e`, and turns backslashes round: a request would go to another resource than the one that
/// was judged. Such a URI is refused; more percent-encoding of the same characters is harmless.
fn url(uri: &Uri) -> Result<Url, String> {
    if uri.authority().is_some_and(|it| it.as_str().contains('@')) {
        return Err("its URI holds a user name".to_owned());
    }
    let url = Url::parse(&uri.to_string()).map_err(|error| format!("its URI: {error}"))?;
    let same = |left: &str, right: &str| {
        left == right || percent_decode_str(left).eq(percent_decode_str(right))
    };
    if same(uri.path(), url.path())
        && same(
            uri.query().unwrap_or_default(),
            url.query().unwrap_or_default(),
        )
    {
        Ok(url)
    } else {
        Err("its path holds `.` or `..` segments or backslashes".to_owned())
    }
}

/// Not sent, or not known?
///
/// Two proofs of "not sent" exist. The connector failed, and its time-out is shorter than ours.
/// Or the connection gave the request back untouched: "canceled" is the library's word for that
/// and used for nothing else.
fn classify(error: reqwest::Error, to: String) -> SendError {
    if error.is_builder() {
        let detail = causes(error);
        return SendError::Invalid { to, detail };
    }
    let untouched = error.is_connect() || was_canceled(&error);
    let timed_out = error.is_timeout();
    let detail = causes(error);
    if untouched {
        SendError::NotSent { to, detail }
    } else {
        SendError::Unknown {
            to,
            detail,
            timed_out,
        }
    }
}

fn was_canceled(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error
            .downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_canceled)
        {
            return true;
        }
        cause = error.source();
    }
    false
}
