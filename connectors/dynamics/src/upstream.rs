//! Calls to the environment.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use crmgate_connector::secret::ExposeSecret as _;
use crmgate_connector::{Attempt, Credential, Failure, Session};
use crmgate_domain::Ambient;
use crmgate_outbound::{Body, Client, ExecuteError, SendError, read_to_end};
use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use secrecy::SecretString;
use url::Url;

use crate::allowed::Allowed;
use crate::{fault, multipart};

/// The longest answer that is read whole: a record, a page, a table's metadata.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;
/// Headers that only reads of our own carry.
const PREFER: HeaderName = HeaderName::from_static("prefer");
const ODATA_VERSION: HeaderName = HeaderName::from_static("odata-version");
const ODATA_MAX_VERSION: HeaderName = HeaderName::from_static("odata-maxversion");

/// Names the user on whose behalf a call is made, by the row's id.
const CALLER: HeaderName = HeaderName::from_static("mscrmcallerid");

/// The environment and the connection's own sign-in.
pub(crate) struct Upstream {
    pub(crate) url: Url,
    pub(crate) api_version: String,
    pub(crate) http: Client,
    pub(crate) session: Option<Session>,
    pub(crate) ambient: Arc<dyn Ambient>,
    pub(crate) allowed: Allowed,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A call without its credential.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path_and_query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    /// A read of our own, below the API's root.
    pub(crate) fn get(path: &str, prefer: Option<&'static str>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(ODATA_VERSION, HeaderValue::from_static("4.0"));
        headers.insert(ODATA_MAX_VERSION, HeaderValue::from_static("4.0"));
        if let Some(prefer) = prefer {
            headers.insert(PREFER, HeaderValue::from_static(prefer));
        }
        Self {
            method: Method::GET,
            path_and_query: path.to_owned(),
            headers,
            body: Bytes::new(),
        }
    }
}

impl Call {
    /// The same on behalf of a user: what both may do counts, and the user is the writer.
    fn on_behalf_of(&self, user: &str) -> Result<Self, Failure> {
        let user = HeaderValue::from_str(user)
            .map_err(|_| Failure::not_sent("the user to write on behalf of is no id"))?;
        let mut call = self.clone();
        call.headers.insert(CALLER, user);
        Ok(call)
    }
}

impl Upstream {
    /// `/api/data/v9.2/{path}`.
    pub(crate) fn api(&self, path: &str) -> String {
        format!("/api/data/{}/{path}", self.api_version)
    }

    /// Makes a call and reads the whole answer, whatever its status. With the connection's own
    /// credential an expired session is renewed once.
    ///
    /// # Errors
    /// When no whole answer came.
    pub(crate) async fn call(
        &self,
        call: &Call,
        credential: &Credential,
    ) -> Result<Answer, Failure> {
        match credential {
            Credential::Caller(token) => self.once(call, token).await,
            Credential::Service => self.as_service(call).await,
            Credential::OnBehalfOf(user) => self.as_service(&call.on_behalf_of(user)?).await,
        }
    }

    async fn as_service(&self, call: &Call) -> Result<Answer, Failure> {
        let session = self.session()?;
        let answer = session
            .with_token(|token| async move {
                let answer = self.once(call, &token.secret).await?;
                Ok(if fault::is_expired(&answer) {
                    Attempt::Expired(answer)
                } else {
                    Attempt::Accepted(answer)
                })
            })
            .await?;
        if fault::is_expired(&answer) {
            return Err(no_session());
        }
        Ok(answer)
    }

    /// Makes a call of our own that reads, and gives its body.
    ///
    /// # Errors
    /// As [`Failure`].
    pub(crate) async fn read(
        &self,
        path: &str,
        prefer: Option<&'static str>,
        credential: &Credential,
    ) -> Result<Answer, Failure> {
        let answer = self.call(&Call::get(path, prefer), credential).await?;
        fault::check(answer, false)
    }

    /// Sends a request whose answer flows.
    ///
    /// # Errors
    /// When no answer came.
    pub(crate) async fn open(
        &self,
        call: Call,
        body: Body,
        token: Option<&SecretString>,
    ) -> Result<Response<Body>, Failure> {
        let wrote = call.method != Method::GET;
        let request = self.request(&call, token, body)?;
        let response = self
            .http
            .send(request)
            .await
            .map_err(|error| unsent(&error, wrote))?;
        self.allowed.note(response.headers(), self.ambient.now());
        Ok(response)
    }

    /// The connection's own sign-in.
    ///
    /// # Errors
    /// When the connection has none.
    pub(crate) fn session(&self) -> Result<&Session, Failure> {
        self.session
            .as_ref()
            .ok_or_else(|| Failure::not_sent("the connection has no credential of its own"))
    }

    async fn once(&self, call: &Call, token: &SecretString) -> Result<Answer, Failure> {
        let wrote = call.method != Method::GET;
        let request = self.request(call, Some(token), call.body.clone().into())?;
        let (head, body) = self
            .http
            .send(request)
            .await
            .map_err(|error| unsent(&error, wrote))?
            .into_parts();
        self.allowed.note(&head.headers, self.ambient.now());
        let batch = multipart::boundary(&head.headers).is_some();
        let body = if batch {
            // Each part that came tells what became of one write.
            as_far_as_it_comes(body).await
        } else {
            match read_to_end(body, ANSWER_LIMIT).await {
                Ok(body) => body,
                // The head already says that it happened, or that it did not.
                Err(_) if wrote => Bytes::new(),
                Err(error) => {
                    let to = self.url.host_str().unwrap_or_default().to_owned();
                    return Err(Failure::not_sent(
                        ExecuteError::Body { to, source: error }.to_string(),
                    ));
                }
            }
        };
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }

    fn request(
        &self,
        call: &Call,
        token: Option<&SecretString>,
        body: Body,
    ) -> Result<Request<Body>, Failure> {
        let origin = self.url.origin().ascii_serialization();
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(format!("{origin}{}", call.path_and_query))
            .body(body)
            .map_err(|error| Failure::not_sent(error.to_string()))?;
        *request.headers_mut() = call.headers.clone();
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
                .map_err(|_| Failure::not_sent("the token is no header text"))?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        Ok(request)
    }
}

/// The environment takes no token of the connection's own. Not the caller's affair: a 401 would
/// make it sign in again, for nothing.
pub(crate) fn no_session() -> Failure {
    Failure::Repeatable {
        code: "sign_in".to_owned(),
        reason: "the environment does not take the connection's own token".to_owned(),
        retry_after: None,
        response: None,
    }
}

/// A body up to its end, or up to where it broke off.
async fn as_far_as_it_comes(mut body: Body) -> Bytes {
    let mut came = BytesMut::new();
    while let Some(Ok(frame)) = body.frame().await {
        if let Some(chunk) = frame.data_ref() {
            if came.len() + chunk.len() > ANSWER_LIMIT {
                break;
            }
            came.extend_from_slice(chunk);
        }
    }
    came.freeze()
}

fn unsent(error: &SendError, wrote: bool) -> Failure {
    if wrote && !error.is_not_sent() {
        return Failure::Unknown {
            reason: error.to_string(),
        };
    }
    Failure::not_sent(error.to_string())
}
