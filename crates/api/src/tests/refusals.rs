//! Bad requests get an answer that says where and what to do.

use axum::body::Body;
use http::Request;

use super::world::World;
use crate::{CODES, MAX_BODY};

#[tokio::test]
async fn bad_requests_say_what_is_wrong_and_where() {
    let world = World::new().await;
    let bodies = [
        ("not JSON", "{\n  \"connection\": acme\n}"),
        ("empty", ""),
        (
            "unknown field",
            r#"{"connection": "acme-a", "objct": "contact"}"#,
        ),
        (
            "unknown field inside",
            r#"{"connection": "acme-a", "operation": {"kind": "create", "object": "contact", "recrd": {}}}"#,
        ),
        (
            "wrong type",
            r#"{"connection": "acme-a", "operation": {"kind": "create", "object": 7}}"#,
        ),
        (
            "unknown kind",
            r#"{"connection": "acme-a", "operation": {"kind": "creat", "object": "contact"}}"#,
        ),
        ("bad name", r#"{"connection": "Acme A"}"#),
        (
            "no such connection",
            r#"{"connection": "acme-z", "operation": {"kind": "create", "object": "contact", "record": {}}}"#,
        ),
        ("neither form", r#"{"connection": "acme-a"}"#),
        ("not UTF-8 in disguise", "{\"connection\": \"\\ud800\"}"),
    ];
    let mut told = String::new();
    for (what, body) in bodies {
        let answer = world
            .send(
                "POST",
                "/v1/validate",
                Some(world.token("client")),
                Some(body),
            )
            .await;
        told.push_str(&format!(
            "{what}: {} {}\n",
            answer.status.as_u16(),
            answer.text
        ));
    }
    let gets = [
        "/v1/decisions?limit=0",
        "/v1/decisions?limit=many",
        "/v1/decisions?efect=deny",
        "/v1/decisions?effect=denied",
        "/v1/decisions?since=yesterday",
        "/v1/decisions?cursor=x",
        "/v1/decisions/7",
        "/v1/decisions/0197a1b2-0000-7000-8000-000000000001",
        "/v1/connections/ACME",
        "/v1/connections/acme-z",
        "/v1/nothing",
        "/nothing",
    ];
    for path in gets {
        let answer = world
            .send("GET", path, Some(world.token("admin")), None)
            .await;
        told.push_str(&format!(
            "GET {path}: {} {}\n",
            answer.status.as_u16(),
            answer.text
        ));
    }
    let method = world
        .send("PATCH", "/v1/tokens", Some(world.token("admin")), None)
        .await;
    told.push_str(&format!(
        "PATCH /v1/tokens: {} {}\n",
        method.status.as_u16(),
        method.text
    ));
    insta::assert_snapshot!(told);
}

#[tokio::test]
async fn bodies_of_other_kinds_or_too_long_are_refused() {
    let world = World::new().await;
    let post = |headers: &[(&str, &str)], body: Vec<u8>| {
        let mut request = Request::post("/v1/validate")
            .header("authorization", format!("Bearer {}", world.token("client")));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::from(body)).unwrap()
    };
    let json = ("content-type", "application/json");
    for (headers, body, code) in [
        (
            vec![("content-type", "text/plain")],
            b"{}".to_vec(),
            "unsupported_media_type",
        ),
        (vec![], b"{}".to_vec(), "unsupported_media_type"),
        (
            vec![json, ("content-encoding", "gzip")],
            b"{}".to_vec(),
            "unsupported_media_type",
        ),
        (vec![json], vec![b' '; MAX_BODY + 1], "body_too_large"),
        (
            vec![json],
            b"{\"connection\": \"\xff\"}".to_vec(),
            "invalid_json",
        ),
    ] {
        let answer = world.raw(post(&headers, body), "127.0.0.1").await;
        assert_eq!(answer.json["code"], code, "{headers:?}: {}", answer.text);
    }
}

#[tokio::test]
async fn nothing_of_a_body_is_read_before_the_token() {
    let world = World::new().await;
    let request = Request::post("/v1/validate")
        .header("content-type", "application/json")
        .body(Body::from_stream(futures::stream::pending::<
            Result<bytes::Bytes, std::io::Error>,
        >()))
        .unwrap();
    let answer = world.raw(request, "127.0.0.1").await;
    assert_eq!(answer.status, http::StatusCode::UNAUTHORIZED);
}

#[test]
fn every_code_is_told_once() {
    let mut codes: Vec<&str> = CODES.iter().map(|(code, _, _)| *code).collect();
    codes.sort_unstable();
    let count = codes.len();
    codes.dedup();
    assert_eq!(codes.len(), count);
    let errors = [
        crmgate_app::AppError::Unauthenticated(String::new()),
        crmgate_app::AppError::Forbidden(String::new()),
        crmgate_app::AppError::not_found("x", "y"),
        crmgate_app::AppError::invalid("x", "y"),
        crmgate_app::AppError::Conflict(String::new()),
        crmgate_app::AppError::Unavailable(String::new()),
        crmgate_app::AppError::Policies(crmgate_policy::LoadError::file("x", "y", "z").into()),
        crmgate_app::AppError::Refused {
            code: String::new(),
            message: String::new(),
        },
    ];
    for error in errors {
        assert!(
            codes.contains(&error.code()),
            "`{}` is not documented",
            error.code()
        );
    }
}
