//! Signing in at Entra ID with the connection's own credential.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crmgate_connector::secret::ExposeSecret as _;
use crmgate_connector::session::oauth::{Http, OAuthClient, refused, token};
use crmgate_connector::{SignIn, SignInError, Token};
use crmgate_domain::Ambient;
use crmgate_outbound::Client;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use oauth2::{AuthType, ClientId, ClientSecret, Scope, TokenUrl};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::settings::{Auth, Flow};

/// How long a token is used whose answer does not say: Entra's shortest default.
const LIFE: Duration = Duration::from_secs(3600);
/// What Microsoft's own library gives an assertion.
const ASSERTION_SECONDS: i64 = 600;
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Signs in as the application.
pub(crate) struct Entra {
    pub(crate) auth: Auth,
    pub(crate) http: Client,
    pub(crate) ambient: Arc<dyn Ambient>,
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: &'a str,
    sub: &'a str,
    jti: String,
    nbf: i64,
    iat: i64,
    exp: i64,
}

#[async_trait]
impl SignIn for Entra {
    async fn sign_in(&self) -> Result<Token, SignInError> {
        let auth = &self.auth;
        let client = OAuthClient::new(ClientId::new(auth.client_id.clone()))
            .set_token_uri(TokenUrl::from_url(auth.token_url.clone()))
            .set_auth_type(AuthType::RequestBody);
        let http = Http(self.http.clone());
        let scope = Scope::new(auth.scope.clone());
        let answer = match &auth.flow {
            Flow::ClientSecret(secret) => {
                let secret = secret.get()?.expose_secret().trim().to_owned();
                client
                    .set_client_secret(ClientSecret::new(secret))
                    .exchange_client_credentials()
                    .add_scope(scope)
                    .request_async(&http)
                    .await
            }
            Flow::Certificate {
                certificate,
                private_key,
            } => {
                let assertion = self.assertion(
                    certificate.get()?.expose_secret(),
                    private_key.get()?.expose_secret(),
                )?;
                client
                    .exchange_client_credentials()
                    .add_scope(scope)
                    .add_extra_param("client_assertion_type", ASSERTION_TYPE)
                    .add_extra_param("client_assertion", assertion)
                    .request_async(&http)
                    .await
            }
        };
        Ok(token(&answer.map_err(refused)?, self.ambient.now(), LIFE))
    }
}

impl Entra {
    fn assertion(&self, certificate: &str, private_key: &str) -> Result<String, SignInError> {
        let setting = |text: &str| SignInError::Setting(text.to_owned());
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes())
            .map_err(|_| setting("auth.certificate: expected a certificate in PEM"))?;
        let key = EncodingKey::from_rsa_pem(private_key.as_bytes())
            .map_err(|_| setting("auth.private_key: expected an RSA key in PEM"))?;
        let mut header = Header::new(Algorithm::PS256);
        header.x5t_s256 = Some(URL_SAFE_NO_PAD.encode(Sha256::digest(&certificate)));
        let now = self.ambient.now().as_second();
        let claims = Claims {
            aud: self.auth.token_url.as_str(),
            iss: &self.auth.client_id,
            sub: &self.auth.client_id,
            jti: random_guid(&*self.ambient),
            nbf: now,
            iat: now,
            exp: now + ASSERTION_SECONDS,
        };
        jsonwebtoken::encode(&header, &claims, &key)
            .map_err(|_| setting("auth.private_key: it cannot sign"))
    }
}

/// A version 4 GUID.
pub(crate) fn random_guid(ambient: &dyn Ambient) -> String {
    uuid::Builder::from_random_bytes(ambient.random())
        .into_uuid()
        .hyphenated()
        .to_string()
}
