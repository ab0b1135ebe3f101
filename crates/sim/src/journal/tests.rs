use bytes::Bytes;
use http::{HeaderValue, Uri};

use super::*;

fn call(path: &str, body: &str) -> Call {
    let mut headers = HeaderMap::new();
    headers.insert(
        "Authorization",
        HeaderValue::from_static("Bearer very-secret"),
    );
    headers.insert("X-One", HeaderValue::from_static("1"));
    Call {
        method: Method::POST,
        uri: path.parse::<Uri>().unwrap(),
        headers,
        body: Bytes::copy_from_slice(body.as_bytes()),
        base_url: "http://localhost".to_owned(),
        at: Timestamp::UNIX_EPOCH,
        rows: None,
    }
}

#[test]
fn calls_are_numbered_and_read_from_a_place() {
    let journal = Journal::default();
    for index in 0..5 {
        journal.note(
            &call(&format!("/a?n={index}"), "{}"),
            Some(StatusCode::OK),
            None,
        );
    }
    let rest = journal.after(3);
    assert_eq!(rest.len(), 2);
    assert_eq!(rest[0]["seq"], 4);
    assert_eq!(rest[0]["path"], "/a?n=3");
    assert_eq!(rest[0]["headers"]["x-one"], "1");
    assert!(journal.after(99).is_empty());
    journal.clear();
    journal.note(&call("/b", ""), None, Some(Kind::DropBeforeCommit));
    let last = journal.after(5);
    assert_eq!(
        (last[0]["seq"].as_u64(), &last[0]["status"]),
        (Some(6), &Value::Null)
    );
    assert_eq!(last[0]["fault"], "drop_before_commit");
}

#[test]
fn it_stays_within_its_bounds() {
    let journal = Journal::default();
    let long = "x".repeat(1024 * 1024);
    for _ in 0..70 {
        journal.note(&call("/a", &long), None, None);
    }
    assert_eq!(journal.after(0).len(), 64);
    assert_eq!(journal.after(69).len(), 1);
}

#[test]
fn secrets_are_shown_as_a_hash() {
    let journal = Journal::default();
    let mut login = call("/token", "grant_type=password&password=hunter2&username=a");
    login.headers.insert(
        "content-type",
        HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    journal.note(&login, None, None);
    let mut soap = call(
        "/soap",
        "<n:login><n:username>u</n:username><n:password>hunter2</n:password></n:login>",
    );
    soap.headers.insert(
        "content-type",
        HeaderValue::from_static("text/xml; charset=UTF-8"),
    );
    journal.note(&soap, None, None);
    journal.note(&call("/id?oauth_token=hunter2&x=1", ""), None, None);
    let text = Value::Array(journal.after(0)).to_string();
    assert!(
        !text.contains("hunter2") && !text.contains("very-secret"),
        "{text}"
    );
    assert!(
        text.contains("Bearer sha256:")
            && text.contains("username=a")
            && text.contains("</n:login>"),
        "{text}"
    );
    assert!(
        text.contains("oauth_token=sha256:") && text.contains("&x=1"),
        "{text}"
    );
}
