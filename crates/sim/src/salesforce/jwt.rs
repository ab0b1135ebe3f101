//! Signed assertions: who a JWT bearer speaks for.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use super::oauth::{Denied, NO_SUCH_APP};
use super::org::Org;

const LOGIN_HOSTS: [&str; 2] = [
    "https://login.salesforce.com",
    "https://test.salesforce.com",
];
const INVALID: Denied = Denied("invalid_grant", "invalid assertion");

/// Checks an assertion; whom it is about.
///
/// Real clients write `exp` as text, or in milliseconds where seconds are meant: both are taken, as Salesforce does.
pub(super) fn subject(org: &Org, assertion: &str, base_url: &str) -> Result<String, Denied> {
    let (message, signature) = assertion.rsplit_once('.').ok_or(INVALID)?;
    let (header, claims) = message.split_once('.').ok_or(INVALID)?;
    let header = decode(header).ok_or(INVALID)?;
    if header.get("alg").and_then(Value::as_str) != Some("RS256") {
        return Err(Denied("invalid_grant", "unsupported signature algorithm"));
    }
    let claims = decode(claims).ok_or(INVALID)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    if text("iss") != org.options.client_id {
        return Err(NO_SUCH_APP);
    }
    if !signed(org, message, signature) {
        return Err(INVALID);
    }
    if !audience(org, text("aud"), base_url) {
        return Err(Denied("invalid_grant", "audience is invalid"));
    }
    let expires = claims.get("exp").and_then(seconds).ok_or(INVALID)?;
    if expires <= org.options.common.clock.now().as_second() {
        return Err(Denied("invalid_grant", "expired authorization code"));
    }
    match text("sub") {
        "" => Err(Denied("invalid_grant", "missing required subject")),
        username => Ok(username.to_owned()),
    }
}

fn decode(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?).ok()
}

fn signed(org: &Org, message: &str, signature: &str) -> bool {
    if org.options.any_jwt_signature {
        return true;
    }
    let Some(key) = &org.jwt_key else {
        return false;
    };
    jsonwebtoken::crypto::verify(signature, message.as_bytes(), key, Algorithm::RS256)
        .unwrap_or(false)
}

fn audience(org: &Org, given: &str, base_url: &str) -> bool {
    let given = given.trim_end_matches('/');
    let own = org
        .options
        .audiences
        .iter()
        .map(|audience| audience.trim_end_matches('/'));
    // The host may be reached by either scheme; what is meant is the host.
    let host = |url: &str| url.split_once("://").map(|(_, host)| host.to_owned());
    LOGIN_HOSTS.contains(&given)
        || own.into_iter().any(|one| one == given)
        || host(given) == host(base_url)
}

fn seconds(value: &Value) -> Option<i64> {
    match value {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "saturates, which is far in the future as well"
        )]
        Value::Number(number) => number
            .as_i64()
            .or_else(|| number.as_f64().map(|float| float as i64)),
        Value::String(text) => text.trim().parse::<f64>().ok().map(|float| float as i64),
        _ => None,
    }
}
