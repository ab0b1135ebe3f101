//! The connection's own sign-in: JWT bearer, client credentials, refresh token.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use crmgate_connector::Secret;
use crmgate_connector::session::oauth::{Answer, Http, OAuthClient, refused, request, token};
use crmgate_connector::session::{SignIn, SignInError, Token};
use crmgate_domain::Ambient;
use crmgate_outbound::Client;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use oauth2::{AuthType, ClientId, ClientSecret, RefreshToken, TokenResponse as _, TokenUrl};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use url::Url;

/// Token answers do not say how long a session lives. An hour is below every time-out but the two
/// shortest that an org can set, and a session that ends earlier is noticed and renewed.
const LIFE: Duration = Duration::from_secs(3600);

/// Seconds a JWT assertion is valid: Salesforce takes at most five minutes.
const ASSERTION_SECONDS: i64 = 180;

/// How the connection signs in.
pub(crate) enum Flow {
    /// A signed assertion.
    JwtBearer {
        client_id: String,
        username: String,
        private_key: Secret,
        audience: String,
    },
    /// An app's own identity.
    ClientCredentials {
        client_id: String,
        client_secret: Secret,
    },
    /// A token from an earlier, interactive sign-in.
    RefreshToken {
        client_id: String,
        client_secret: Option<Secret>,
        refresh_token: Secret,
    },
}

/// Signs in by a flow.
pub(crate) struct FlowSignIn {
    flow: Flow,
    http: Client,
    endpoint: Url,
    ambient: Arc<dyn Ambient>,
    /// The refresh token that replaced the configured one, where the org rotates them.
    rotated: Mutex<Option<SecretString>>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: i64,
}

impl FlowSignIn {
    pub(crate) fn new(flow: Flow, http: Client, endpoint: Url, ambient: Arc<dyn Ambient>) -> Self {
        Self {
            flow,
            http,
            endpoint,
            ambient,
            rotated: Mutex::new(None),
        }
    }

    async fn answer(&self) -> Result<Answer, SignInError> {
        match &self.flow {
            Flow::JwtBearer {
                client_id,
                username,
                private_key,
                audience,
            } => {
                let claims = Claims {
                    iss: client_id,
                    sub: username,
                    aud: audience,
                    exp: self.ambient.now().as_second() + ASSERTION_SECONDS,
                };
                let assertion = sign(&claims, &private_key.get()?)?;
                let form = [
                    ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                    ("assertion", assertion.expose_secret()),
                ];
                request(&self.http, &self.endpoint, &form).await
            }
            Flow::ClientCredentials {
                client_id,
                client_secret,
            } => {
                let client = oauth(client_id, Some(&client_secret.get()?))
                    .set_token_uri(TokenUrl::from_url(self.endpoint.clone()));
                client
                    .exchange_client_credentials()
                    .request_async(&Http(self.http.clone()))
                    .await
                    .map_err(refused)
            }
            Flow::RefreshToken {
                client_id,
                client_secret,
                refresh_token,
            } => {
                let secret = client_secret.as_ref().map(Secret::get).transpose()?;
                let client = oauth(client_id, secret.as_ref())
                    .set_token_uri(TokenUrl::from_url(self.endpoint.clone()));
                let current = match self.rotated() {
                    Some(token) => token,
                    None => refresh_token.get()?,
                };
                let current = RefreshToken::new(current.expose_secret().to_owned());
                client
                    .exchange_refresh_token(&current)
                    .request_async(&Http(self.http.clone()))
                    .await
                    .map_err(refused)
            }
        }
    }

    fn rotated(&self) -> Option<SecretString> {
        self.rotated
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[async_trait]
impl SignIn for FlowSignIn {
    async fn sign_in(&self) -> Result<Token, SignInError> {
        let answer = self.answer().await?;
        if let Some(next) = answer.refresh_token() {
            let next = SecretString::from(next.secret().as_str());
            *self.rotated.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
        }
        Ok(token(&answer, self.ambient.now(), LIFE))
    }
}

fn oauth(client_id: &str, secret: Option<&SecretString>) -> OAuthClient {
    let client = OAuthClient::new(ClientId::new(client_id.to_owned()))
        // In the form: Salesforce takes both, and its documentation shows this one.
        .set_auth_type(AuthType::RequestBody);
    match secret {
        Some(secret) => {
            client.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()))
        }
        None => client,
    }
}

fn sign(claims: &Claims<'_>, key: &SecretString) -> Result<SecretString, SignInError> {
    // The library's own message may quote the key file.
    let key = EncodingKey::from_rsa_pem(key.expose_secret().as_bytes())
        .map_err(|_| SignInError::Setting("`private_key` is no RSA key in PEM form".to_owned()))?;
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), claims, &key)
        .map(SecretString::from)
        .map_err(|_| SignInError::Setting("`private_key` cannot sign".to_owned()))
}
