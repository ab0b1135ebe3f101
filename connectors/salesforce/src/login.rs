//! Clients' own sign-in, through the gate.

use std::sync::LazyLock;

use crmgate_connector::{
    Body, Class, Failure, NativeRequest, NativeResponse, Refusal, RequestHead,
};
use crmgate_domain::{Document, Object};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use secrecy::{ExposeSecret as _, SecretString};

use crate::connector::SalesforceConnector;
use crate::door;
use crate::failure::{Effect, unanswered};
use crate::headers;
use crate::identity::{scopes, token_hash};
use crate::render::render;
use crate::settings::origin_text;
use crate::soap::{self, Given, move_origin};
use crate::upstream::{Call, whole};

/// The longest sign-in request.
const REQUEST_LIMIT: usize = 256 * 1024;

/// An id where none is known, in Salesforce's form.
const NO_USER: &str = "005000000000000AAA";
const NO_ORG: &str = "00D000000000000EAA";

/// What a token of the gate's own begins with.
const OWN_TOKEN: &str = "crmgate_";

/// Salesforce's clients put tokens here.
pub(crate) fn caller_token(head: &RequestHead) -> Option<SecretString> {
    let given = head.headers.get_all(header::AUTHORIZATION);
    let mut given = given.iter();
    if let Some(value) = given.next() {
        // Two credentials could be read differently here and there.
        if given.next().is_some() {
            return None;
        }
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        let known = ["bearer", "oauth"];
        let token = token.trim();
        return (known.contains(&scheme.to_ascii_lowercase().as_str()) && !token.is_empty())
            .then(|| SecretString::from(token));
    }
    if let Some(session) = head.header("x-sfdc-session") {
        return Some(SecretString::from(session));
    }
    // A SOAP call carries its session in the body, which passes as it came where it passes at all.
    by_soap(head).then(|| SecretString::from(""))
}

static FORWARDED: LazyLock<[header::HeaderName; 6]> = LazyLock::new(|| {
    [
        header::ACCEPT,
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        header::USER_AGENT,
        header::ACCEPT_LANGUAGE,
        header::HeaderName::from_static("soapaction"),
    ]
});

impl SalesforceConnector {
    pub(crate) async fn sign_in_through(
        &self,
        request: NativeRequest,
    ) -> Result<NativeResponse, Failure> {
        let NativeRequest { head, body } = request;
        let Class::SignIn(matched) = door::classify(&head) else {
            return Err(not_a_sign_in(&head, "this is no sign-in request"));
        };
        let body = body
            .collect(REQUEST_LIMIT)
            .await
            .map_err(|error| not_a_sign_in(&head, &error.to_string()))?;
        let by_soap = matched.route.id.starts_with("soap-");
        if by_soap {
            headers::utf8(&head.headers)
                .and_then(|()| soap::parse_login(&body))
                .map_err(|malformed| not_a_sign_in(&head, &malformed.message))?;
        }
        let mut call = Call::get(
            head.uri
                .path_and_query()
                .map_or_else(|| "/".to_owned(), ToString::to_string),
        );
        call.method = head.method.clone();
        call.headers = sign_in_headers(&head.headers);
        let response = self
            .upstream
            .send(&self.upstream.login, &call, None, body.into())
            .await
            .map_err(|error| unanswered(&error, Effect::Reads))?;
        let answer = whole(response, Effect::Reads).await?;
        let gate = origin_text(&head.gate);
        if by_soap {
            let text = String::from_utf8_lossy(&answer.body);
            let moved = soap::move_addresses(&text, &gate);
            let mut response = answer.native();
            response.body = Body::Full(moved.into());
            return Ok(response);
        }
        if matched.route.id == "oauth-token"
            && answer.status.is_success()
            && let Ok(Document::Object(mut token)) = Document::parse(&answer.body)
        {
            self.remember_scopes(&token).await;
            for name in ["instance_url", "api_instance_url", "id"] {
                if let Some(url) = token.get(name).and_then(Document::as_str) {
                    let moved = move_origin(url, &gate);
                    token.set(name, moved.into());
                }
            }
            let mut response = answer.native();
            response.body = Body::Full(Document::from(token).to_json().into());
            return Ok(response);
        }
        let links = self.upstream.links(&head.gate);
        let mut response = answer.native();
        response.body = links.body(response.body, crate::pass::LINK_KEYS);
        Ok(response)
    }

    async fn remember_scopes(&self, token: &Object) {
        let text = |name: &str| token.get(name).and_then(Document::as_str);
        if let (Some(access), Some(scope)) = (text("access_token"), text("scope")) {
            let key = token_hash(&SecretString::from(access));
            self.scopes.insert(key, scopes(scope)).await;
        }
    }

    /// The sign-in answer of a brokered connection.
    pub(crate) fn brokered_token(
        &self,
        request: &NativeRequest,
        token: &SecretString,
    ) -> NativeResponse {
        let gate = origin_text(&request.head.gate);
        let org = self.org.get().map_or(NO_ORG, String::as_str);
        if by_soap(&request.head) {
            let username = match &request.body {
                Body::Full(body) => soap::parse_login(body).map(|login| login.username),
                Body::Stream(_) => Ok(String::new()),
            };
            return soap::login_answer(&Given {
                gate: &gate,
                path: request.head.path(),
                session: token.expose_secret(),
                user: NO_USER,
                org,
                username: &username.unwrap_or_default(),
            });
        }
        let mut body = Object::new();
        body.set("access_token", token.expose_secret().into());
        body.set("instance_url", gate.as_str().into());
        body.set("id", format!("{gate}/id/{org}/{NO_USER}").into());
        body.set("token_type", "Bearer".into());
        let issued = self.ambient.now().as_millisecond().to_string();
        body.set("issued_at", issued.into());
        // Clients take it for a text and none can check it: the key is the issuer's alone.
        body.set("signature", "".into());
        body.set("scope", "api".into());
        let json = Document::from(body).to_json();
        let mut response =
            NativeResponse::full(StatusCode::OK, "application/json;charset=UTF-8", json);
        let no_store = HeaderValue::from_static("no-cache, no-store");
        response.headers.insert(header::CACHE_CONTROL, no_store);
        response
    }
}

fn by_soap(head: &RequestHead) -> bool {
    head.path()
        .to_ascii_lowercase()
        .starts_with("/services/soap/")
}

/// The gate's own token in a sign-in request: wherever a client of this CRM puts a secret.
pub(crate) fn brokered(request: &NativeRequest) -> Option<SecretString> {
    let Body::Full(body) = &request.body else {
        return None;
    };
    let own = |text: &str| {
        let at = text.find(OWN_TOKEN)?;
        text.get(at..).map(SecretString::from)
    };
    if by_soap(&request.head) {
        let login = soap::parse_login(body).ok()?;
        return own(login.password.expose_secret());
    }
    let form: Vec<(String, String)> = url::form_urlencoded::parse(body).into_owned().collect();
    let in_form = ["client_secret", "password", "refresh_token"]
        .into_iter()
        .find_map(|name| {
            let (_, value) = form.iter().find(|(key, _)| key == name)?;
            own(value)
        });
    in_form.or_else(|| own(basic_password(&request.head)?.expose_secret()))
}

/// The password of a basic `Authorization` header.
fn basic_password(head: &RequestHead) -> Option<SecretString> {
    use base64::Engine as _;
    let (scheme, encoded) = head.header("authorization")?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(encoded.trim())
        .ok()?;
    let text = String::from_utf8(decoded).ok()?;
    text.split_once(':')
        .map(|(_, password)| SecretString::from(password))
}

fn sign_in_headers(given: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for name in FORWARDED.iter() {
        if let Some(value) = given.get(name) {
            kept.insert(name.clone(), value.clone());
        }
    }
    if !kept.contains_key(header::ACCEPT) {
        headers::set(&mut kept, header::ACCEPT, "*/*");
    }
    kept
}

/// A request at a sign-in door that is something else: the gate treats it as not understood.
fn not_a_sign_in(head: &RequestHead, why: &str) -> Failure {
    let refusal = Refusal::NotUnderstood {
        message: why.to_owned(),
    };
    Failure::Refused {
        code: "not_understood".to_owned(),
        message: why.to_owned(),
        response: Some(Box::new(render(head, &refusal))),
    }
}
