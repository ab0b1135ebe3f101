//! Through a real listener: what only sockets can show.

use std::time::Duration;

use crmgate_domain::Mode;
use crmgate_listen::{Listener, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Script, settings};

async fn send_late(method: &str, path: &str, length: usize) -> String {
    let script = Script::fine(Mode::Enforce);
    let plain = Settings::plain(([127, 0, 0, 1], 0).into());
    let now = "2026-06-01T00:00:00Z".parse().unwrap();
    let listener = Listener::bind(plain, now).await.unwrap();
    let addr = listener.addr();
    tokio::spawn(listener.serve(
        script.gateway_with(crmgate_gateway::Settings {
            body_limit: 100_000,
            ..settings()
        }),
        std::future::pending(),
    ));
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let head =
        format!("{method} {path} HTTP/1.1\r\nhost: {addr}\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    // Most clients write all of a request before they look for an answer.
    let piece = vec![b'x'; length / 10];
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        stream.write_all(&piece).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut answer = vec![0; 4096];
    let count = stream.read(&mut answer).await.unwrap();
    answer.truncate(count);
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_client_that_sends_first_and_reads_then_sees_its_refusal() {
    for (method, path, length, status) in [
        ("POST", "/jobs", 50_000, "200"),
        ("POST", "/jobs", 400_000, "400"),
        ("POST", "/records/Contact", 400_000, "413"),
        ("POST", "/sign-in", 400_000, "413"),
    ] {
        let answer = send_late(method, path, length).await;
        let expected = format!("HTTP/1.1 {status}");
        assert!(
            answer.starts_with(&expected),
            "{method} {path} {length}: {answer}"
        );
    }
}
