//! The `oauth2` crate over the one HTTP client.
//!
//! ```text
//! BasicClient::new(id).set_client_secret(s).set_token_uri(u)
//!     .exchange_client_credentials().add_scope(…)
//!     .request_async(&Http(client)) ─▶ token(answer, now, life) / refused(error)
//! ```
//!
//! Grants for which that crate has no builder (JWT bearer) go through [`request`], which uses its
//! types for the answer.

use std::collections::BTreeMap;
use std::time::Duration;

use crmgate_domain::Timestamp;
use crmgate_outbound::{Client, ExecuteError};
use futures::future::BoxFuture;
use http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use jiff::SignedDuration;
use oauth2::basic::{BasicErrorResponse, BasicErrorResponseType, BasicTokenType};
use oauth2::{
    AsyncHttpClient, ErrorResponse, ExtraTokenFields, HttpRequest, HttpResponse, RequestTokenError,
    StandardErrorResponse, StandardTokenResponse, TokenResponse,
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{SignInError, Token};

/// No honest token answer is longer.
const ANSWER_LIMIT: usize = 256 * 1024;

/// The client that `oauth2`'s requests go out by.
#[derive(Debug, Clone)]
pub struct Http(pub Client);

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = ExecuteError;
    type Future = BoxFuture<'c, Result<HttpResponse, ExecuteError>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.0.execute(request, ANSWER_LIMIT))
    }
}

/// Members of a token answer beyond the standard's.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Extra(BTreeMap<String, serde_json::Value>);

impl ExtraTokenFields for Extra {}

/// A token answer with its extra members.
pub type Answer = StandardTokenResponse<Extra, BasicTokenType>;

/// The `oauth2` client whose answers keep their extra members; use it as `BasicClient`.
pub type OAuthClient<
    HasAuthUrl = oauth2::EndpointNotSet,
    HasDeviceAuthUrl = oauth2::EndpointNotSet,
    HasIntrospectionUrl = oauth2::EndpointNotSet,
    HasRevocationUrl = oauth2::EndpointNotSet,
    HasTokenUrl = oauth2::EndpointNotSet,
> = oauth2::Client<
    BasicErrorResponse,
    Answer,
    oauth2::basic::BasicTokenIntrospectionResponse,
    oauth2::StandardRevocableToken,
    oauth2::basic::BasicRevocationErrorResponse,
    HasAuthUrl,
    HasDeviceAuthUrl,
    HasIntrospectionUrl,
    HasRevocationUrl,
    HasTokenUrl,
>;

/// Makes a token of an answer. `life` is how long it is used where the answer does not say.
#[must_use]
pub fn token(answer: &Answer, now: Timestamp, life: Duration) -> Token {
    let life = answer.expires_in().unwrap_or(life);
    let life = SignedDuration::try_from(life).unwrap_or(SignedDuration::MAX);
    let secret_member = |name: &str| name.ends_with("token");
    Token {
        secret: SecretString::from(answer.access_token().secret().as_str()),
        expires: now.checked_add(life).unwrap_or(Timestamp::MAX),
        scopes: answer.scopes().map(|scopes| {
            scopes
                .iter()
                .map(|scope| scope.as_str().to_owned())
                .collect()
        }),
        extra: answer
            .extra_fields()
            .0
            .iter()
            .filter(|(name, _)| !secret_member(name))
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect(),
    }
}

/// What a failed request of the `oauth2` crate means. Takes no text from bodies but the standard's
/// `error` and `error_description`.
pub fn refused<T>(error: RequestTokenError<ExecuteError, StandardErrorResponse<T>>) -> SignInError
where
    T: oauth2::ErrorResponseType + std::fmt::Display + 'static,
    StandardErrorResponse<T>: ErrorResponse,
{
    let reason = match error {
        RequestTokenError::ServerResponse(answer) => {
            let code = answer.error().to_string();
            let message = answer.error_description().cloned().unwrap_or_default();
            return host_said(code, message, None);
        }
        RequestTokenError::Request(error) => error.to_string(),
        RequestTokenError::Parse(error, _) => {
            format!("the answer is no token answer: wrong at `{}`", error.path())
        }
        RequestTokenError::Other(text) => text,
    };
    SignInError::Unavailable {
        reason,
        retry_after: None,
    }
}

/// Sends a form to a token end point.
///
/// # Errors
/// As [`SignInError`].
pub async fn request(
    client: &Client,
    endpoint: &Url,
    form: &[(&str, &str)],
) -> Result<Answer, SignInError> {
    let unavailable = |reason: String| SignInError::Unavailable {
        reason,
        retry_after: None,
    };
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let request = http::Request::post(endpoint.as_str())
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(body.into_bytes())
        .map_err(|error| unavailable(error.to_string()))?;
    let answer = client
        .execute(request, ANSWER_LIMIT)
        .await
        .map_err(|error| unavailable(error.to_string()))?;
    let status = answer.status();
    if status.is_success() {
        return serde_json::from_slice(answer.body())
            // The parser's own message may quote the answer.
            .map_err(|_| unavailable("the answer is no token answer".to_owned()));
    }
    let retry_after = answer
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map(Duration::from_secs);
    match serde_json::from_slice::<StandardErrorResponse<BasicErrorResponseType>>(answer.body()) {
        Ok(error) => {
            let message = error.error_description().cloned().unwrap_or_default();
            Err(host_said(error.error().to_string(), message, retry_after))
        }
        Err(_) => Err(SignInError::Unavailable {
            reason: format!("the sign-in host answered {status}"),
            retry_after,
        }),
    }
}

fn host_said(code: String, message: String, retry_after: Option<Duration>) -> SignInError {
    // RFC 6749 §5.2 has no "later"; these two stand in its place in practice.
    if matches!(code.as_str(), "temporarily_unavailable" | "server_error") {
        return SignInError::Unavailable {
            reason: format!("{code}: {message}"),
            retry_after,
        };
    }
    SignInError::Refused { code, message }
}
