//! The directory: applications sign in and get access tokens.

mod assertion;
mod discovery;
mod key;
mod refusal;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::options::{Application, DynamicsOptions};
use crate::crm::{Answer, Call};

use refusal::Refused;

/// The tokens in force.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    open: Mutex<HashMap<String, Session>>,
}

/// What a token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// The identity's object in the directory.
    pub(crate) object_id: Uuid,
    expires: Timestamp,
}

/// Whom a token is for.
pub(crate) enum Subject<'a> {
    Application(&'a Application, Proof),
    User {
        object_id: Uuid,
        name: &'a str,
        upn: &'a str,
    },
}

/// How an application proved who it is.
#[derive(Clone, Copy)]
pub(crate) enum Proof {
    Secret,
    Certificate,
}

impl Tokens {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session that a token stands for, if it is in force.
    pub(crate) fn session(&self, token: &str, now: Timestamp) -> Option<Session> {
        self.lock()
            .get(token)
            .filter(|session| session.expires > now)
            .copied()
    }

    /// Ends a session.
    pub(crate) fn revoke(&self, token: &str) {
        self.lock().remove(token);
    }

    /// A new token.
    pub(crate) fn issue(
        &self,
        options: &DynamicsOptions,
        subject: &Subject<'_>,
        resource: &str,
        (now, id): (Timestamp, Uuid),
    ) -> Option<String> {
        let lifetime = i64::try_from(options.token_lifetime.as_secs()).unwrap_or(i64::MAX);
        let expires = Timestamp::from_second(now.as_second().saturating_add(lifetime)).ok()?;
        let tenant = options.tenant_id;
        let mut claims = json!({
            "aud": resource,
            "iss": format!("https://sts.windows.net/{tenant}/"),
            "iat": now.as_second(),
            "nbf": now.as_second(),
            "exp": expires.as_second(),
            "tid": tenant,
            "uti": id.simple().to_string(),
            "ver": "1.0",
        });
        let (object_id, more) = match subject {
            Subject::Application(application, proof) => (
                application.object_id,
                json!({
                    "appid": application.client_id,
                    "appidacr": match proof { Proof::Secret => "1", Proof::Certificate => "2" },
                    "idp": format!("https://sts.windows.net/{tenant}/"),
                    "idtyp": "app",
                }),
            ),
            Subject::User {
                object_id,
                name,
                upn,
            } => (
                *object_id,
                json!({"name": name, "upn": upn, "unique_name": upn, "scp": "user_impersonation", "idtyp": "user"}),
            ),
        };
        if let (Value::Object(claims), Value::Object(more)) = (&mut claims, more) {
            claims.extend(more);
            claims.insert("oid".to_owned(), json!(object_id));
            claims.insert("sub".to_owned(), json!(object_id));
        }
        let token = key::sign(&claims)?;
        let mut open = self.lock();
        open.retain(|_, session| session.expires > now);
        open.insert(token.clone(), Session { object_id, expires });
        Some(token)
    }
}

/// Answers what lies under `/{tenant}/…`; `None` if the address is none of the directory's.
pub(crate) fn answer(
    options: &DynamicsOptions,
    tokens: &Tokens,
    call: &Call,
    trace: Uuid,
) -> Option<Answer> {
    let parts: Vec<&str> = call.path().split('/').skip(1).collect();
    let (tenant, rest) = parts.split_first()?;
    let endpoint = rest.join("/");
    if let Some(document) = discovery::document(options, call, tenant, &endpoint) {
        return Some(match call.method {
            Method::GET => reply(StatusCode::OK, &document),
            _ => reply(StatusCode::METHOD_NOT_ALLOWED, &json!({})),
        });
    }
    let version = match endpoint.as_str() {
        "oauth2/v2.0/token" => 2,
        "oauth2/token" => 1,
        _ => return None,
    };
    let answer = if call.method == Method::POST {
        token(options, tokens, call, (tenant, version, trace))
    } else {
        Err(Refused::new(
            900_561,
            "The endpoint only accepts POST requests.",
        ))
    };
    Some(match answer {
        Ok(body) => reply(StatusCode::OK, &body),
        Err(refused) => reply(refused.status, &refused.body(call.at, trace)),
    })
}

fn token(
    options: &DynamicsOptions,
    tokens: &Tokens,
    call: &Call,
    (tenant, version, trace): (&str, u8, Uuid),
) -> Result<Value, Refused> {
    if !knows_tenant(options, tenant) {
        return Err(Refused::new(
            90_002,
            &format!(
                "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud."
            ),
        ));
    }
    let form: HashMap<String, String> = url::form_urlencoded::parse(&call.body)
        .into_owned()
        .collect();
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    match field("grant_type") {
        "client_credentials" => {}
        "" => return Err(Refused::missing("grant_type")),
        other => {
            return Err(Refused::new(
                70_003,
                &format!("The app requested an unsupported grant type '{other}'."),
            ));
        }
    }
    let (application, proof) = application(options, call, &form, tenant)?;
    let resource = if version == 2 {
        scope_resource(field("scope"))?
    } else if field("resource").is_empty() {
        return Err(Refused::missing("resource"));
    } else {
        field("resource").trim_end_matches('/').to_owned()
    };
    check_resource(options, &resource)?;
    let subject = Subject::Application(application, proof);
    let issued = tokens
        .issue(options, &subject, &resource, (call.at, trace))
        .ok_or_else(|| Refused::new(50_000, "There was an error issuing a token."))?;
    let lifetime = options.token_lifetime.as_secs();
    Ok(if version == 2 {
        json!({"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": issued})
    } else {
        let text = |seconds: i64| seconds.to_string();
        let now = call.at.as_second();
        json!({
            "token_type": "Bearer",
            "expires_in": lifetime.to_string(),
            "ext_expires_in": lifetime.to_string(),
            "expires_on": text(now.saturating_add(i64::try_from(lifetime).unwrap_or(i64::MAX))),
            "not_before": text(now),
            "resource": field("resource"),
            "access_token": issued,
        })
    })
}

fn knows_tenant(options: &DynamicsOptions, tenant: &str) -> bool {
    Uuid::try_parse(tenant).is_ok_and(|id| id == options.tenant_id)
        || tenant.eq_ignore_ascii_case(&format!("{}.onmicrosoft.com", options.organization_name))
}

/// Who asks, and how it proved that.
fn application<'a>(
    options: &'a DynamicsOptions,
    call: &Call,
    form: &HashMap<String, String>,
    tenant: &str,
) -> Result<(&'a Application, Proof), Refused> {
    let (basic_id, basic_secret) = basic(call).unzip();
    let client_id = form.get("client_id").cloned().or(basic_id);
    let client_id = client_id.ok_or_else(|| Refused::missing("client_id"))?;
    let application = Uuid::try_parse(&client_id)
        .ok()
        .and_then(|id| options.applications.iter().find(|one| one.client_id == id))
        .ok_or_else(|| {
            Refused::new(
                700_016,
                &format!("Application with identifier '{client_id}' was not found in the directory '{}'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.", options.friendly_name),
            )
        })?;
    if let Some(assertion) = form.get("client_assertion") {
        assertion::check(options, call, application, (tenant, form, assertion))?;
        return Ok((application, Proof::Certificate));
    }
    let secret = form.get("client_secret").cloned().or(basic_secret);
    match (secret, &application.client_secret) {
        (None, _) => Err(Refused::new(
            7_000_218,
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
        )),
        (Some(given), Some(known)) if same(&given, known) => Ok((application, Proof::Secret)),
        (Some(_), _) => Err(Refused::new(
            7_000_215,
            &format!(
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{client_id}'."
            ),
        )),
    }
}

/// Compares without telling by the time it takes where two secrets differ.
fn same(one: &str, two: &str) -> bool {
    one.len() == two.len()
        && one
            .bytes()
            .zip(two.bytes())
            .fold(0, |differences, (one, two)| differences | (one ^ two))
            == 0
}

fn basic(call: &Call) -> Option<(String, String)> {
    let encoded = call.header("authorization")?.strip_prefix("Basic ")?;
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    let plain = |text: &str| {
        percent_encoding::percent_decode_str(&text.replace('+', " "))
            .decode_utf8()
            .ok()
            .map(std::borrow::Cow::into_owned)
    };
    Some((plain(id)?, plain(secret)?))
}

/// Scopes that some libraries name whatever the flow, and that mean nothing here.
const OF_PEOPLE: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// `https://org.crm.dynamics.com/.default` → the resource.
fn scope_resource(scope: &str) -> Result<String, Refused> {
    let mut scopes = scope
        .split_whitespace()
        .filter(|scope| !OF_PEOPLE.contains(scope));
    let (Some(scope), None) = (scopes.next(), scopes.next()) else {
        return Err(if scope.trim().is_empty() {
            Refused::missing("scope")
        } else {
            Refused::new(
                70_011,
                &format!(
                    "The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid. The scope {scope} is not valid."
                ),
            )
        });
    };
    let resource = scope.strip_suffix("/.default").ok_or_else(|| {
        Refused::new(
            1_002_012,
            &format!("The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI)."),
        )
    })?;
    Ok(resource.trim_end_matches('/').to_owned())
}

fn check_resource(options: &DynamicsOptions, resource: &str) -> Result<(), Refused> {
    let known = match &options.resource {
        Some(only) => only.trim_end_matches('/') == resource,
        None => url::Url::parse(resource).is_ok_and(|url| url.has_host()),
    };
    if known {
        return Ok(());
    }
    Err(Refused::new(
        500_011,
        &format!(
            "The resource principal named {resource} was not found in the tenant named {}. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant.",
            options.friendly_name
        ),
    ))
}

fn reply(status: StatusCode, body: &Value) -> Answer {
    let mut answer = Response::new(Bytes::from(body.to_string()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-store, no-cache"),
    );
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    answer
}
