//! What reaches a connection.

use std::io::Write as _;

use axum::body::Body as WireBody;
use bytes::Bytes;
use crmgate_connector::Refusal;
use crmgate_domain::Mode;
use crmgate_gateway::{Doors, Gateway};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::{Script, call, peer, request, settings};

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

const LONG: usize = 5000;

#[tokio::test]
async fn the_connection_is_found_by_host_without_regard_to_case_or_port() {
    let (one, two) = (Script::fine(Mode::Enforce), Script::fine(Mode::Enforce));
    let doors = Doors::default()
        .with_host("One.example", one.door())
        .with_host("two.example", two.door());
    let gateway = Gateway::new(doors, settings());
    for (host, status) in [
        ("one.example", 200),
        ("ONE.example:8443", 200),
        ("one.example.", 200),
        ("two.example", 200),
        ("three.example", 421),
        ("one.example.evil.example", 421),
    ] {
        let mut request = request("GET", "/versions", WireBody::empty());
        request.extensions_mut().insert(peer(host));
        let got = call(&gateway, request).await;
        assert_eq!(got.status, status, "{host}: {got:?}");
    }
    assert_eq!((one.seen().len(), two.seen().len()), (3, 1));
}

#[tokio::test]
async fn a_request_that_no_listener_let_in_goes_nowhere() {
    let script = Script::fine(Mode::Enforce);
    let mut request = request("GET", "/versions", WireBody::empty());
    request.extensions_mut().clear();
    assert_eq!(call(&script.gateway(), request).await.status, 500);
    assert!(script.seen().is_empty());
}

#[tokio::test]
async fn the_gate_s_address_is_what_the_client_used_or_what_is_configured() {
    let script = Script::fine(Mode::Enforce);
    let path = "https://gate.example:8701/records/Contact/1?x=%27y%27";
    call(&script.gateway(), request("GET", path, WireBody::empty())).await;
    let seen = script.only();
    assert_eq!(seen.head.gate.as_str(), "https://gate.example:8701/");
    assert_eq!(seen.head.uri, "/records/Contact/1?x=%27y%27");

    let script = Script::fine(Mode::Enforce);
    let url = Some("https://public.example".parse().unwrap());
    let gateway = Gateway::new(Doors::only(script.door().with_public_url(url)), settings());
    call(&gateway, request("GET", path, WireBody::empty())).await;
    assert_eq!(script.only().head.gate.as_str(), "https://public.example/");
}

#[tokio::test]
async fn headers_that_must_not_cross_do_not() {
    let script = Script::fine(Mode::Enforce);
    let mut wanted = request("POST", "/records/Contact", "{}");
    for (name, value) in [
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("transfer-encoding", "chunked"),
        ("crmgate-effect", "allow"),
        ("crmgate-decision", "forged"),
        ("crmgate-purpose", "clean-up"),
    ] {
        wanted.headers_mut().insert(name, value.parse().unwrap());
    }
    call(&script.gateway(), wanted).await;
    let seen = script.only().head.headers;
    let mut names: Vec<_> = seen.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["authorization", "crmgate-purpose", "host"]);
}

#[tokio::test]
async fn a_compressed_write_is_judged_on_what_it_says() {
    for mode in [Mode::Enforce, Mode::Observe] {
        let script = Script::fine(mode);
        let mut wanted = request("POST", "/records/Contact", gzip(b"{\"Email\":\"a\"}"));
        wanted
            .headers_mut()
            .insert("content-encoding", "gzip".parse().unwrap());
        assert_eq!(call(&script.gateway(), wanted).await.status, 200);
        let seen = script.only();
        assert_eq!(seen.class, "write");
        assert_eq!(seen.body.unwrap(), "{\"Email\":\"a\"}");
        assert!(!seen.head.headers.contains_key("content-encoding"));
    }
}

/// Writes whose body can't be had: encoding, body.
fn unreadable() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("br", b"{}".to_vec()),
        ("gzip", b"{\"Email\":\"a\"}".to_vec()),
        ("gzip, gzip", gzip(&gzip(b"{}"))),
        ("gzip", [gzip(b"{}"), gzip(b"{}")].concat()),
        ("gzip", gzip(&[b' '; LONG])),
        ("identity", vec![b' '; LONG]),
    ]
}

#[tokio::test]
async fn a_write_whose_body_cannot_be_had_is_refused() {
    for (encoding, body) in unreadable() {
        let script = Script::fine(Mode::Enforce);
        let mut wanted = request("POST", "/records/Contact", body);
        wanted
            .headers_mut()
            .insert("content-encoding", encoding.parse().unwrap());
        let got = call(&script.gateway(), wanted).await;
        let too_large = matches!(
            script.refused().first(),
            Some(Refusal::TooLarge { limit: 1000 })
        );
        let expected = if too_large { 413 } else { 400 };
        assert_eq!(got.status, expected, "{encoding}: {got:?}");
        assert_eq!(got.header("crmgate-effect"), Some("deny"));
        assert!(script.seen().is_empty());
        assert_eq!(script.refused().len(), 1);
    }
}

#[tokio::test]
async fn observing_lets_it_pass_byte_for_byte_and_not_understood() {
    for (encoding, body) in unreadable() {
        let script = Script::fine(Mode::Observe);
        let mut wanted = request("POST", "/records/Contact", body.clone());
        wanted
            .headers_mut()
            .insert("content-encoding", encoding.parse().unwrap());
        let got = call(&script.gateway(), wanted).await;
        assert_eq!(got.status, 200, "{encoding}: {got:?}");
        assert_eq!(got.header("crmgate-mode"), Some("observe"));
        let seen = script.only();
        assert_eq!(seen.class, "unknown", "{encoding}");
        assert!(!seen.why.is_empty());
        assert_eq!(seen.body.unwrap(), body);
        assert_eq!(seen.head.header("content-encoding"), Some(encoding));
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_never_served() {
    for mode in [Mode::Enforce, Mode::Observe] {
        let script = Script::fine(mode);
        let pieces = [
            Ok(Bytes::from_static(b"{\"Email\"")),
            Err(std::io::Error::other("gone")),
        ];
        let body = WireBody::from_stream(futures::stream::iter(pieces));
        let got = call(&script.gateway(), request("POST", "/records/Contact", body)).await;
        assert_eq!(got.status, 400);
        assert!(script.seen().is_empty());
    }
}

#[tokio::test]
async fn long_bodies_flow_only_where_nothing_is_judged() {
    let long = || WireBody::from(vec![b'x'; LONG]);
    // Not understood: refused when enforcing, flowing when observing.
    let script = Script::fine(Mode::Enforce);
    let got = call(&script.gateway(), request("POST", "/jobs", long())).await;
    assert_eq!(
        (got.status, got.header("crmgate-effect")),
        (400, Some("deny"))
    );
    assert!(matches!(
        script.refused()[..],
        [Refusal::NotUnderstood { .. }]
    ));
    assert!(script.seen().is_empty());

    let script = Script::fine(Mode::Observe);
    call(&script.gateway(), request("POST", "/jobs", long())).await;
    let seen = script.only();
    assert!(seen.flowing);
    assert_eq!((seen.class, seen.body.unwrap().len()), ("unknown", LONG));

    // A read with a body over the limit is the CRM's to refuse.
    let script = Script::fine(Mode::Enforce);
    call(
        &script.gateway(),
        request("GET", "/records/Contact", long()),
    )
    .await;
    let seen = script.only();
    assert_eq!((seen.class, seen.body.unwrap().len()), ("read", LONG));

    let script = Script::fine(Mode::Observe);
    let got = call(&script.gateway(), request("POST", "/sign-in", long())).await;
    assert_eq!(got.status, 413);
}

#[tokio::test]
async fn short_requests_that_are_not_understood_are_handed_on() {
    let script = Script::fine(Mode::Enforce);
    call(&script.gateway(), request("POST", "/jobs", "a,b")).await;
    let seen = script.only();
    assert_eq!(
        (seen.class, seen.body.unwrap()),
        ("unknown", Bytes::from("a,b"))
    );
}
