//! Which door a request knocks at, once method overrides and suffixes are resolved.

use std::sync::LazyLock;

use crmgate_connector::routes::split_path;
use crmgate_connector::{Class, Matched, RequestHead, RouteClass, Routes};
use http::Method;

/// From this version on a suffix belongs to the name or key before it.
const NO_SUFFIXES: u32 = 580;

/// The query parameter that says what a POST really is.
pub(crate) const METHOD_OVERRIDE: &str = "_HttpMethod";

static ROUTES: LazyLock<Routes> = LazyLock::new(|| {
    // A broken table of the connector's own, which a test excludes, understands nothing.
    Routes::parse(include_str!("../routes.yaml"), true).unwrap_or_default()
});

/// The understood routes.
pub(crate) fn routes() -> &'static Routes {
    &ROUTES
}

/// `v66.0` as 660; `None` for what is no version.
pub(crate) fn version_number(segment: &str) -> Option<u32> {
    let (whole, tenth) = segment.strip_prefix(['v', 'V'])?.split_once('.')?;
    let digits = |text: &str, most| {
        (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !digits(whole, 3) || !digits(tenth, 1) {
        return None;
    }
    Some(whole.parse::<u32>().ok()? * 10 + tenth.parse::<u32>().ok()?)
}

/// Total: whatever is not in the table is unknown.
pub(crate) fn classify(head: &RequestHead) -> Class {
    match matched(head) {
        Ok(found) => match found.route.class {
            RouteClass::Open => Class::Open(found),
            RouteClass::SignIn => Class::SignIn(found),
            RouteClass::Read => Class::Read(found),
            RouteClass::Write => Class::Write(found),
        },
        Err(why) => Class::Unknown { why },
    }
}

fn matched(head: &RequestHead) -> Result<Matched, String> {
    let method = method(head)?;
    // Some servers take what follows a `;` in a path for parameters and leave it out.
    let mut segments = split_path(head.path())
        .filter(|_| !head.path().contains(';'))
        .ok_or_else(|| "the path can be read in two ways".to_owned())?;
    let unknown = || {
        format!(
            "`{method} {}` is no route that the gate understands",
            head.path()
        )
    };
    let rest = segments
        .first()
        .is_some_and(|first| first.eq_ignore_ascii_case("services"))
        && segments
            .get(1)
            .is_some_and(|second| second.eq_ignore_ascii_case("data"));
    if rest && let Some(version) = segments.get(2) {
        let version =
            version_number(version).ok_or_else(|| format!("`{version}` is no API version"))?;
        if version < NO_SUFFIXES {
            strip_suffix(&mut segments, &method)?;
        }
    }
    let found = routes().find(&method, &segments).ok_or_else(unknown)?;
    Ok(found)
}

/// The method in effect. `_HttpMethod` counts on a POST only; anywhere else, or twice, it is a
/// request that two readers could read differently.
fn method(head: &RequestHead) -> Result<Method, String> {
    for name in [
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
    ] {
        if head.headers.contains_key(name) {
            return Err(format!("the header `{name}` is not understood"));
        }
    }
    let query = head.query();
    let mut overrides = query
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case(METHOD_OVERRIDE));
    let Some((name, value)) = overrides.next() else {
        return Ok(head.method.clone());
    };
    if name != METHOD_OVERRIDE || overrides.next().is_some() || head.method != Method::POST {
        return Err("`_HttpMethod` is understood once, in this spelling, on a POST".to_owned());
    }
    match value.as_str() {
        "GET" => Ok(Method::GET),
        "HEAD" => Ok(Method::HEAD),
        "PATCH" => Ok(Method::PATCH),
        "DELETE" => Ok(Method::DELETE),
        other => Err(format!(
            "`_HttpMethod={other}` is not understood: expected `GET`, `HEAD`, `PATCH` or `DELETE`"
        )),
    }
}

/// Up to version 57 the last segment may end with a suffix that names the format.
fn strip_suffix(segments: &mut [String], method: &Method) -> Result<(), String> {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let keyed = segments.len() > 6;
    let Some(last) = segments.last_mut() else {
        return Ok(());
    };
    let lower = last.to_ascii_lowercase();
    if lower.ends_with(".xml") && !reads {
        return Err("XML bodies and answers are not understood for writes".to_owned());
    }
    if let Some(stem) = lower.strip_suffix(".json") {
        if keyed && !reads {
            return Err("a key that ends with `.json` can be read in two ways".to_owned());
        }
        last.truncate(stem.len());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use proptest::prelude::*;

    use super::*;

    fn head(method: &str, uri: &str) -> RequestHead {
        RequestHead {
            method: method.parse().unwrap(),
            uri: uri.parse().unwrap(),
            headers: HeaderMap::new(),
            gate: "https://127.0.0.1:8701".parse().unwrap(),
        }
    }

    fn class(method: &str, uri: &str) -> String {
        match classify(&head(method, uri)) {
            Class::Open(found) | Class::SignIn(found) | Class::Read(found) => {
                found.route.id.clone()
            }
            Class::Write(found) => {
                let parameters: Vec<String> =
                    found.parameters.values().map(ToString::to_string).collect();
                format!(
                    "{} {} {}",
                    found.route.id,
                    found.method,
                    parameters.join(" ")
                )
            }
            Class::Unknown { .. } => "unknown".to_owned(),
        }
    }

    #[test]
    fn the_table_parses() {
        assert!(routes().iter().count() > 15);
    }

    #[test]
    fn understood() {
        for (method, uri, expected) in [
            ("GET", "/services/data/", "versions"),
            ("POST", "/services/oauth2/token", "oauth-token"),
            ("POST", "/services/Soap/u/59.0", "soap-partner-login"),
            (
                "GET",
                "/services/data/v66.0/query/?q=SELECT+Id+FROM+Account",
                "read-query",
            ),
            ("GET", "/services/data/v57.0/query.json?q=x", "read-query"),
            (
                "POST",
                "/services/data/v66.0/query?_HttpMethod=GET",
                "read-query",
            ),
            (
                "POST",
                "/services/data/v66.0/sobjects/Account/",
                "create POST Account v66.0",
            ),
            (
                "POST",
                "/services/data/v66.0/SObjects/account",
                "create POST account v66.0",
            ),
            (
                "POST",
                "/services/data/v57.0/sobjects/Account.json",
                "create POST Account v57.0",
            ),
            (
                "POST",
                "/services/data/v66.0/sobjects/Account/Id",
                "create-by-id-field POST Account v66.0",
            ),
            (
                "PATCH",
                "/services/data/v66.0/sobjects/Account/001D000000IqhSL",
                "update PATCH 001D000000IqhSL Account v66.0",
            ),
            (
                "POST",
                "/services/data/v66.0/sobjects/Account/001D000000IqhSL?_HttpMethod=PATCH",
                "update PATCH 001D000000IqhSL Account v66.0",
            ),
            (
                "POST",
                "/services/data/v66.0/sobjects/Account/001D000000IqhSL?%5FHttpMethod=DELETE",
                "delete DELETE 001D000000IqhSL Account v66.0",
            ),
            (
                "PATCH",
                "/services/data/v66.0/sobjects/Contact/Ext__c/a%20b.json",
                "upsert PATCH Ext__c a b.json Contact v66.0",
            ),
        ] {
            assert_eq!(class(method, uri), expected, "{method} {uri}");
        }
    }

    #[test]
    fn every_other_door_is_shut() {
        for line in include_str!("../tests/suite/doors.txt").lines() {
            let line = line.split('#').next().unwrap().trim();
            if let Some((method, uri)) = line.split_once(' ') {
                assert_eq!(class(method, uri.trim()), "unknown", "{line}");
            }
        }
        let mut overridden = head("POST", "/services/data/v66.0/sobjects/Account");
        overridden
            .headers
            .insert("x-http-method-override", "DELETE".parse().unwrap());
        assert!(matches!(classify(&overridden), Class::Unknown { .. }));
    }

    proptest! {
        #[test]
        fn classify_is_total_and_reads_only_by_reading_methods(
            method in "(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|FOO)",
            path in "/(services/data/(v66\\.0|v5\\.0)/)?([a-zA-Z%./_0-9-]{0,30})",
            query in "(\\?_HttpMethod=[A-Za-z]{0,6})?",
        ) {
            let Ok(uri) = format!("{path}{query}").parse::<http::Uri>() else { return Ok(()) };
            let head = RequestHead {
                method: method.parse().unwrap(),
                uri,
                headers: HeaderMap::new(),
                gate: "https://127.0.0.1:8701".parse().unwrap(),
            };
            if let Class::Read(found) = classify(&head)
                && found.route.id.starts_with("read")
            {
                prop_assert!(matches!(found.method, Method::GET | Method::HEAD));
            }
        }
    }
}
