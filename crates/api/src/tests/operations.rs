//! Queued operations over HTTP.

use std::io::Write as _;

use axum::body::Body;
use crmgate_store::OperationLog as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{Request, StatusCode};
use serde_json::{Value, json};

use super::answers::read;
use super::create;
use super::world::{Answer, World};
use crate::openapi::{
    LifeBody, OperationPage, QueuedBody, SubmissionBody, SubmittedBody, SweptBody,
};

async fn post(world: &World, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let mut request =
        Request::post(path).header("authorization", format!("Bearer {}", world.token("client")));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world
        .raw(request.body(Body::from(body)).unwrap(), "127.0.0.1")
        .await
}

const LINES: (&str, &str) = ("content-type", "application/x-ndjson");

fn line(name: &str) -> String {
    let mut line = create("acme-a", &json!({"name": name}));
    line["client_id"] = name.into();
    line.to_string()
}

async fn one(world: &World, name: &str) -> String {
    let answer = post(
        world,
        "/v1/operations",
        &[("content-type", "application/json")],
        line(name).into(),
    )
    .await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    answer.json["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn one_operation_is_taken_shown_and_taken_back() {
    let world = World::new().await;
    let json = ("content-type", "application/json");
    let answer = post(&world, "/v1/operations", &[json], line("Ada").into()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    let taken: SubmittedBody = read("taken", &answer.json);
    let id = taken.id.unwrap();
    assert_eq!(answer.headers["location"], format!("/v1/operations/{id}"));
    assert_eq!(taken.state.as_deref(), Some("received"));
    let get = async |path: &str| world.call("client", "GET", path, None).await;
    let shown = get(&format!("/v1/operations/{id}")).await;
    let operation: QueuedBody = read("operation", &shown.json);
    assert_eq!(
        (operation.state.as_str(), operation.r#final),
        ("received", false)
    );
    assert_eq!(
        operation.request.unwrap()["operation"]["record"]["name"],
        "Ada"
    );
    let auditor = world
        .call("auditor", "GET", &format!("/v1/operations/{id}"), None)
        .await;
    assert_eq!(
        auditor.json["request"],
        Value::Null,
        "values are not everybody's"
    );
    let page: OperationPage = read(
        "list",
        &get("/v1/operations?state=received,held").await.json,
    );
    assert_eq!(page.items.len(), 1);
    assert!(page.items[0].request.is_none());
    let life: LifeBody = read(
        "life",
        &get(&format!("/v1/operations/{id}/history")).await.json,
    );
    assert_eq!(life.history.len(), 1);
    let path = format!("/v1/operations/{id}/cancel");
    let cancelled = world.call("client", "POST", &path, None).await;
    assert_eq!(cancelled.json["state"], "cancelled", "{}", cancelled.text);
    let late = world
        .call("client", "POST", &path, Some(json!({"reason": "again"})))
        .await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert_eq!(
        (&late.json["code"], &late.json["details"]["state"]),
        (&json!("wrong_state"), &json!("cancelled"))
    );
    let waited = get(&format!("/v1/operations/{id}?wait=30s")).await;
    assert_eq!(
        waited.json["final"], true,
        "what is at its end is not waited for"
    );
    let submission = get(&format!("/v1/submissions/{}?wait=1s", taken.submission)).await;
    let submission: SubmissionBody = read("submission", &submission.json);
    assert!(submission.settled);
}

#[tokio::test]
async fn lines_are_taken_plain_or_packed_and_once() {
    let world = World::new().await;
    let text = [line("a"), line("b")].join("\n");
    let key = ("idempotency-key", "k1");
    let first = post(&world, "/v1/operations", &[LINES, key], text.clone().into()).await;
    assert_eq!(first.status, StatusCode::ACCEPTED, "{}", first.text);
    let taken: SubmittedBody = read("taken", &first.json);
    assert_eq!((taken.accepted, taken.refused), (Some(2), Some(0)));
    assert!(!first.headers.contains_key("idempotency-replayed"));
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(text.as_bytes()).unwrap();
    let packed = packer.finish().unwrap();
    let gzip = ("content-encoding", "gzip");
    let again = post(
        &world,
        "/v1/operations",
        &[LINES, key, gzip],
        packed.clone(),
    )
    .await;
    assert_eq!(
        again.headers["idempotency-replayed"], "true",
        "{}",
        again.text
    );
    assert_eq!(again.json, first.json);
    let cut = packed[..packed.len() - 5].to_vec();
    let cut = post(&world, "/v1/operations", &[LINES, gzip], cut).await;
    assert_eq!(
        (cut.status.as_u16(), &cut.json["code"]),
        (400, &json!("body_broke_off"))
    );
    let other = post(&world, "/v1/operations", &[LINES, key], line("c").into()).await;
    assert_eq!(
        (other.status.as_u16(), &other.json["code"]),
        (422, &json!("idempotency_key_reused"))
    );
    let sweep = json!({"filter": {"submission": taken.submission}, "reason": "enough"});
    let swept = world
        .call("client", "POST", "/v1/operations/cancel", Some(sweep))
        .await;
    let swept: SweptBody = read("swept", &swept.json);
    assert_eq!((swept.moved, swept.missed, swept.more), (2, 0, false));
}

type Case<'a> = (&'a str, Vec<(&'a str, &'a str)>, String);

#[expect(clippy::too_many_lines, reason = "a table of mistakes")]
#[tokio::test]
async fn bad_submissions_and_questions_say_what_is_wrong() {
    let world = World::new().await;
    let id = one(&world, "known").await;
    let mut told = String::new();
    let json = ("content-type", "application/json");
    let cases: Vec<Case<'_>> = vec![
        ("no type", vec![], line("x")),
        ("another type", vec![("content-type", "text/csv")], line("x")),
        ("another encoding", vec![LINES, ("content-encoding", "br")], line("x")),
        ("no operation", vec![LINES], "\n".to_owned()),
        ("no JSON", vec![json], "{".to_owned()),
        ("no connection", vec![json], r#"{"connection": "acme-z", "operation": {"kind": "delete", "object": "contact", "id": "1"}}"#.to_owned()),
        ("no kind", vec![json], r#"{"connection": "acme-a", "operation": {"kind": "upst", "object": "contact"}}"#.to_owned()),
        ("for others", vec![json], r#"{"connection": "acme-a", "actor": {"id": "x"}, "operation": {"kind": "delete", "object": "contact", "id": "1"}}"#.to_owned()),
        ("callback", vec![json], r#"{"connection": "acme-a", "callback": {"url": "https://x.example"}, "operation": {"kind": "delete", "object": "contact", "id": "1"}}"#.to_owned()),
        ("too long", vec![json], format!("{{\"purpose\": \"{}\"}}", "x".repeat(5000))),
        ("two lines", vec![LINES], format!("{}\nnot JSON\n{{}}", line("x"))),
        ("bad key", vec![LINES, ("idempotency-key", "a b")], line("x")),
    ];
    for (what, headers, body) in cases {
        let answer = post(&world, "/v1/operations", &headers, body.into()).await;
        told.push_str(&format!(
            "{what}: {} {}\n",
            answer.status.as_u16(),
            answer.text
        ));
    }
    for path in [
        "/v1/operations?on_error=ignore".to_owned(),
        "/v1/operations?connection=acme-z".to_owned(),
    ] {
        let answer = post(&world, &path, &[LINES], line("x").into()).await;
        told.push_str(&format!(
            "POST {path}: {} {}\n",
            answer.status.as_u16(),
            answer.text
        ));
    }
    for path in [
        "/v1/operations?state=waiting".to_owned(),
        "/v1/operations?limit=0".to_owned(),
        "/v1/operations/7".to_owned(),
        format!("/v1/operations/{}", "0197a1b2-0000-7000-8000-000000000001"),
        "/v1/operations/{id}?wait=long".to_owned(),
        "/v1/operations/{id}?wait=2m".to_owned(),
        "/v1/operations/{id}?wait_for=end".to_owned(),
    ] {
        let answer = world
            .call("admin", "GET", &path.replace("{id}", &id), None)
            .await;
        told.push_str(&format!(
            "GET {path}: {} {}\n",
            answer.status.as_u16(),
            answer.text
        ));
    }
    for (path, body) in [
        ("/v1/operations/{id}/retry", json!({})),
        ("/v1/operations/{id}/retry", json!({"why": "x"})),
        ("/v1/operations/{id}/resolve", json!({"as": "done"})),
        ("/v1/operations/{id}/resolve", json!({"as": "cancelled"})),
        ("/v1/operations/cancel", json!({"filter": {}})),
        (
            "/v1/operations/cancel",
            json!({"filter": {"visible": ["acme-sf"]}}),
        ),
        (
            "/v1/operations/cancel",
            json!({"filter": {"state": "held"}}),
        ),
    ] {
        let answer = world
            .call("admin", "POST", &path.replace("{id}", &id), Some(body))
            .await;
        told.push_str(&format!(
            "POST {path}: {} {}\n",
            answer.status.as_u16(),
            answer.text
        ));
    }
    let told = told.replace(&id, "[id]");
    insta::assert_snapshot!(told);
    let tally = world
        .log
        .tally(&crmgate_store::OperationFilter::default())
        .await
        .unwrap();
    assert_eq!(
        tally.iter().map(|entry| entry.count).sum::<u64>(),
        1,
        "nothing else was taken"
    );
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let world = World::new().await;
    let pieces = [
        Ok(format!("{}\n", line("a"))),
        Err(std::io::Error::other("reset")),
    ];
    let request = Request::post("/v1/operations")
        .header("authorization", format!("Bearer {}", world.token("client")))
        .header(LINES.0, LINES.1)
        .body(Body::from_stream(futures::stream::iter(pieces)))
        .unwrap();
    let answer = world.raw(request, "127.0.0.1").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json["code"]),
        (400, &json!("body_broke_off"))
    );
    let tally = world
        .log
        .tally(&crmgate_store::OperationFilter::default())
        .await
        .unwrap();
    assert_eq!(tally, []);
}
