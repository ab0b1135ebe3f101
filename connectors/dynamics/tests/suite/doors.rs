//! Doors that must be shut, and writes that must be refused unread.

use std::collections::BTreeSet;

use crmgate_connector::{Class, NativeRequest, ParseFailure, RequestHead};
use http::{HeaderName, HeaderValue};

use crate::support::{Org, Reading, with_header};

/// The table of `doors.txt`.
pub(crate) fn doors(org: &Org) -> Vec<RequestHead> {
    let lines = include_str!("doors.txt")
        .lines()
        .filter(|line| !line.starts_with('#'));
    let doors: Vec<RequestHead> = lines
        .map(|line| {
            let (request, header) = line.split_once(" | ").unwrap_or((line, ""));
            let (method, path) = request.split_once(' ').unwrap();
            let path = path.strip_prefix("//").map_or_else(
                || format!("/api/data/v9.2/{path}"),
                |rest| format!("/{rest}"),
            );
            let mut head = org.head(method, &path);
            if let Some((name, value)) = header.split_once(": ") {
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                head.headers
                    .insert(name, HeaderValue::from_str(value).unwrap());
            }
            head
        })
        .collect();
    assert!(doors.len() > 70);
    doors
}

/// Writes of understood routes that are refused before anything is sent.
pub(crate) fn malformed(org: &Org) -> Vec<NativeRequest> {
    let id = org.id("contact", "annika");
    let account = org.id("account", "northgate");
    let bodies = include_str!("bodies.txt")
        .lines()
        .filter(|line| !line.starts_with('#'));
    let broken = [
        "",
        "{",
        "[]",
        "null",
        "\"x\"",
        "{} {}",
        "{\"lastname\":\"A\"} x",
        "{\"lastname\":\"A\",}",
        "\u{feff}{\"lastname\":\"A\"}",
    ];
    let json = |method: &str, path: &str, body: &str| {
        let mut request = org.request(method, path, &body.replace("ID", &account));
        request
            .head
            .headers
            .insert("content-type", HeaderValue::from_static("application/json"));
        request
    };
    let place = format!("contacts({id})");
    let mut all: Vec<NativeRequest> = bodies
        .chain(broken)
        .map(|body| json("POST", "contacts", body))
        .collect();
    let lines = include_str!("malformed.txt").lines();
    all.extend(lines.filter(|line| !line.starts_with('#')).map(|line| {
        let (request, body) = line.split_once(" |").unwrap();
        let (method, path) = request.split_once(' ').unwrap();
        json(method, &path.replace("PLACE", &place), body.trim())
    }));
    all.extend(odd_heads(&json, &place));
    all
}

/// Preconditions and content types that are none, or several.
fn odd_heads(json: &dyn Fn(&str, &str, &str) -> NativeRequest, place: &str) -> Vec<NativeRequest> {
    let good = r#"{"jobtitle":"x"}"#;
    let mut all = Vec::new();
    for (name, value) in [
        ("if-match", "null"),
        ("if-match", "1"),
        ("if-match", "W/\"1\", W/\"2\""),
        ("if-match", ""),
        ("if-none-match", "W/\"1\""),
    ] {
        all.push(with_header(json("PATCH", place, good), name, value));
    }
    let both = with_header(json("PATCH", place, good), "if-match", "*");
    all.push(with_header(both, "if-none-match", "*"));
    let twice = with_header(json("PATCH", place, good), "if-match", "*");
    all.push(with_header(twice, "if-match", "W/\"1\""));
    all.push(with_header(json("POST", "contacts", good), "if-match", "*"));
    for kind in [
        "text/plain",
        "application/xml",
        "multipart/mixed; boundary=x",
        "application/atom+xml",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "application/json; IEEE754Compatible=true",
        "application/json, text/plain",
        "application/merge-patch+json",
        "",
    ] {
        let mut request = json("POST", "contacts", good);
        request
            .head
            .headers
            .insert("content-type", HeaderValue::from_static(kind));
        all.push(request);
    }
    all.push(with_header(
        json("POST", "contacts", good),
        "content-type",
        "application/xml",
    ));
    all
}

#[tokio::test]
async fn each_malformed_write_says_what_is_wrong() {
    let org = Org::new().await;
    let mut codes = BTreeSet::new();
    for request in malformed(&org) {
        let name = format!("{} {}", request.head.method, request.head.uri);
        let refused = match org.connector.parse(request).await {
            Err(ParseFailure::Malformed(malformed)) => malformed,
            // Found out when it is looked up.
            Ok(draft) => match org
                .connector
                .resolve(draft, &Reading::default(), &org.caller())
                .await
            {
                Err(ParseFailure::Malformed(malformed)) => malformed,
                _ => panic!("{name}"),
            },
            Err(other) => panic!("{name}: {other}"),
        };
        codes.insert(refused.code);
    }
    let codes: Vec<&str> = codes.into_iter().collect();
    assert_eq!(
        codes,
        [
            "bypass_refused",
            "conflicting_key",
            "duplicate_field",
            "invalid_id",
            "invalid_json",
            "invalid_precondition",
            "invalid_reference",
            "invalid_value",
            "not_understood",
            "unknown_field",
            "unsupported_media_type",
        ]
    );
}

#[tokio::test]
async fn the_route_table_is_walked() {
    let org = Org::new().await;
    let id = "11111111-2222-4333-8444-555555555555";
    for route in org.connector.routes().iter() {
        let path = route
            .path
            .replace("{tenant}", "common")
            .replace("{version}", "v9.2")
            .replace("{set}", "accounts")
            .replace("{key}", id)
            .replace("{property}", "name")
            .replace("{rest...}", "WhoAmI");
        for method in &route.methods {
            let class = org.connector.classify(&org.head(method, &path));
            let (Class::Open(matched)
            | Class::SignIn(matched)
            | Class::Read(matched)
            | Class::Write(matched)) = class
            else {
                panic!("{method} {path}: {class:?}");
            };
            assert_eq!(matched.route.id, route.id, "{method} {path}");
        }
    }
}

#[test]
fn headers_that_pass_are_listed() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let org = runtime.block_on(Org::new());
    let mut head = org.head("GET", "/api/data/v9.2/accounts");
    for (name, value) in [
        ("accept-encoding", "gzip"),
        ("cookie", "a=b"),
        ("host", "gate"),
        ("x-forwarded-for", "1.2.3.4"),
        ("prefer", "return=representation"),
        ("if-none-match", "null"),
        ("x-ms-client-request-id", "1"),
        ("origin", "x"),
        ("mscrm.unknown", "x"),
        ("forwarded", "for=x"),
        ("via", "x"),
        ("x-crmgate-own-id", "x"),
        ("transfer-encoding", "chunked"),
        ("te", "trailers"),
    ] {
        head.headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    let forwarded = org.connector.forwarded_headers(&head);
    let mut names: Vec<&str> = forwarded.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "content-type",
            "if-none-match",
            "odata-version",
            "prefer",
            "x-ms-client-request-id"
        ]
    );
}
