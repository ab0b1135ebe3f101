//! Calls to the org, under the right session.

use std::sync::Arc;

use bytes::Bytes;
use crmgate_connector::rewrite::Links;
use crmgate_connector::session::{Attempt, Session};
use crmgate_connector::{Credential, Failure};
use crmgate_domain::Ambient;
use crmgate_outbound::{Body, Client, read_to_end};
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::allowance::Seen;
use crate::failure::{Answer, Effect, unanswered};
use crate::settings::origin_text;

/// The longest answer that is held in memory.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;

/// A request to the org, without a credential.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    /// A read.
    pub(crate) fn get(target: String) -> Self {
        let json = HeaderValue::from_static("application/json");
        Self {
            method: Method::GET,
            target,
            headers: HeaderMap::from_iter([(header::ACCEPT, json)]),
            body: Bytes::new(),
        }
    }
}

/// The org and its sign-in host.
pub(crate) struct Upstream {
    pub(crate) http: Client,
    pub(crate) instance: Url,
    pub(crate) login: Url,
    pub(crate) session: Option<Session>,
    pub(crate) ambient: Arc<dyn Ambient>,
    /// What answers said of the calls that are left.
    pub(crate) allowance: Seen,
}

/// Why nothing is sent on behalf of another user.
pub(crate) fn not_for_others() -> Failure {
    Failure::not_sent("the CRM takes nothing on behalf of another user")
}

impl Upstream {
    /// Sends a call once, under the credential; where the connection's own session had expired,
    /// once more under a new one (an expired session means that nothing was done).
    pub(crate) async fn call(
        &self,
        credential: &Credential,
        call: &Call,
        effect: Effect,
    ) -> Result<Answer, Failure> {
        match credential {
            Credential::Caller(token) => self.once(token, call, effect).await,
            // INVARIANT: what is to be written as somebody else is not written as ourselves.
            Credential::OnBehalfOf(_) => Err(not_for_others()),
            Credential::Service => {
                let answer = self
                    .session()?
                    .with_token(|token| async move {
                        let answer = self.once(&token.secret, call, effect).await?;
                        Ok(if answer.session_expired() {
                            Attempt::Expired(answer)
                        } else {
                            Attempt::Accepted(answer)
                        })
                    })
                    .await?;
                if answer.session_expired() {
                    return Err(no_session());
                }
                Ok(answer)
            }
        }
    }

    /// Links to the org and its sign-in host become links to the gate.
    pub(crate) fn links(&self, gate: &Url) -> Links {
        Links::new([&self.instance, &self.login], gate)
    }

    /// The connection's own session.
    pub(crate) fn session(&self) -> Result<&Session, Failure> {
        self.session.as_ref().ok_or_else(|| Failure::Repeatable {
            code: "sign_in".to_owned(),
            reason: "the connection has no credential of its own".to_owned(),
            retry_after: None,
            response: None,
        })
    }

    async fn once(
        &self,
        token: &SecretString,
        call: &Call,
        effect: Effect,
    ) -> Result<Answer, Failure> {
        let response = self
            .send(&self.instance, call, Some(token), call.body.clone().into())
            .await
            .map_err(|error| unanswered(&error, effect))?;
        let answer = whole(response, effect).await?;
        if answer.says_spent() {
            self.allowance.spent(self.ambient.now());
        }
        Ok(answer)
    }

    /// Sends to the org or the sign-in host and gives the answer as it comes.
    pub(crate) async fn send(
        &self,
        host: &Url,
        call: &Call,
        token: Option<&SecretString>,
        body: Body,
    ) -> Result<Response<Body>, crmgate_outbound::SendError> {
        let to = origin_text(host);
        let invalid = |detail: String| crmgate_outbound::SendError::Invalid {
            to: to.clone(),
            detail,
        };
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(format!("{to}{}", call.target))
            .body(body)
            .map_err(|error| invalid(error.to_string()))?;
        request.headers_mut().clone_from(&call.headers);
        if let Some(token) = token {
            let bearer = format!("Bearer {}", token.expose_secret());
            let mut value = HeaderValue::from_str(&bearer)
                .map_err(|_| invalid("the token is no header value".to_owned()))?;
            value.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        let response = self.http.send(request).await?;
        self.allowance.note(response.headers(), self.ambient.now());
        Ok(response)
    }
}

/// The org takes no session of the connection's own. Not the caller's affair: a 401 would make it
/// sign in again, for nothing.
pub(crate) fn no_session() -> Failure {
    Failure::Repeatable {
        code: "sign_in".to_owned(),
        reason: "the org does not accept the connection's own session".to_owned(),
        retry_after: None,
        response: None,
    }
}

/// Reads an answer to its end. One that breaks off after a write leaves the outcome unknown only
/// in what it said: the status came.
pub(crate) async fn whole(response: Response<Body>, effect: Effect) -> Result<Answer, Failure> {
    let (head, body) = response.into_parts();
    match read_to_end(body, ANSWER_LIMIT).await {
        Ok(body) => Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        }),
        Err(error) if effect == Effect::Reads => Err(Failure::not_sent(error.to_string())),
        Err(error) => Err(Failure::Unknown {
            reason: error.to_string(),
        }),
    }
}

/// The shared form.
pub(crate) type SharedUpstream = Arc<Upstream>;
