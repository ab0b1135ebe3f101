//! The OAuth endpoints: token, revoke, introspect.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{Method, StatusCode, header};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::cell::Cell;
use super::id::RecordId;
use super::jwt;
use super::org::Org;
use super::reply::{Reply, plain};
use crate::crm::{Answer, Call};

/// Why no token is issued: `error` and `error_description`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Denied(pub(super) &'static str, pub(super) &'static str);

pub(super) const NO_SUCH_APP: Denied = Denied("invalid_client_id", "client identifier invalid");
const BAD_SECRET: Denied = Denied("invalid_client", "invalid client credentials");
const BAD_LOGIN: Denied = Denied("invalid_grant", "authentication failure");
const INACTIVE: Denied = Denied("inactive_user", "user is inactive");

type Form = HashMap<String, String>;

/// `/services/oauth2/…`
pub(super) fn answer(org: &Org, call: &Call, endpoint: &str) -> Answer {
    let pretty = false;
    if endpoint == "userinfo" {
        return super::identity::userinfo(org, call);
    }
    if call.method != Method::POST && !(call.method == Method::GET && endpoint == "revoke") {
        let denied = Denied("invalid_request", "only POST is supported");
        return deny(denied).render(pretty);
    }
    let form = form(call);
    match endpoint {
        "token" => token(org, call, &form).unwrap_or_else(deny).render(pretty),
        "revoke" => revoke(org, &form).unwrap_or_else(deny).render(pretty),
        "introspect" => introspect(org, call, &form)
            .unwrap_or_else(deny)
            .render(pretty),
        _ => plain(
            StatusCode::NOT_FOUND,
            "text/html;charset=UTF-8",
            "<html><body>URL No Longer Exists</body></html>",
        ),
    }
}

fn deny(denied: Denied) -> Reply {
    Reply::json(
        StatusCode::BAD_REQUEST,
        json!({"error": denied.0, "error_description": denied.1}),
    )
}

/// Parameters come in the body; Salesforce also takes them in the query.
fn form(call: &Call) -> Form {
    let query = url::form_urlencoded::parse(call.query().as_bytes());
    query
        .chain(url::form_urlencoded::parse(&call.body))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

fn field<'a>(form: &'a Form, name: &str) -> &'a str {
    form.get(name).map_or("", String::as_str)
}

fn token(org: &Org, call: &Call, form: &Form) -> Result<Reply, Denied> {
    let options = &org.options;
    let user = match field(form, "grant_type") {
        "password" => {
            client(org, call, form)?;
            login(org, field(form, "username"), field(form, "password"))?
        }
        "client_credentials" => {
            client(org, call, form)?;
            active(org, org.user_named(&options.username))?
        }
        "refresh_token" => {
            client_id(org, call, form)?;
            let given = field(form, "refresh_token");
            if options.refresh_token.is_empty() || given != options.refresh_token {
                return Err(Denied("invalid_grant", "expired access/refresh token"));
            }
            active(org, org.user_named(&options.username))?
        }
        "urn:ietf:params:oauth:grant-type:jwt-bearer" => {
            let username = jwt::subject(org, field(form, "assertion"), &call.base_url)?;
            active(org, org.user_named(&username))?
        }
        "" => {
            return Err(Denied(
                "invalid_request",
                "missing required parameter: grant_type",
            ));
        }
        _ => return Err(Denied("unsupported_grant_type", "grant type not supported")),
    };
    let scopes = scopes(org, field(form, "scope"))?;
    Ok(Reply::ok(issue(org, call, user, scopes)))
}

/// The scopes asked for, which must be some of the app's; all of them if none are asked for.
fn scopes(org: &Org, asked: &str) -> Result<Vec<String>, Denied> {
    let asked: Vec<String> = asked.split_whitespace().map(str::to_owned).collect();
    if asked.is_empty() {
        return Ok(org.options.scopes.clone());
    }
    let known = asked.iter().all(|scope| org.options.scopes.contains(scope));
    if known {
        Ok(asked)
    } else {
        Err(Denied(
            "invalid_scope",
            "the requested scope is not allowed",
        ))
    }
}

fn issue(org: &Org, call: &Call, user: RecordId, scopes: Vec<String>) -> Value {
    let options = &org.options;
    let scope = scopes.join(" ");
    let (token, session) = org.sessions.open(
        &org.entropy,
        &options.org_id,
        user,
        &options.client_id,
        scopes,
    );
    let id = format!("{}/id/{}/{user}", call.base_url, options.org_id);
    let issued_at = session.issued.to_string();
    json!({
        "access_token": token,
        "signature": signature(&options.client_secret, &format!("{id}{issued_at}")),
        "scope": scope,
        "instance_url": call.base_url,
        "id": id,
        "token_type": "Bearer",
        "issued_at": issued_at,
    })
}

fn signature(secret: &str, message: &str) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    let signed =
        jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap_or_default();
    URL_SAFE_NO_PAD
        .decode(signed)
        .map_or_else(|_| String::new(), |bytes| STANDARD.encode(bytes))
}

/// Who the client says it is: in the header, or in the form.
fn credentials(call: &Call, form: &Form) -> (String, String) {
    let header = call
        .header(header::AUTHORIZATION.as_str())
        .unwrap_or_default();
    let basic = header
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Basic"));
    let pair = basic.and_then(|(_, value)| STANDARD.decode(value.trim()).ok());
    let pair = pair.and_then(|bytes| String::from_utf8(bytes).ok());
    match pair.as_deref().and_then(|pair| pair.split_once(':')) {
        Some((id, secret)) => (id.to_owned(), secret.to_owned()),
        None => (
            field(form, "client_id").to_owned(),
            field(form, "client_secret").to_owned(),
        ),
    }
}

fn client(org: &Org, call: &Call, form: &Form) -> Result<(), Denied> {
    let (id, secret) = credentials(call, form);
    if id != org.options.client_id {
        Err(NO_SUCH_APP)
    } else if secret != org.options.client_secret {
        Err(BAD_SECRET)
    } else {
        Ok(())
    }
}

/// For flows in which the secret is optional, but must be right if given.
fn client_id(org: &Org, call: &Call, form: &Form) -> Result<(), Denied> {
    let (id, secret) = credentials(call, form);
    if id != org.options.client_id {
        Err(NO_SUCH_APP)
    } else if !secret.is_empty() && secret != org.options.client_secret {
        Err(BAD_SECRET)
    } else {
        Ok(())
    }
}

/// The user that a name and a password with its security token stand for.
pub(super) fn login(org: &Org, username: &str, password: &str) -> Result<RecordId, Denied> {
    let options = &org.options;
    let right =
        password.strip_prefix(options.password.as_str()) == Some(options.security_token.as_str());
    match org
        .user_named(username)
        .filter(|_| right && !options.password.is_empty())
    {
        Some(user) => active(org, Some(user)),
        None => Err(BAD_LOGIN),
    }
}

pub(super) fn active(org: &Org, user: Option<RecordId>) -> Result<RecordId, Denied> {
    let id = user.ok_or(Denied(
        "invalid_grant",
        "user hasn't approved this consumer",
    ))?;
    let row = org.user(id).ok_or(BAD_LOGIN)?;
    if org.user_field(&row, "IsActive") == Cell::Bool(true) {
        Ok(id)
    } else {
        Err(INACTIVE)
    }
}

fn revoke(org: &Org, form: &Form) -> Result<Reply, Denied> {
    if org.sessions.end(field(form, "token")) {
        Ok(Reply::empty(StatusCode::OK))
    } else {
        Err(Denied(
            "unsupported_token_type",
            "this token type is not supported",
        ))
    }
}

fn introspect(org: &Org, call: &Call, form: &Form) -> Result<Reply, Denied> {
    client(org, call, form)?;
    let token = field(form, "token");
    let user = |session: &super::session::Session| org.user(session.user);
    let Some((session, row)) = org
        .sessions
        .find(token)
        .and_then(|one| Some((user(&one)?, one)))
        .map(|(r, s)| (s, r))
    else {
        return Ok(Reply::ok(json!({"active": false})));
    };
    let issued = session.issued / 1000;
    Ok(Reply::ok(json!({
        "active": true,
        "scope": session.scopes.join(" "),
        "client_id": session.client_id,
        "username": org.user_field(&row, "Username").to_json(),
        "sub": format!("{}/id/{}/{}", call.base_url, org.options.org_id, session.user),
        "token_type": "access_token",
        "exp": session.expires() / 1000,
        "iat": issued,
        "nbf": issued,
    })))
}
