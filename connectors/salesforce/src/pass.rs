//! Requests that pass as they came, and answers that flow back.

use bytes::Bytes;
use crmgate_connector::rewrite::LinkKeys;
use crmgate_connector::{
    Body, BodyError, Class, Credential, Failure, NativeRequest, NativeResponse, RequestHead,
};
use crmgate_outbound::Body as OutboundBody;
use crmgate_store::Permit;
use futures::{StreamExt as _, TryStreamExt as _};
use http::{Method, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use secrecy::ExposeSecret as _;

use crate::connector::SalesforceConnector;
use crate::door::{self, METHOD_OVERRIDE};
use crate::failure::{Effect, unanswered};
use crate::headers;
use crate::upstream::{Call, no_session, not_for_others, whole};

/// Bodies up to this size are held, so that they can be sent again under a new session.
const HELD_BODY: usize = 16 * 1024 * 1024;

/// Members of Salesforce's answers that hold absolute addresses.
pub(crate) const LINK_KEYS: LinkKeys = LinkKeys {
    exact: &[
        "api_instance_url",
        "custom_domain",
        "enterprise",
        "feed_elements",
        "feed_items",
        "feeds",
        "groups",
        "id",
        "identity",
        "instance_url",
        "metadata",
        "nextRecordsUrl",
        "partner",
        "picture",
        "profile",
        "query",
        "recent",
        "rest",
        "search",
        "sobjects",
        "sub",
        "thumbnail",
        "tooling_rest",
        "tooling_soap",
        "uiDetailTemplate",
        "uiEditTemplate",
        "uiNewRecord",
        "url",
        "users",
    ],
    suffixes: &[],
};

impl SalesforceConnector {
    pub(crate) async fn pass_on(
        &self,
        request: NativeRequest,
        credential: &Credential,
        permit: Option<Permit>,
    ) -> Result<NativeResponse, Failure> {
        let NativeRequest { head, body } = request;
        let class = door::classify(&head);
        let effect = match (&class, permit) {
            (Class::Open(_) | Class::Read(_), _) => Effect::Reads,
            (_, Some(permit)) => {
                permit
                    .admit(&self.name, head.passing_hash(), self.ambient.now())
                    .map_err(|error| Failure::not_sent(error.to_string()))?;
                Effect::Writes
            }
            (_, None) => {
                return Err(Failure::not_sent("a request that may write needs a permit"));
            }
        };
        let (method, target) = passed_target(&head, &class);
        let bodiless = effect == Effect::Reads && matches!(method, Method::GET | Method::HEAD);
        // Nobody looks at what comes with a GET; a server that leaves it lying would take it for
        // the next request.
        let body = if bodiless { Body::empty() } else { body };
        let call = Call {
            method,
            target,
            headers: passed_headers(&head, effect),
            body: Bytes::new(),
        };
        let response = match (&class, credential) {
            (Class::Open(_), _) => self.flow(&call, None, body, effect).await?,
            (_, Credential::Caller(token)) => {
                let token = Some(token).filter(|token| !token.expose_secret().is_empty());
                self.flow(&call, token, body, effect).await?
            }
            (_, Credential::Service) => self.as_service(call, body, effect).await?,
            (_, Credential::OnBehalfOf(_)) => return Err(not_for_others()),
        };
        Ok(self.flowing(&head, response))
    }

    async fn flow(
        &self,
        call: &Call,
        token: Option<&secrecy::SecretString>,
        body: Body,
        effect: Effect,
    ) -> Result<Response<OutboundBody>, Failure> {
        self.upstream
            .send(&self.upstream.instance, call, token, outbound(body))
            .await
            .map_err(|error| unanswered(&error, effect))
    }

    /// Under the connection's own session; once more under a new one where it had expired.
    async fn as_service(
        &self,
        call: Call,
        body: Body,
        effect: Effect,
    ) -> Result<Response<OutboundBody>, Failure> {
        let body = body
            .collect(HELD_BODY)
            .await
            .map_err(|error| Failure::not_sent(error.to_string()))?;
        let session = self.upstream.session()?;
        let token = session.token().await?;
        let held = || Body::Full(body.clone());
        let response = self
            .flow(&call, Some(&token.secret), held(), effect)
            .await?;
        if !matches!(
            response.status(),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
        ) {
            return Ok(response);
        }
        let answer = whole(response, effect).await?;
        if !answer.session_expired() {
            let mut response = Response::new(OutboundBody::from(answer.body));
            *response.status_mut() = answer.status;
            *response.headers_mut() = answer.headers;
            return Ok(response);
        }
        session.forget(&token);
        let token = session.token().await?;
        let response = self
            .flow(&call, Some(&token.secret), held(), effect)
            .await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            return Err(no_session());
        }
        Ok(response)
    }

    /// An answer on its way to the client, links rewritten.
    pub(crate) fn flowing(
        &self,
        head: &RequestHead,
        response: Response<OutboundBody>,
    ) -> NativeResponse {
        let links = self.upstream.links(&head.gate);
        let (parts, body) = response.into_parts();
        let mut answered = headers::answered(&parts.headers);
        links.headers(&mut answered, &[header::LOCATION, header::CONTENT_LOCATION]);
        headers::stay_at(&mut answered, &head.gate);
        let json = parts
            .headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.contains("json"));
        let body = inbound(body);
        NativeResponse {
            status: parts.status,
            headers: answered,
            body: if json {
                links.body(body, LINK_KEYS)
            } else {
                body
            },
        }
    }
}

/// Method and target as they go out. A read that came as a POST with `_HttpMethod` goes out as what
/// it was taken for: Salesforce must not be able to read the override in another way.
fn passed_target(head: &RequestHead, class: &Class) -> (Method, String) {
    let target = head
        .uri
        .path_and_query()
        .map_or_else(|| "/".to_owned(), ToString::to_string);
    match class {
        Class::Open(matched) | Class::Read(matched) if matched.method != head.method => {
            let query = head.query().into_iter();
            let kept = query.filter(|(name, _)| name != METHOD_OVERRIDE);
            let query = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(kept)
                .finish();
            let question = if query.is_empty() { "" } else { "?" };
            let target = format!("{}{question}{query}", head.path());
            (matched.method.clone(), target)
        }
        _ => (head.method.clone(), target),
    }
}

/// Unjudged writes (observe mode) keep the headers that mean nothing to a judged one.
fn passed_headers(head: &RequestHead, effect: Effect) -> http::HeaderMap {
    let mut kept = headers::forwarded(head);
    if effect == Effect::Writes {
        for name in [
            "soapaction",
            "content-disposition",
            "x-sfdc-session",
            "accept",
        ] {
            if let Some(value) = head.headers.get(name) {
                kept.insert(header::HeaderName::from_static(name), value.clone());
            }
        }
    }
    kept
}

/// A body on its way to Salesforce.
pub(crate) fn outbound(body: Body) -> OutboundBody {
    match body {
        Body::Full(bytes) => OutboundBody::from(bytes),
        Body::Stream(stream) => OutboundBody::streamed(StreamBody::new(stream.map_ok(Frame::data))),
    }
}

/// A body on its way to the client.
fn inbound(body: OutboundBody) -> Body {
    let chunks = body
        .into_data_stream()
        .map(|chunk| chunk.map_err(|error| BodyError(error.to_string())));
    Body::Stream(Box::pin(chunks))
}
