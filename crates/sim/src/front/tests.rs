use std::time::{Duration, Instant};

use http::HeaderName;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::serve::{self, Running};

/// Echoes, and counts what it did.
#[derive(Default)]
struct Echo {
    done: std::sync::Mutex<Vec<Value>>,
}

impl Crm for Echo {
    fn answer(&self, call: &Call) -> Answer {
        self.done.lock().unwrap().push(json!({"path": call.path()}));
        let body = json!({"base": call.base_url, "body": String::from_utf8_lossy(&call.body)});
        Response::new(Bytes::from(body.to_string()))
    }

    fn refuse(&self, _call: &Call, refusal: Refusal) -> Answer {
        let status = match refusal {
            Refusal::Status { status, .. } => status,
            Refusal::LockedRow => StatusCode::CONFLICT,
            Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::UnknownEncoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Refusal::BrokenEncoding => StatusCode::BAD_REQUEST,
        };
        let mut answer = Response::new(Bytes::from_static(b"refused"));
        *answer.status_mut() = status;
        answer
    }

    fn expire_session(&self, _call: &Call) {
        self.done.lock().unwrap().push(json!({"path": "expired"}));
    }

    fn records(&self, object: &str) -> Option<Vec<Value>> {
        (object == "Thing").then(|| self.done.lock().unwrap().clone())
    }

    fn objects(&self) -> Vec<String> {
        vec!["Thing".to_owned()]
    }

    fn reset(&self) {
        self.done.lock().unwrap().clear();
    }
}

async fn start(options: Options) -> Running {
    serve::spawn(Front::new(Arc::new(Echo::default()), options).router())
        .await
        .unwrap()
}

/// Sends one request over a bare connection; what comes back until the other side closes.
async fn send(
    server: &Running,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> String {
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    let mut head =
        format!("{method} {path} HTTP/1.1\r\nHost: crm.test:99\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn body_of(answer: &str) -> Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[tokio::test]
async fn links_follow_the_host_unless_told() {
    let server = start(Options::default()).await;
    assert_eq!(
        body_of(&send(&server, "GET", "/a", &[], b"").await)["base"],
        "http://crm.test:99"
    );
    let server = start(Options {
        tls: true,
        ..Options::default()
    })
    .await;
    assert_eq!(
        body_of(&send(&server, "GET", "/a", &[], b"").await)["base"],
        "https://crm.test:99"
    );
    let public = Some("https://acme.example.com/".parse().unwrap());
    let server = start(Options {
        public_url: public,
        ..Options::default()
    })
    .await;
    assert_eq!(
        body_of(&send(&server, "GET", "/a", &[], b"").await)["base"],
        "https://acme.example.com"
    );
}

#[tokio::test]
async fn compressed_bodies_are_read() {
    let server = start(Options::default()).await;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(b"plain text").unwrap();
    let gzip = gzip.finish().unwrap();
    let answer = send(
        &server,
        "POST",
        "/a",
        &[("Content-Encoding", "gzip")],
        &gzip,
    )
    .await;
    assert_eq!(body_of(&answer)["body"], "plain text");
    let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), Compression::default());
    raw.write_all(b"bare deflate").unwrap();
    let raw = raw.finish().unwrap();
    let answer = send(
        &server,
        "POST",
        "/a",
        &[("Content-Encoding", "deflate")],
        &raw,
    )
    .await;
    assert_eq!(body_of(&answer)["body"], "bare deflate");
    assert!(
        send(
            &server,
            "POST",
            "/a",
            &[("Content-Encoding", "gzip")],
            b"no"
        )
        .await
        .starts_with("HTTP/1.1 400")
    );
    assert!(
        send(&server, "POST", "/a", &[("Content-Encoding", "br")], b"no")
            .await
            .starts_with("HTTP/1.1 415")
    );
}

async fn put_faults(server: &Running, faults: Value) {
    let answer = send(
        server,
        "PUT",
        "/_sim/faults",
        &[],
        json!({"faults": faults}).to_string().as_bytes(),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

async fn records(server: &Running) -> usize {
    body_of(&send(server, "GET", "/_sim/records/Thing", &[], b"").await)
        .as_array()
        .unwrap()
        .len()
}

#[tokio::test]
async fn a_dropped_call_gets_no_byte_and_is_journaled() {
    let server = start(Options::default()).await;
    put_faults(
        &server,
        json!([{"kind": "drop_before_commit", "times": 1}, {"kind": "drop_after_commit", "times": 1}]),
    )
    .await;
    assert_eq!(send(&server, "POST", "/before", &[], b"{}").await, "");
    assert_eq!(records(&server).await, 0);
    assert_eq!(send(&server, "POST", "/after", &[], b"{}").await, "");
    assert_eq!(records(&server).await, 1);
    let journal = body_of(&send(&server, "GET", "/_sim/requests?after=0", &[], b"").await);
    let seen: Vec<_> = journal
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (&entry["path"], &entry["status"]))
        .collect();
    assert_eq!(
        seen,
        [
            (&json!("/before"), &Value::Null),
            (&json!("/after"), &Value::Null)
        ]
    );
}

#[tokio::test]
async fn other_faults_do_as_told() {
    let server = start(Options::default()).await;
    put_faults(
        &server,
        json!([{"kind": "delay", "millis": 60, "times": 1}, {"kind": "status", "status": 429, "times": 1},
            {"kind": "lock_row", "times": 1}, {"kind": "expire_session", "times": 1}]),
    )
    .await;
    let begun = Instant::now();
    assert!(
        send(&server, "GET", "/1", &[], b"")
            .await
            .starts_with("HTTP/1.1 429")
    );
    assert!(begun.elapsed() >= Duration::from_millis(60));
    assert!(
        send(&server, "GET", "/2", &[], b"")
            .await
            .starts_with("HTTP/1.1 409")
    );
    assert!(
        send(&server, "GET", "/3", &[], b"")
            .await
            .starts_with("HTTP/1.1 200")
    );
    assert_eq!(
        records(&server).await,
        2,
        "the session's end and the call itself"
    );
    put_faults(&server, json!([{"kind": "lock_row"}])).await;
    assert!(
        send(&server, "DELETE", "/_sim/faults", &[], b"")
            .await
            .starts_with("HTTP/1.1 204")
    );
    assert!(
        send(&server, "GET", "/4", &[], b"")
            .await
            .starts_with("HTTP/1.1 200")
    );
    assert!(
        send(&server, "POST", "/_sim/reset", &[], b"")
            .await
            .starts_with("HTTP/1.1 204")
    );
    assert_eq!(records(&server).await, 0);
}

#[tokio::test]
async fn control_calls_say_what_is_wrong() {
    let server = start(Options::default()).await;
    let answer = send(
        &server,
        "PUT",
        "/_sim/faults",
        &[],
        br#"{"faults":[{"kind":"slow"}]}"#,
    )
    .await;
    assert!(
        answer.starts_with("HTTP/1.1 400") && answer.contains("slow"),
        "{answer}"
    );
    let answer = send(&server, "GET", "/_sim/records/Nothing", &[], b"").await;
    assert!(
        answer.starts_with("HTTP/1.1 404") && answer.contains("Thing"),
        "{answer}"
    );
    let answer = send(&server, "GET", "/_sim/requests?after=x", &[], b"").await;
    assert!(
        answer.starts_with("HTTP/1.1 400") && answer.contains("`x`"),
        "{answer}"
    );
}

#[test]
fn compressed_answers_mark_their_tag() {
    let mut answer = Response::new(Bytes::from("x".repeat(5000)));
    answer
        .headers_mut()
        .insert(header::ETAG, HeaderValue::from_static("\"abc\""));
    let mut headers = HeaderMap::new();
    assert_eq!(compress(&headers, answer.clone(), true).body().len(), 5000);
    headers.insert(
        HeaderName::from_static("accept-encoding"),
        HeaderValue::from_static("gzip, deflate"),
    );
    let packed = compress(&headers, answer, true);
    assert!(packed.body().len() < 200);
    assert_eq!(packed.headers().get("etag").unwrap(), "\"abc-gzip\"");
}
