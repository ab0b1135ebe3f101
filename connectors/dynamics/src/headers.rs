//! Which headers pass the gate, either way.

use http::header::{
    ACCEPT, ACCEPT_LANGUAGE, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING,
    CONTENT_LENGTH, CONTENT_TYPE, ETAG, EXPECT, HOST, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED, LOCATION, PRAGMA, PROXY_AUTHORIZATION, RETRY_AFTER, SET_COOKIE, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE, USER_AGENT, VARY, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName};
use url::Url;

/// Headers of requests that mean the same to the CRM whoever sends them.
const FORWARDED: [HeaderName; 10] = [
    ACCEPT,
    ACCEPT_LANGUAGE,
    CACHE_CONTROL,
    CONTENT_TYPE,
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    PRAGMA,
    USER_AGENT,
    HeaderName::from_static("prefer"),
];

const FORWARDED_OWN: [&str; 9] = [
    "odata-version",
    "odata-maxversion",
    "consistency",
    "mscrm.mergelabels",
    "mscrm.sessiontoken",
    "mscrm.suppressduplicatedetection",
    "x-ms-client-request-id",
    "x-ms-client-session-id",
    "x-ms-correlation-id",
];

/// Prefixes and names of headers that switch off what the CRM enforces, or take on another's
/// identity. Dropping one in silence would run something else than was asked, so they are refused.
const BYPASS: [&str; 8] = [
    "mscrm.bypass",
    "mscrm.suppresscallbackregistrationexpanderjob",
    "mscrm.solutionuniquename",
    "callerobjectid",
    "mscrmcallerid",
    "mscrm.callerid",
    "mscrm.callerobjectid",
    "x-http-method",
];
const METHOD_OVERRIDES: [&str; 2] = ["x-method-override", "x-method"];

/// Headers of answers that never reach a client: those of one connection, and cookies that would
/// tie a client to one web server of the CRM's.
const KEPT_BACK: [HeaderName; 9] = [
    CONNECTION,
    CONTENT_LENGTH,
    PROXY_AUTHORIZATION,
    SET_COOKIE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    EXPECT,
];

/// Headers of answers that are kept for the answer to a failed or judged write.
const ANSWERED: [HeaderName; 10] = [
    ALLOW,
    CACHE_CONTROL,
    CONTENT_ENCODING,
    CONTENT_TYPE,
    ETAG,
    LAST_MODIFIED,
    LOCATION,
    RETRY_AFTER,
    VARY,
    WWW_AUTHENTICATE,
];

/// The first header that the gate does not let by, for people.
pub(crate) fn bypass(headers: &HeaderMap) -> Option<String> {
    headers
        .keys()
        .map(HeaderName::as_str)
        .find(|name| {
            BYPASS.iter().any(|start| name.starts_with(start)) || METHOD_OVERRIDES.contains(name)
        })
        .map(str::to_owned)
}

/// The headers of a request that reach the CRM.
pub(crate) fn forwarded(headers: &HeaderMap) -> HeaderMap {
    select(headers, |name| {
        FORWARDED.contains(name) || FORWARDED_OWN.contains(&name.as_str())
    })
}

/// All headers of a request but those of the connection and the credential, for requests that pass
/// as they came.
pub(crate) fn as_they_came(headers: &HeaderMap) -> HeaderMap {
    select(headers, |name| {
        !KEPT_BACK.contains(name)
            && ![HOST, AUTHORIZATION].contains(name)
            && name.as_str() != "accept-encoding"
            && name.as_str() != "cookie"
    })
}

/// The headers of a passed answer that reach the client.
pub(crate) fn passed(headers: &HeaderMap) -> HeaderMap {
    select(headers, |name| !KEPT_BACK.contains(name))
}

/// The headers of an answer to a write that reach the client.
pub(crate) fn answered(headers: &HeaderMap) -> HeaderMap {
    select(headers, |name| {
        let text = name.as_str();
        ANSWERED.contains(name)
            || text.starts_with("odata-")
            || text.starts_with("x-ms-")
            || matches!(text, "preference-applied" | "req_id")
    })
}

/// Drops a redirection to anywhere but the gate: a client that followed it would have left.
pub(crate) fn stay_at(answered: &mut HeaderMap, gate: &Url) {
    let leaves = answered.get(LOCATION).is_some_and(|location| {
        let target = location.to_str().ok().and_then(|text| gate.join(text).ok());
        target.is_none_or(|target| target.origin() != gate.origin())
    });
    if leaves {
        answered.remove(LOCATION);
    }
}

fn select(headers: &HeaderMap, keep: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for (name, value) in headers {
        if keep(name) {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}
