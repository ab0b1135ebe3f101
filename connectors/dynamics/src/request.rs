//! What a request is, before its table is known: the door, its headers, its query.

#[cfg(test)]
mod tests;

use crmgate_connector::routes::split_path;
use crmgate_connector::{Class, Malformed, Matched, RequestHead, RouteClass, Routes};
use crmgate_domain::RequestInfo;
use http::header::{CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, Method};

use crate::{headers, key, settings};

/// Collections of the protocol's own that are no tables.
const NOT_SETS: [&str; 6] = [
    "EntityDefinitions",
    "RelationshipDefinitions",
    "GlobalOptionSetDefinitions",
    "ManagedPropertyDefinitions",
    "CreateEntities",
    "ImportSolution",
];
/// Query options that other protocols, or older versions of this one, override methods with.
const OVERRIDES: [&str; 3] = ["_httpmethod", "x-http-method", "$method"];

/// The client's own precondition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// None.
    None,
    /// `If-Match: *`: never create.
    MustExist,
    /// `If-None-Match: *`: never update.
    MustNotExist,
    /// `If-Match: W/"1"`.
    Version(String),
}

/// Which door a request knocks at.
pub(crate) fn classify(routes: &Routes, head: &RequestHead) -> Class {
    let unknown = |why: String| Class::Unknown { why };
    if let Some(name) = headers::bypass(&head.headers) {
        return unknown(format!("the header `{name}` is not let by"));
    }
    let overridden = head
        .query()
        .into_iter()
        .find(|(name, _)| OVERRIDES.contains(&name.to_ascii_lowercase().as_str()));
    if let Some((name, _)) = overridden {
        return unknown(format!("the query option `{name}` is not let by"));
    }
    let Some(segments) = split_path(head.path()) else {
        return unknown("the path can be read in more than one way".to_owned());
    };
    let Some(matched) = routes.find(&head.method, &segments) else {
        return unknown(why_no_route(&head.method, &segments));
    };
    match matched.route.class {
        RouteClass::Open => Class::Open(matched),
        RouteClass::SignIn => Class::SignIn(matched),
        RouteClass::Read => Class::Read(matched),
        RouteClass::Write => match no_write(&matched) {
            Some(why) => unknown(why),
            None => Class::Write(matched),
        },
    }
}

/// Why what looks like a record's address is none.
fn no_write(matched: &Matched) -> Option<String> {
    let version = matched.parameter("version");
    if !settings::is_version(version) {
        return Some(format!("`{version}` is no version of the API"));
    }
    let set = matched.parameter("set");
    if set.starts_with('$') {
        return Some(format!(
            "`{set}`: several operations in one request are not understood"
        ));
    }
    if NOT_SETS.contains(&set) {
        return Some(format!("`{set}`: writing metadata is not understood"));
    }
    if !key::is_name(set) {
        return Some(format!("`{set}` is no entity set"));
    }
    let property = matched.parameters.get("property");
    property
        .filter(|name| !key::is_name(name))
        .map(|name| format!("`{name}` is no single-valued property"))
}

fn why_no_route(method: &Method, segments: &[String]) -> String {
    let last = segments.last().map_or("", String::as_str);
    let what = if last == "$ref" {
        "links between collections"
    } else if last.starts_with("Microsoft.Dynamics.CRM.") || last.starts_with("mscrm.") {
        "actions and messages for several records"
    } else {
        return format!("no understood route takes {method} here");
    };
    format!("{what} are not understood: write each record by itself")
}

/// What policies see of the request.
pub(crate) fn info(head: &RequestHead, matched: &Matched) -> RequestInfo {
    RequestInfo {
        method: matched.method.as_str().to_owned(),
        resource: matched.resource().to_owned(),
        path_parameters: matched.parameters.clone(),
        query_parameters: head.query().into_iter().collect(),
    }
}

/// The query of a write, as it is sent on: only what shapes the answer.
///
/// # Errors
/// When it holds anything else, or something twice.
pub(crate) fn write_query(head: &RequestHead) -> Result<String, Malformed> {
    let mut seen: Vec<String> = Vec::new();
    for (name, _) in head.query() {
        if !matches!(name.as_str(), "$select" | "$expand") {
            return Err(Malformed::new(
                "bypass_refused",
                format!("the query option `{name}` is not let by on a write"),
            ));
        }
        if seen.contains(&name) {
            return Err(Malformed::new(
                "not_understood",
                format!("`{name}` stands twice"),
            ));
        }
        seen.push(name);
    }
    let query = head.uri.query().filter(|query| !query.is_empty());
    Ok(query.map(|query| format!("?{query}")).unwrap_or_default())
}

/// The client's precondition.
///
/// # Errors
/// When it has several, or one that this method does not take.
pub(crate) fn condition(headers: &HeaderMap, method: &Method) -> Result<Condition, Malformed> {
    let bad = |text: String| Malformed::new("invalid_precondition", text);
    let if_match = single(headers, &IF_MATCH)?;
    // Clients send the word `null` for "no precondition" with every request.
    let if_none_match = single(headers, &IF_NONE_MATCH)?.filter(|value| *value != "null");
    match (if_match, if_none_match) {
        (None, None) => Ok(Condition::None),
        (Some(_), Some(_)) => Err(bad("`If-Match` and `If-None-Match` stand together".into())),
        _ if *method == Method::POST => Err(bad("a create takes no precondition".into())),
        (Some("*"), None) => Ok(Condition::MustExist),
        (Some(etag), None) if is_etag(etag) => Ok(Condition::Version(etag.to_owned())),
        (Some(other), None) => Err(bad(format!(
            "`If-Match: {other}`: expected `*` or one ETag"
        ))),
        (None, Some("*")) if *method == Method::PATCH => Ok(Condition::MustNotExist),
        (None, Some(other)) => Err(bad(format!(
            "`If-None-Match: {other}`: expected `*`, and only with PATCH"
        ))),
    }
}

fn is_etag(text: &str) -> bool {
    let opaque = text
        .strip_prefix("W/")
        .unwrap_or(text)
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    opaque.is_some_and(|inner| !inner.is_empty() && !inner.contains(['"', ',', ' ']))
}

fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Malformed> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Malformed::new(
            "invalid_precondition",
            format!("the header `{name}` stands twice"),
        ));
    }
    first
        .map(|value| value.to_str().map(str::trim))
        .transpose()
        .map_err(|_| Malformed::new("invalid_precondition", format!("`{name}` is no text")))
}

/// Whether a body of this content type is JSON that reads the way it looks.
///
/// # Errors
/// When it is another content type, encoding, or number format.
pub(crate) fn check_content_type(headers: &HeaderMap) -> Result<(), Malformed> {
    let bad = |text: &str| {
        Malformed::new(
            "unsupported_media_type",
            format!("`Content-Type: {text}`: expected `application/json` in UTF-8"),
        )
    };
    let text = single(headers, &CONTENT_TYPE)
        .map_err(|_| bad("(several)"))?
        .unwrap_or_default();
    let mut parts = text.split(';').map(str::trim);
    if !parts
        .next()
        .unwrap_or_default()
        .eq_ignore_ascii_case("application/json")
    {
        return Err(bad(text));
    }
    for parameter in parts.filter(|part| !part.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let (name, value) = (
            name.trim().to_ascii_lowercase(),
            value.trim().trim_matches('"'),
        );
        let harmless = match name.as_str() {
            "charset" => value.eq_ignore_ascii_case("utf-8"),
            // With it, numbers would be texts.
            "ieee754compatible" => value.eq_ignore_ascii_case("false"),
            "odata.metadata" | "odata.streaming" | "odata" => true,
            "type" => value.eq_ignore_ascii_case("entry"),
            _ => false,
        };
        if !harmless {
            return Err(bad(text));
        }
    }
    Ok(())
}
