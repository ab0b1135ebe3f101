//! Who a session is: userinfo and the identity address.

use http::{Method, StatusCode, header};
use serde_json::{Value, json};

use super::cell::Cell;
use super::id::RecordId;
use super::org::Org;
use super::reply::{Reply, plain};
use super::store::Row;
use crate::crm::{Answer, Call};

const TEXT: &str = "text/plain;charset=UTF-8";

/// The token of a call: `Bearer …`, or `OAuth …` as older clients write.
pub(super) fn bearer(call: &Call) -> Option<&str> {
    let (scheme, token) = call
        .header(header::AUTHORIZATION.as_str())?
        .split_once(' ')?;
    let known = scheme.eq_ignore_ascii_case("Bearer") || scheme.eq_ignore_ascii_case("OAuth");
    known
        .then(|| token.trim())
        .filter(|token| !token.is_empty())
}

fn signed_in(org: &Org, call: &Call) -> Result<Row, &'static str> {
    let query = url::form_urlencoded::parse(call.query().as_bytes());
    let in_query = query
        .filter(|(name, _)| matches!(name.as_ref(), "oauth_token" | "access_token"))
        .map(|(_, value)| value.into_owned());
    let token = bearer(call).map(str::to_owned).or_else(|| in_query.last());
    let session = org.sessions.touch(&token.ok_or("Missing_OAuth_Token")?);
    session
        .and_then(|session| org.user(session.user))
        .ok_or("Bad_OAuth_Token")
}

/// `/services/oauth2/userinfo`
pub(super) fn userinfo(org: &Org, call: &Call) -> Answer {
    if !matches!(call.method, Method::GET | Method::POST | Method::HEAD) {
        return plain(StatusCode::METHOD_NOT_ALLOWED, TEXT, "");
    }
    let user = match signed_in(org, call) {
        Ok(user) => user,
        Err(reason) => return plain(StatusCode::FORBIDDEN, TEXT, reason),
    };
    let base = &call.base_url;
    let shown = |name: &str| org.user_field(&user, name).to_json();
    Reply::ok(json!({
        "sub": format!("{base}/id/{}/{}", org.options.org_id, user.id),
        "user_id": user.id.to_string(),
        "organization_id": org.options.org_id,
        "preferred_username": shown("Username"),
        "nickname": shown("CommunityNickname"),
        "name": shown("Name"),
        "email": shown("Email"),
        "email_verified": true,
        "given_name": shown("FirstName"),
        "family_name": shown("LastName"),
        "zoneinfo": shown("TimeZoneSidKey"),
        "profile": format!("{base}/{}", user.id),
        "address": {},
        "is_app_installed": true,
        "active": shown("IsActive"),
        "user_type": "STANDARD",
        "language": shown("LanguageLocaleKey"),
        "locale": shown("LocaleSidKey"),
        "utcOffset": 3_600_000,
        "updated_at": updated(org, &user),
        "urls": urls(org, base, user.id),
    }))
    .render(false)
}

/// `/id/{org}/{user}`
pub(super) fn identity(org: &Org, call: &Call, path: &str) -> Answer {
    let user = match signed_in(org, call) {
        Ok(user) => user,
        Err(reason) => return plain(StatusCode::FORBIDDEN, TEXT, reason),
    };
    let wanted = path
        .split_once('/')
        .map(|(of, id)| (RecordId::parse(of), RecordId::parse(id)));
    if wanted != Some((RecordId::parse(&org.options.org_id), Some(user.id))) {
        return plain(StatusCode::FORBIDDEN, TEXT, "Bad_Id");
    }
    let base = &call.base_url;
    let shown = |name: &str| org.user_field(&user, name).to_json();
    Reply::ok(json!({
        "id": format!("{base}/id/{}/{}", org.options.org_id, user.id),
        "asserted_user": true,
        "user_id": user.id.to_string(),
        "organization_id": org.options.org_id,
        "username": shown("Username"),
        "nick_name": shown("CommunityNickname"),
        "display_name": shown("Name"),
        "email": shown("Email"),
        "email_verified": true,
        "first_name": shown("FirstName"),
        "last_name": shown("LastName"),
        "timezone": shown("TimeZoneSidKey"),
        "mobile_phone": shown("MobilePhone"),
        "status": {"created_date": null, "body": null},
        "urls": urls(org, base, user.id),
        "active": shown("IsActive"),
        "user_type": "STANDARD",
        "language": shown("LanguageLocaleKey"),
        "locale": shown("LocaleSidKey"),
        "utcOffset": 3_600_000,
        "last_modified_date": updated(org, &user),
        "is_app_installed": true,
    }))
    .render(false)
}

fn updated(org: &Org, user: &Row) -> Value {
    match org.user_field(user, "LastModifiedDate") {
        Cell::Moment(seconds) => {
            let at = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
            Value::String(at.to_string())
        }
        other => other.to_json(),
    }
}

fn urls(org: &Org, base: &str, user: RecordId) -> Value {
    let id = &org.options.org_id;
    json!({
        "enterprise": format!("{base}/services/Soap/c/{{version}}/{id}"),
        "metadata": format!("{base}/services/Soap/m/{{version}}/{id}"),
        "partner": format!("{base}/services/Soap/u/{{version}}/{id}"),
        "rest": format!("{base}/services/data/v{{version}}/"),
        "sobjects": format!("{base}/services/data/v{{version}}/sobjects/"),
        "search": format!("{base}/services/data/v{{version}}/search/"),
        "query": format!("{base}/services/data/v{{version}}/query/"),
        "recent": format!("{base}/services/data/v{{version}}/recent/"),
        "tooling_soap": format!("{base}/services/Soap/T/{{version}}/{id}"),
        "tooling_rest": format!("{base}/services/data/v{{version}}/tooling/"),
        "profile": format!("{base}/{user}"),
        "custom_domain": base,
    })
}
