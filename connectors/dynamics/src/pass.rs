//! Requests that pass as they came, and answers that flow back.

use bytes::Bytes;
use crmgate_connector::rewrite::Links;
use crmgate_connector::{
    Body, BodyError, Class, Credential, Failure, NativeRequest, NativeResponse, RequestHead,
};
use crmgate_outbound::{Body as OutboundBody, read_to_end};
use crmgate_store::Permit;
use futures::{StreamExt as _, TryStreamExt as _};
use http::header::{CONTENT_TYPE, LOCATION};
use http::{Method, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};

use crate::change::ENTITY_ID;
use crate::connector::Dynamics;
use crate::upstream::{Call, no_session};
use crate::{headers, links, request};

/// Bodies up to this size are held, so that they can be sent again under a new session.
const HELD_BODY: usize = 16 * 1024 * 1024;
/// Answers that hold addresses in plain lists, which are short and rewritten as a whole.
const ADDRESS_BOOK: &str = "retrievecurrentorganization";
const ADDRESS_BOOK_LIMIT: usize = 1024 * 1024;

impl Dynamics {
    pub(crate) async fn pass_on(
        &self,
        request: NativeRequest,
        credential: &Credential,
        permit: Option<Permit>,
    ) -> Result<NativeResponse, Failure> {
        let NativeRequest { head, body } = request;
        let reads = matches!(
            request::classify(&self.routes, &head),
            Class::Open(_) | Class::Read(_)
        );
        let call = match permit {
            Some(permit) => {
                self.admit(permit, head.passing_hash())?;
                self.passing(&head, headers::as_they_came(&head.headers))
            }
            None if reads => self.passing(&head, headers::forwarded(&head.headers)),
            None => return Err(Failure::not_sent("a request that may write needs a permit")),
        };
        // What reads has no body that anybody looks at.
        let body = if reads { Body::empty() } else { body };
        let response = match credential {
            Credential::Caller(token) => {
                self.upstream
                    .open(call, outbound(body), Some(token))
                    .await?
            }
            Credential::Service => self.as_service(call, body).await?,
            Credential::OnBehalfOf(_) => {
                return Err(Failure::not_sent(
                    "nothing passes on behalf of another user",
                ));
            }
        };
        self.flowing(&head, response).await
    }

    /// A request that needs no credential of the gate's to be refused properly: the environment
    /// answers it with its own challenge.
    fn passing(&self, head: &RequestHead, headers: http::HeaderMap) -> Call {
        let path = head.uri.path_and_query();
        Call {
            method: head.method.clone(),
            path_and_query: path.map_or_else(|| "/".to_owned(), ToString::to_string),
            headers,
            body: Bytes::new(),
        }
    }

    /// Under the connection's own session; once more under a new one where it had expired.
    async fn as_service(&self, call: Call, body: Body) -> Result<Response<OutboundBody>, Failure> {
        let held = body
            .collect(HELD_BODY)
            .await
            .map_err(|error| Failure::not_sent(error.to_string()))?;
        let session = self.upstream.session()?;
        let token = session.token().await?;
        let first = self
            .upstream
            .open(call.clone(), held.clone().into(), Some(&token.secret))
            .await?;
        if first.status() != StatusCode::UNAUTHORIZED {
            return Ok(first);
        }
        session.forget(&token);
        let token = session.token().await?;
        let second = self
            .upstream
            .open(call, held.into(), Some(&token.secret))
            .await?;
        if second.status() == StatusCode::UNAUTHORIZED {
            return Err(no_session());
        }
        Ok(second)
    }

    /// An answer on its way to the client, links rewritten.
    async fn flowing(
        &self,
        head: &RequestHead,
        response: Response<OutboundBody>,
    ) -> Result<NativeResponse, Failure> {
        let links = Links::new([&self.upstream.url], &head.gate);
        let (parts, body) = response.into_parts();
        let mut answered = headers::passed(&parts.headers);
        links.headers(&mut answered, &[LOCATION, ENTITY_ID]);
        headers::stay_at(&mut answered, &head.gate);
        let json = answered
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("application/json"));
        let address_book = head.path().to_ascii_lowercase().contains(ADDRESS_BOOK);
        let body = if json && address_book {
            let whole = read_to_end(body, ADDRESS_BOOK_LIMIT)
                .await
                .map_err(|error| Failure::not_sent(error.to_string()))?;
            let text = String::from_utf8_lossy(&whole);
            Body::Full(links.text(&text).into_owned().into())
        } else if json {
            links.body(inbound(body), links::KEYS)
        } else {
            inbound(body)
        };
        Ok(NativeResponse {
            status: parts.status,
            headers: answered,
            body,
        })
    }
}

/// A call of another host than the environment: the sign-in host.
pub(crate) fn call_of(head: &RequestHead, body: Bytes) -> Call {
    let path = head.uri.path_and_query();
    let mut headers = http::HeaderMap::new();
    for name in [
        http::header::ACCEPT,
        CONTENT_TYPE,
        http::header::AUTHORIZATION,
    ] {
        if let Some(value) = head.headers.get(&name)
            && (name != http::header::AUTHORIZATION || head.method == Method::POST)
        {
            headers.insert(name, value.clone());
        }
    }
    Call {
        method: head.method.clone(),
        path_and_query: path.map_or_else(|| "/".to_owned(), ToString::to_string),
        headers,
        body,
    }
}

fn outbound(body: Body) -> OutboundBody {
    match body {
        Body::Full(bytes) => bytes.into(),
        Body::Stream(stream) => {
            let frames = stream.map_ok(Frame::data).map_err(std::io::Error::other);
            OutboundBody::streamed(StreamBody::new(frames))
        }
    }
}

fn inbound(body: OutboundBody) -> Body {
    let chunks = body
        .into_data_stream()
        .map(|chunk| chunk.map_err(|error| BodyError(error.to_string())));
    Body::Stream(Box::pin(chunks))
}
