//! Headers: which reach Salesforce, which come back, which are refused on a write.

use crmgate_connector::{Malformed, RequestHead};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use url::Url;

/// Request headers that reach Salesforce. Everything else is dropped: credentials are set by the
/// gate, answers are asked for uncompressed because links in them are rewritten.
const FORWARDED: &[&str] = &[
    "accept",
    "accept-language",
    "content-type",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "range",
    "sforce-auto-assign",
    "sforce-call-options",
    "sforce-duplicate-rule-header",
    "sforce-limit-info",
    "sforce-locator",
    "sforce-mru",
    "sforce-query-options",
    "user-agent",
    "x-prettyprint",
];

/// Names the version of a managed package whose behaviour is asked for.
const PACKAGE_VERSION: &str = "x-sfdc-packageversion-";

/// Answer headers that belong to one connection, to Salesforce's own host, or to what the HTTP
/// layer works out itself.
const KEPT_BACK: &[&str] = &[
    "alt-svc",
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "set-cookie",
    "strict-transport-security",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What of a request's headers reaches Salesforce.
pub(crate) fn forwarded(head: &RequestHead) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for (name, value) in &head.headers {
        let text = name.as_str();
        if FORWARDED.contains(&text) || text.starts_with(PACKAGE_VERSION) {
            kept.append(name.clone(), value.clone());
        }
    }
    // XML answers carry links that only JSON answers are searched for.
    let wants_xml = kept
        .get_all(header::ACCEPT)
        .iter()
        .any(|accept| accept.to_str().is_ok_and(|text| text.contains("xml")));
    if wants_xml {
        kept.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    }
    kept
}

/// Headers of a judged write that go along with it; refuses those that would change what the
/// write means after it was judged.
pub(crate) fn for_write(head: &RequestHead) -> Result<HeaderMap, Malformed> {
    for name in ["if-none-match", "if-modified-since"] {
        if head.headers.contains_key(name) {
            return Err(Malformed::new(
                "bypass_refused",
                format!("the header `{name}` is not understood on a write"),
            ));
        }
    }
    for name in ["if-match", "if-unmodified-since"] {
        if head.headers.get_all(name).iter().count() > 1 {
            return Err(Malformed::new(
                "bypass_refused",
                format!("the header `{name}` stands twice"),
            ));
        }
    }
    // `defaultNamespace` changes which fields are meant; of the options only `client` does not.
    let options = head.headers.get_all("sforce-call-options");
    let harmless = options.iter().all(|value| {
        let text = value.to_str().unwrap_or("?");
        text.split([';', ',']).map(str::trim).all(|option| {
            let name = option.split('=').next().unwrap_or_default().trim();
            option.is_empty() || name.eq_ignore_ascii_case("client")
        })
    });
    if !harmless {
        return Err(Malformed::new(
            "bypass_refused",
            "`Sforce-Call-Options`: expected `client=NAME` and nothing else on a write; name \
             fields with their namespace instead of setting `defaultNamespace`",
        ));
    }
    let mut kept = forwarded(head);
    kept.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    kept.remove(header::CONTENT_TYPE);
    kept.remove(header::RANGE);
    Ok(kept)
}

/// What of an answer's headers reaches the client.
pub(crate) fn answered(headers: &HeaderMap) -> HeaderMap {
    headers
        .iter()
        .filter(|(name, _)| !KEPT_BACK.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Drops a redirection to anywhere but the gate: a client that followed it would have left.
pub(crate) fn stay_at(answered: &mut HeaderMap, gate: &Url) {
    let leaves = answered.get(header::LOCATION).is_some_and(|location| {
        let target = location.to_str().ok().and_then(|text| gate.join(text).ok());
        target.is_none_or(|target| target.origin() != gate.origin())
    });
    if leaves {
        answered.remove(header::LOCATION);
    }
}

/// A body's media type without parameters, and whether its characters are UTF-8.
pub(crate) fn json_content(headers: &HeaderMap) -> Result<(), Malformed> {
    let refuse = |found: &str| {
        Err(Malformed::new(
            "unsupported_media_type",
            format!(
                "`Content-Type: {found}` is not understood on a write: expected `application/json` in UTF-8"
            ),
        ))
    };
    if headers.get_all(header::CONTENT_TYPE).iter().count() > 1 {
        return refuse("(several)");
    }
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return refuse("(none)");
    };
    let text = value.to_str().unwrap_or("(not text)");
    let media = text.split(';').next().unwrap_or_default().trim();
    if media.eq_ignore_ascii_case("application/json") && says_utf8(text) {
        Ok(())
    } else {
        refuse(text)
    }
}

/// Refuses a body whose characters are said to be in any other encoding than UTF-8.
pub(crate) fn utf8(headers: &HeaderMap) -> Result<(), Malformed> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    if types.all(|value| value.to_str().is_ok_and(says_utf8)) {
        return Ok(());
    }
    Err(Malformed::new(
        "unsupported_media_type",
        "`Content-Type`: expected no other charset than `utf-8`",
    ))
}

/// Whether a content type names no other charset.
fn says_utf8(text: &str) -> bool {
    text.split(';').skip(1).all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        !name.trim().eq_ignore_ascii_case("charset")
            || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    })
}

/// A header that the gate sets itself.
pub(crate) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
