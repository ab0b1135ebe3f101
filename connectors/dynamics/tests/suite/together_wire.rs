//! Answers to calls with several writes that no simulator gives: from gateways on the way, cut off,
//! or as other versions of the service may put them. The changes are judged by a simulated
//! environment and sent to a stub.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crmgate_connector::{Connector, Delivered, Failure};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::support::{Org, connector};
use crate::together::{Change, account, made, sent_by, update, words};

const BATCH: &str = "/api/data/v9.2/$batch";

/// A connector whose environment is a stub.
fn at(org: &Org, url: &str) -> Arc<dyn Connector> {
    let settings = json!({"url": url, "auth": {"flow": "none"}});
    connector(&settings, &org.ambient).unwrap()
}

/// Two updates and a create.
async fn three(org: &Org) -> Vec<Change> {
    let (one, two) = (made(org, "One").await, made(org, "Two").await);
    vec![
        update(org, &one, json!({"name": "One more"})).await,
        update(org, &two, json!({"name": "Two more"})).await,
        account(org, json!({"name": "Three"})).await,
    ]
}

async fn answered(
    org: &Org,
    changes: &[Change],
    atomic: bool,
    answer: ResponseTemplate,
) -> Delivered {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path(BATCH))
        .respond_with(answer)
        .mount(&server)
        .await;
    let connector = at(org, &server.uri());
    sent_by(&connector, org, (changes, atomic), &org.caller()).await
}

fn multipart(status: u16, body: &str) -> ResponseTemplate {
    let body = body.replace('\n', "\r\n");
    ResponseTemplate::new(status).set_body_raw(body, "multipart/mixed; boundary=batchresponse_1")
}

const PART: &str = "--batchresponse_1\nContent-Type: application/http\nContent-Transfer-Encoding: binary\n\nHTTP/1.1 204 No Content\nOData-Version: 4.0\n\n\n";

fn error(code: &str) -> String {
    format!(r#"{{"error":{{"code":"{code}","message":"no"}}}}"#)
}

fn failed(status: u16, code: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(error(code), "application/json")
}

#[tokio::test]
async fn an_answer_to_the_whole_call_is_one_for_each() {
    let org = Org::new().await;
    let changes = three(&org).await;
    let page = |status| ResponseTemplate::new(status).set_body_raw("<html>", "text/html");
    let cases = [
        (page(200), "unknown"),
        (page(502), "unknown"),
        (failed(500, "0x80040216"), "unknown"),
        (failed(503, "0x80044151"), "unavailable"),
        (
            failed(429, "0x80072326").append_header("Retry-After", "3"),
            "throttled",
        ),
        (failed(500, "0x80044151"), "locked"),
        (failed(403, "0x80072560"), "0x80072560"),
        (failed(401, "0x8005f101"), "0x8005f101"),
    ];
    for (answer, word) in cases {
        for atomic in [false, true] {
            let delivered = answered(&org, &changes, atomic, answer.clone()).await;
            assert_eq!(words(&delivered), [word; 3], "atomic: {atomic}");
            assert_eq!(delivered.calls, 1);
        }
    }
}

#[tokio::test]
async fn what_was_never_sent_may_be_sent_again() {
    let org = Org::new().await;
    let changes = three(&org).await;
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let nobody = at(&org, &format!("http://127.0.0.1:{port}"));
    for atomic in [false, true] {
        let delivered = sent_by(&nobody, &org, (&changes, atomic), &org.caller()).await;
        assert_eq!(words(&delivered), ["connect"; 3]);
    }
}

#[tokio::test]
async fn parts_that_did_not_come_are_unknown() {
    let org = Org::new().await;
    let changes = three(&org).await;
    let cut = format!("{PART}--batchresponse_1\nContent-Type: application/http\n\nHTTP/1.1 204 No");
    let garbled = format!(
        "{PART}--batchresponse_1\nContent-Type: text/plain\n\nwhat\n{PART}--batchresponse_1--\n"
    );
    let many = format!("{}--batchresponse_1--\n", PART.repeat(4));
    let few = format!("{PART}--batchresponse_1--\n");
    for (body, expected) in [
        (cut, ["ok", "unknown", "unknown"]),
        (garbled, ["ok", "unknown", "ok"]),
        (many, ["unknown"; 3]),
        (few, ["ok", "unknown", "unknown"]),
        (String::new(), ["unknown"; 3]),
    ] {
        let delivered = answered(&org, &changes, false, multipart(200, &body)).await;
        assert_eq!(words(&delivered), expected, "{body}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_answer_leaves_what_had_come() {
    let org = Org::new().await;
    let changes = three(&org).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        // The batch ends with its own boundary; nothing of its content does.
        while !seen.ends_with(b"--\r\n") {
            let read = stream.read(&mut buffer).await.unwrap();
            seen.extend_from_slice(&buffer[..read]);
        }
        let body = format!("{PART}{PART}").replace('\n', "\r\n");
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: multipart/mixed; boundary=batchresponse_1\r\nContent-Length: {}\r\n\r\n",
            body.len() + 500
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
    });
    let delivered = sent_by(&at(&org, &url), &org, (&changes, false), &org.caller()).await;
    server.await.unwrap();
    // The second part had no end.
    assert_eq!(words(&delivered), ["ok", "unknown", "unknown"]);
}

#[tokio::test]
async fn what_is_too_long_is_sent_in_halves() {
    let org = Org::new().await;
    let mut changes = three(&org).await;
    changes.push(account(&org, json!({"name": "Four"})).await);
    let server = MockServer::start().await;
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&calls);
    Mock::given(method("POST"))
        .and(path(BATCH))
        .respond_with(move |request: &Request| {
            seen.fetch_add(1, Ordering::Relaxed);
            let body = String::from_utf8(request.body.clone()).unwrap();
            match body.matches("application/http").count() {
                count @ 0..3 => {
                    multipart(200, &format!("{}--batchresponse_1--\n", PART.repeat(count)))
                }
                _ => failed(413, "0x80040216"),
            }
        })
        .mount(&server)
        .await;
    let connector = at(&org, &server.uri());
    let delivered = sent_by(&connector, &org, (&changes, false), &org.caller()).await;
    assert_eq!(words(&delivered), ["ok"; 4]);
    assert_eq!((delivered.calls, calls.load(Ordering::Relaxed)), (3, 3));
    // What must go together is not parted.
    let delivered = sent_by(&connector, &org, (&changes, true), &org.caller()).await;
    assert_eq!(words(&delivered), ["0x80040216"; 4]);
    assert_eq!(delivered.calls, 1);
}

#[tokio::test]
async fn where_there_are_no_batches_each_goes_alone() {
    let org = Org::new().await;
    let changes = three(&org).await;
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path(BATCH))
        .respond_with(failed(501, "0x80060888"))
        .mount(&server)
        .await;
    Mock::given(method("PATCH"))
        .respond_with(ResponseTemplate::new(204))
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .and(path("/api/data/v9.2/accounts"))
        .respond_with(failed(400, "0x80040265"))
        .mount(&server)
        .await;
    let connector = at(&org, &server.uri());
    let delivered = sent_by(&connector, &org, (&changes, false), &org.caller()).await;
    assert_eq!(words(&delivered), ["ok", "ok", "0x80040265"]);
}

/// The answer to a change set.
fn change_set(status: u16, parts: &str) -> ResponseTemplate {
    let body = format!(
        "--batchresponse_1\nContent-Type: multipart/mixed; boundary=changesetresponse_2\n\n{parts}--changesetresponse_2--\n\n--batchresponse_1--\n"
    );
    multipart(status, &body)
}

fn member(id: &str, line: &str, body: &str) -> String {
    format!(
        "--changesetresponse_2\nContent-Type: application/http\nContent-Transfer-Encoding: binary\n{id}\nHTTP/1.1 {line}\nContent-Type: application/json\n\n{body}\n"
    )
}

#[tokio::test]
async fn the_culprit_of_a_change_set_is_found_as_far_as_it_is_told() {
    let org = Org::new().await;
    let changes = three(&org).await;
    let stale = error("0x80060882");
    let line = "412 Precondition Failed";
    let second = member("Content-ID: 2\n", line, &stale);
    let nobody = member("", line, &stale);
    let rejected = member("", "400 Bad Request", &error("0x80040265"));
    let beyond = member("Content-ID: 77\n", "400 Bad Request", &error("0x80040265"));
    let broken = member("Content-ID: 1\n", "502 Bad Gateway", "<html>");
    // Some create's own key is taken.
    let twice = member("", line, &error("0x80040237"));
    let direct = "--batchresponse_1\nContent-Type: application/http\n\nHTTP/1.1 400 Bad Request\n\n{\"error\":{\"code\":\"0x80040203\",\"message\":\"no\"}}\n--batchresponse_1--\n";
    let cases = [
        (
            change_set(412, &second),
            ["rolled_back", "mismatch", "rolled_back"],
        ),
        (
            change_set(412, &nobody),
            ["mismatch", "mismatch", "rolled_back"],
        ),
        (change_set(400, &rejected), ["0x80040265"; 3]),
        (change_set(400, &beyond), ["0x80040265"; 3]),
        (change_set(502, &broken), ["unknown"; 3]),
        (change_set(412, &twice), ["unknown"; 3]),
        (multipart(400, direct), ["0x80040203"; 3]),
        (change_set(200, ""), ["unknown"; 3]),
    ];
    for (answer, expected) in cases {
        let delivered = answered(&org, &changes, true, answer).await;
        assert_eq!(words(&delivered), expected);
    }
}

#[tokio::test]
async fn the_members_of_a_change_set_are_told_apart_by_number_and_by_order() {
    let org = Org::new().await;
    let changes = three(&org).await;
    let done = |id: &str| member(id, "204 No Content", "");
    let by_number = ["Content-ID: 3\n", "Content-ID: 1\n", "Content-ID: 2\n"]
        .map(done)
        .concat();
    let by_order = ["", "", ""].map(done).concat();
    let short = ["Content-ID: 3\n", "Content-ID: 1\n"].map(done).concat();
    for (parts, expected) in [
        (by_number, ["ok"; 3]),
        (by_order, ["ok"; 3]),
        (short, ["ok", "unknown", "ok"]),
    ] {
        let delivered = answered(&org, &changes, true, change_set(200, &parts)).await;
        assert_eq!(words(&delivered), expected, "{parts}");
    }
    let cut = format!(
        "--batchresponse_1\nContent-Type: multipart/mixed; boundary=changesetresponse_2\n\n{}{}",
        done("Content-ID: 1\n"),
        done("Content-ID: 2\n")
    );
    let delivered = answered(&org, &changes, true, multipart(200, &cut)).await;
    assert_eq!(words(&delivered), ["ok", "unknown", "unknown"]);
}

#[tokio::test]
async fn nothing_that_fails_tells_a_secret() {
    let org = Org::new().await;
    let changes = three(&org).await;
    for answer in [
        multipart(200, ""),
        failed(400, "0x80060888"),
        failed(503, ""),
    ] {
        let delivered = answered(&org, &changes, true, answer).await;
        for result in delivered.results {
            let failure: Failure = result.unwrap_err();
            assert!(!format!("{failure:?} {failure}").contains(&org.token));
        }
    }
}
