//! Limits, and who is on the other side.

use std::time::{Duration, Instant};

use crmgate_listen::{BindError, Listener, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{ANY, CLOSE, KEEP, connect, exchange, now, read_answer, serve};

#[tokio::test]
async fn a_port_in_use_is_named() {
    let first = serve(Settings::plain(ANY)).await;
    let error = Listener::bind(Settings::plain(first.addr), now())
        .await
        .unwrap_err();
    assert!(matches!(error, BindError::InUse(_)), "{error:?}");
    let expected = format!("address `{}` is already in use", first.addr);
    assert!(error.to_string().starts_with(&expected), "{error}");
}

#[tokio::test]
async fn settings_that_make_no_sense_are_named() {
    let mut settings = Settings::plain(ANY);
    settings.max_connections = 0;
    let error = Listener::bind(settings, now()).await.unwrap_err();
    assert!(error.to_string().contains("`max_connections`"), "{error}");
}

#[tokio::test]
async fn the_peer_is_the_socket_and_the_host() {
    let served = serve(Settings::plain(ANY)).await;
    let claimed = CLOSE.replace("connection", "x-forwarded-for: 1.2.3.4\r\nconnection");
    let answer = exchange(connect(served.addr).await, &claimed).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer.ends_with("127.0.0.1 http gate.example:8701 false"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_trusted_proxy_speaks_for_the_caller() {
    let mut settings = Settings::plain(ANY);
    settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let served = serve(settings).await;
    let claimed = CLOSE.replace(
        "connection",
        "x-forwarded-for: 1.2.3.4\r\nx-forwarded-proto: https\r\nconnection",
    );
    let answer = exchange(connect(served.addr).await, &claimed).await;
    assert!(
        answer.ends_with("1.2.3.4 https gate.example:8701 false"),
        "{answer}"
    );
}

#[tokio::test]
async fn ambiguous_hosts_are_400_and_end_the_connection() {
    let served = serve(Settings::plain(ANY)).await;
    for request in [
        "GET /peer HTTP/1.1\r\n\r\n",
        "GET /peer HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        "GET http://a.example/peer HTTP/1.1\r\nhost: b.example\r\n\r\n",
    ] {
        let began = Instant::now();
        let answer = exchange(connect(served.addr).await, request).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{request}: {answer}");
        assert!(
            began.elapsed() < Duration::from_millis(900),
            "the connection stays open"
        );
    }
}

#[tokio::test]
async fn a_head_that_drips_is_cut_off() {
    let mut settings = Settings::plain(ANY);
    settings.header_read_timeout = Duration::from_millis(150);
    let served = serve(settings).await;
    let mut stream = connect(served.addr).await;
    let began = Instant::now();
    stream
        .write_all(b"GET /peer HTTP/1.1\r\nhost: a\r\n")
        .await
        .unwrap();
    let dripping = async {
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if stream.write_all(b"x: y\r\n").await.is_err() {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(3), dripping)
        .await
        .unwrap();
    assert!(began.elapsed() >= Duration::from_millis(140));
}

#[tokio::test]
async fn an_unused_connection_is_closed() {
    let mut settings = Settings::plain(ANY);
    settings.header_read_timeout = Duration::from_millis(100);
    let served = serve(settings).await;
    let mut stream = connect(served.addr).await;
    stream.write_all(KEEP.as_bytes()).await.unwrap();
    read_answer(&mut stream).await;
    let mut rest = Vec::new();
    let closed = stream.read_to_end(&mut rest);
    tokio::time::timeout(Duration::from_secs(2), closed)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn heads_beyond_the_limits_are_431() {
    let mut settings = Settings::plain(ANY);
    settings.max_header_bytes = 4096;
    settings.max_headers = 20;
    let served = serve(settings).await;
    let many = format!(
        "GET /peer HTTP/1.1\r\nhost: a\r\n{}\r\n",
        "a: b\r\n".repeat(30)
    );
    let long = format!(
        "GET /peer HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
        "y".repeat(5000)
    );
    for request in [many, long] {
        let answer = exchange(connect(served.addr).await, &request).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    let target = format!("GET /peer?{} HTTP/1.1\r\nhost: a\r\n\r\n", "y".repeat(5000));
    let answer = exchange(connect(served.addr).await, &target).await;
    assert!(
        answer.starts_with("HTTP/1.1 431") || answer.starts_with("HTTP/1.1 414"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_long_target_within_the_limit_passes() {
    let served = serve(Settings::plain(ANY)).await;
    let target = CLOSE.replace("/peer", &format!("/peer?{}", "y".repeat(32 * 1024)));
    let answer = exchange(connect(served.addr).await, &target).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn connections_beyond_the_cap_wait_for_a_place() {
    let mut settings = Settings::plain(ANY);
    settings.max_connections = 2;
    let served = serve(settings).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = connect(served.addr).await;
        stream.write_all(KEEP.as_bytes()).await.unwrap();
        read_answer(&mut stream).await;
        held.push(stream);
    }
    let mut third = connect(served.addr).await;
    third.write_all(KEEP.as_bytes()).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(150), read_answer(&mut third)).await;
    assert!(early.is_err(), "the third connection was served");
    held.pop();
    let late = tokio::time::timeout(Duration::from_secs(2), read_answer(&mut third)).await;
    assert!(late.unwrap().starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_client_that_takes_no_bytes_loses_its_connection() {
    let mut settings = Settings::plain(ANY);
    settings.write_stall_timeout = Duration::from_millis(150);
    settings.max_connections = 1;
    let served = serve(settings).await;
    let mut stuck = connect(served.addr).await;
    stuck
        .write_all(b"GET /huge HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    // Its place is given to the next one.
    let mut next = connect(served.addr).await;
    next.write_all(KEEP.as_bytes()).await.unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(3), read_answer(&mut next)).await;
    assert!(answer.unwrap().starts_with("HTTP/1.1 200"));
}
