//! Clients' own sign-in, through the gate.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crmgate_connector::rewrite::{LinkKeys, Links};
use crmgate_connector::{
    Body, Failure, NativeRequest, NativeResponse, secret::ExposeSecret as _, secret::SecretString,
};
use crmgate_domain::Object;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, StatusCode};
use moka::future::Cache;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::change::json_answer;
use crate::connector::Dynamics;
use crate::headers;
use crate::pass::call_of;

/// No honest form or token answer is longer.
const LIMIT: usize = 256 * 1024;
/// How many tokens' scopes are remembered, and for how long: the longest life of a token.
const REMEMBERED: u64 = 10_000;
const REMEMBERED_FOR: Duration = Duration::from_secs(24 * 3600);
/// What a token's holder is told about its life at a brokered connection.
const BROKERED_SECONDS: i64 = 3599;
/// Members of an answer that lead a client back to the sign-in host, and the issuer: libraries
/// refuse one that is not of the host that they asked.
const LINKS: LinkKeys = LinkKeys {
    exact: &["token_endpoint", "issuer"],
    suffixes: &[],
};

/// The scopes that token answers showed, by the token's hash.
pub(crate) struct SeenScopes(Cache<[u8; 32], Vec<String>>);

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    scope: Option<String>,
}

impl SeenScopes {
    pub(crate) fn new() -> Self {
        Self(
            Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_live(REMEMBERED_FOR)
                .build(),
        )
    }

    pub(crate) async fn of(&self, token: &SecretString) -> Option<Vec<String>> {
        self.0.get(&digest(token.expose_secret())).await
    }

    async fn note(&self, body: &[u8]) {
        let Ok(answer) = serde_json::from_slice::<TokenAnswer>(body) else {
            return;
        };
        if let Some(scope) = answer.scope {
            let mut scopes: Vec<String> = scope.split_whitespace().map(short).collect();
            scopes.sort();
            self.0.insert(digest(&answer.access_token), scopes).await;
        }
    }
}

/// `https://org.crm.dynamics.com/user_impersonation` is the scope `user_impersonation`.
fn short(scope: &str) -> String {
    let last = scope
        .rsplit_once('/')
        .filter(|(start, _)| start.contains("://"));
    last.map_or(scope, |(_, last)| last).to_owned()
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// The bearer token of a request.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<SecretString> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    // Two of them would be read as one by some and as the other by others.
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| SecretString::from(token))
}

impl Dynamics {
    pub(crate) async fn signed_in(
        &self,
        request: NativeRequest,
    ) -> Result<NativeResponse, Failure> {
        let broken = |error: String| Failure::not_sent(error);
        let NativeRequest { head, body } = request;
        let body = body
            .collect(LIMIT)
            .await
            .map_err(|error| broken(error.to_string()))?;
        let body = if head.method == Method::POST {
            for_the_environment(&body, &head.gate, &self.upstream.url).into()
        } else {
            body
        };
        let call = call_of(&head, body);
        let origin = self.authority.origin().ascii_serialization();
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(format!("{origin}{}", call.path_and_query))
            .body(call.body.clone())
            .map_err(|error| broken(error.to_string()))?;
        *request.headers_mut() = call.headers;
        let answer = self
            .upstream
            .http
            .execute_bytes(request, LIMIT)
            .await
            .map_err(|error| broken(error.to_string()))?;
        let (parts, body) = answer.into_parts();
        if parts.status.is_success() {
            self.scopes.note(&body).await;
        }
        let links = Links::new([&self.authority], &head.gate);
        Ok(NativeResponse {
            status: parts.status,
            headers: headers::passed(&parts.headers),
            body: Body::Full(links.json(&body, LINKS)),
        })
    }
}

/// The form with the gate's address turned to the environment's in what says what the token is
/// for: a client that only knows the gate asks for the gate.
fn for_the_environment(form: &[u8], gate: &Url, crm: &Url) -> String {
    let links = Links::new([gate], crm);
    let pairs = url::form_urlencoded::parse(form).map(|(name, value)| {
        let value = if matches!(&*name, "scope" | "resource" | "audience") {
            let parts: Vec<String> = value
                .split(' ')
                .map(|part| links.url(part).into_owned())
                .collect();
            parts.join(" ")
        } else {
            value.into_owned()
        };
        (name.into_owned(), value)
    });
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

/// The secret in a token request: `client_secret`, the password of a Basic header, or `password`.
pub(crate) fn secret_of(request: &NativeRequest) -> Option<SecretString> {
    let Body::Full(body) = &request.body else {
        return None;
    };
    let form: Vec<(String, String)> = url::form_urlencoded::parse(body).into_owned().collect();
    let member = |name: &str| {
        let found = form
            .iter()
            .find(|(key, value)| key == name && !value.is_empty());
        found.map(|(_, value)| SecretString::from(value.as_str()))
    };
    member("client_secret")
        .or_else(|| basic_password(&request.head.headers))
        .or_else(|| member("password"))
}

fn basic_password(headers: &HeaderMap) -> Option<SecretString> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (_, password) = decoded.split_once(':')?;
    let password = percent_encoding::percent_decode_str(password)
        .decode_utf8()
        .ok()?;
    (!password.is_empty()).then(|| SecretString::from(password.as_ref()))
}

/// The answer of a brokered sign-in.
pub(crate) fn brokered(token: &SecretString) -> NativeResponse {
    let mut body = Object::new();
    body.set("token_type", "Bearer".into());
    body.set("expires_in", BROKERED_SECONDS.into());
    body.set("ext_expires_in", BROKERED_SECONDS.into());
    body.set("access_token", token.expose_secret().into());
    let mut answer = json_answer(StatusCode::OK, &body);
    answer.headers.insert(
        CONTENT_TYPE,
        http::HeaderValue::from_static("application/json; charset=utf-8"),
    );
    answer.headers.insert(
        http::header::CACHE_CONTROL,
        http::HeaderValue::from_static("no-store, no-cache"),
    );
    answer
}
