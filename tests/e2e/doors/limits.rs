//! What is too long, too slow, too deep or too many gets a clear answer, and nothing of it reaches
//! the CRM.

use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncWriteExt as _;

use super::table::Crm;
use super::wire::{Incoming, Reply, gzip};
use super::{DENY_ALL, DENY_VALUE, Face, House};

const LIMITS: &str = "[limits]\nbody = \"64 KiB\"\nheaders = \"16 KiB\"\nconnections = 24\n\
                      idle_timeout = \"2s\"\nbody_timeout = \"500ms\"\n";

async fn narrow() -> House {
    House::with(DENY_VALUE, |config| {
        config.replacen("[logging]\n", &format!("{LIMITS}[logging]\n"), 1)
    })
    .await
}

impl Face {
    fn create(&self, more: &str, body: &[u8]) -> Vec<u8> {
        let path = match self.crm {
            Crm::Salesforce => "/services/data/v66.0/sobjects/Contact",
            Crm::Dynamics => "/api/data/v9.2/contacts",
        };
        let mut head = self.head(&format!("POST {path}"));
        head.push_str("Content-Type: application/json\r\n");
        head.push_str(more);
        if !more.contains("Content-Length") && !more.contains("chunked") {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        [head.as_bytes(), body].concat()
    }

    fn record(&self, name: &str, more: &str) -> Vec<u8> {
        let field = match self.crm {
            Crm::Salesforce => "LastName",
            Crm::Dynamics => "lastname",
        };
        format!("{{\"{field}\":\"{name}\"{more}}}").into_bytes()
    }
}

fn told(crm: Crm, reply: Option<Reply>, statuses: &[u16], what: &str) {
    let reply = reply.unwrap_or_else(|| panic!("{what}: no answer"));
    let said = format!("{what}: {} {}", reply.status, reply.text());
    assert!(statuses.contains(&reply.status), "{said}");
    assert!(crm.in_its_shape(&reply), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_long_is_refused() {
    let house = narrow().await;
    for crm in [Crm::Salesforce, Crm::Dynamics] {
        let face = house.face(crm);
        let long = face.record(&"x".repeat(80_000), "");
        told(
            crm,
            face.wire.send(&face.create("", &long)).await,
            &[413],
            "a long body",
        );
        let mut chunks = face.create("Transfer-Encoding: chunked\r\n", b"");
        for piece in long.chunks(4096) {
            chunks.extend(format!("{:x}\r\n", piece.len()).into_bytes());
            chunks.extend(piece);
            chunks.extend(b"\r\n");
        }
        chunks.extend(b"0\r\n\r\n");
        told(crm, face.wire.send(&chunks).await, &[413], "many chunks");
        let bomb = gzip(&face.record(&"x".repeat(8 << 20), ""));
        let bomb = face.create("Content-Encoding: gzip\r\n", &bomb);
        told(
            crm,
            face.wire.send(&bomb).await,
            &[413],
            "a body that grows",
        );

        let fine = face.record("Long head", "");
        let header = format!("X-Long: {}\r\n", "x".repeat(20_000));
        let many = "X-Many: x\r\n".repeat(2000);
        for (what, more) in [("a long header", header), ("many headers", many)] {
            let reply = face.wire.send(&face.create(&more, &fine)).await;
            let refused = reply
                .as_ref()
                .is_none_or(|reply| matches!(reply.status, 400 | 431));
            assert!(refused, "{what}: {:?}", reply.map(|r| (r.status, r.text())));
        }
        let line = face.head(&format!("GET /{}", "x".repeat(20_000))) + "\r\n";
        let reply = face.wire.send(line.as_bytes()).await;
        let refused = reply
            .as_ref()
            .is_none_or(|reply| matches!(reply.status, 400 | 414 | 431));
        assert!(
            refused,
            "a long target: {:?}",
            reply.map(|r| (r.status, r.text()))
        );
        let written = house.writes(crm).await;
        assert!(written.is_empty(), "{written:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_slow_or_breaks_off_is_given_up() {
    let house = narrow().await;
    for crm in [Crm::Salesforce, Crm::Dynamics] {
        let face = house.face(crm);
        let body = face.record("Half", "");
        let whole = face.create("", &body);
        let half = &whole[..whole.len() - 5];
        let began = Instant::now();
        told(crm, face.wire.send(half).await, &[400, 408], "half a body");
        assert!(began.elapsed() < Duration::from_secs(5));

        let mut stream = face.wire.connect().await;
        stream.write_all(half).await.unwrap();
        stream.shutdown().await.unwrap();
        drop(stream);

        let began = Instant::now();
        let reply = face.wire.send(&whole[..40]).await;
        assert!(reply.is_none_or(|reply| reply.status == 408));
        assert!(began.elapsed() < Duration::from_secs(10));

        let mut stream = face.wire.connect().await;
        let head = face.create("Expect: 100-continue\r\nContent-Length: 30\r\n", b"");
        stream.write_all(&head).await.unwrap();
        let mut incoming = Incoming::new(&mut stream);
        assert_eq!(incoming.reply(true).await.unwrap().status, 100);
        told(
            crm,
            incoming.reply(false).await,
            &[400, 408],
            "no body after 100",
        );

        // The gate still serves.
        let good = face.record("Whole", "");
        let reply = face.wire.send(&face.create("", &good)).await.unwrap();
        assert!(matches!(reply.status, 201 | 204), "{}", reply.text());
        assert_eq!(house.writes(crm).await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_holds_all_connections_holds_them_for_a_while() {
    let house = narrow().await;
    let face = &house.salesforce;
    let mut held = Vec::new();
    for _ in 0..23 {
        held.push(face.wire.connect().await);
    }
    let more: Vec<_> = (0..8)
        .map(|number| {
            let wire = face.wire.clone();
            let request = face.create("", &face.record(&format!("Waiting {number}"), ""));
            tokio::spawn(async move { wire.send(&request).await })
        })
        .collect();
    for waiting in more {
        let reply = waiting.await.unwrap().unwrap();
        assert_eq!(reply.status, 201, "{}", reply.text());
    }
    assert_eq!(house.writes(Crm::Salesforce).await.len(), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_broken_or_too_deep_is_told_apart() {
    let house = House::new(DENY_VALUE).await;
    for crm in [Crm::Salesforce, Crm::Dynamics] {
        let face = house.face(crm);
        let deep = |levels: usize| {
            let nested = format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
            face.record("Deep", &format!(",\"x\":{nested}"))
        };
        let objects = |levels: usize| {
            let nested = format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
            face.record("Deep", &format!(",\"x\":{nested}"))
        };
        let members: String = (0..50_000).map(|n| format!(",\"m{n}\":{n}")).collect();
        let bad_utf8 = [face.record("a", "").as_slice(), b"\xff"].concat();
        let inner = face.record("NAME", "");
        let at = inner.windows(4).position(|four| four == b"NAME").unwrap();
        let inside = [&inner[..at], b"\xc3\x28".as_slice(), &inner[at + 4..]].concat();
        let long = face.record("x", &format!(",\"y\":{}", "9".repeat(400_000)));
        let bodies: Vec<(&str, Vec<u8>)> = vec![
            ("bytes behind", bad_utf8),
            ("bytes inside", inside),
            ("half", inner[..inner.len() - 1].to_vec()),
            ("a line end in a text", face.record("a\nb", "")),
            ("a NUL", [inner.as_slice(), b"\0"].concat()),
            ("200 lists", deep(200)),
            ("100000 lists", deep(100_000)),
            ("100000 objects", objects(100_000)),
            ("100000 open lists", "[".repeat(100_000).into_bytes()),
            ("50000 members", face.record("Wide", &members)),
            ("a number of 400000 digits", long),
            (
                "a number that is too large",
                face.record("x", ",\"y\":1e999999999"),
            ),
            ("no number", face.record("x", ",\"y\":NaN")),
            ("endless", face.record("x", ",\"y\":Infinity")),
            ("octal", face.record("x", ",\"y\":0123")),
            ("hexadecimal", face.record("x", ",\"y\":0x12")),
        ];
        for (what, body) in bodies {
            let reply = face.wire.send(&face.create("", &body)).await;
            told(crm, reply, &[400, 403], what);
        }
        let written = house.writes(crm).await;
        assert!(written.is_empty(), "{written:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_is_judged_like_http_1() {
    let house = House::new(DENY_ALL).await;
    for crm in [Crm::Salesforce, Crm::Dynamics] {
        let face = house.face(crm);
        let stream = face.wire.offering(b"h2").connect().await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        let path = match crm {
            Crm::Salesforce => "/services/data/v66.0/sobjects/Contact",
            Crm::Dynamics => "/api/data/v9.2/contacts",
        };
        let own = face.host();
        for (method, target, host, expected) in [
            ("POST", format!("https://{own}{path}"), None, &[400][..]),
            (
                "POST",
                format!("https://{own}{path}"),
                Some("evil.example"),
                &[400],
            ),
            (
                "POST",
                format!("https://evil.example{path}"),
                Some(own.as_str()),
                &[400],
            ),
            ("POST", format!("http://{own}{path}"), None, &[400]),
            ("post", format!("https://{own}{path}"), None, &[400, 403]),
            ("MERGE", format!("https://{own}{path}"), None, &[400, 403]),
            ("POST", format!("https://{own}//{path}"), None, &[400, 403]),
        ] {
            let mut request = http::Request::builder()
                .method(method)
                .uri(&target)
                .header("authorization", format!("Bearer {}", face.token))
                .header("content-type", "application/json");
            if let Some(host) = host {
                request = request.header("host", host);
            }
            let body = Full::new(bytes::Bytes::from(face.record("Two", "")));
            sender.ready().await.unwrap();
            let answer = sender
                .send_request(request.body(body).unwrap())
                .await
                .unwrap();
            let status = answer.status().as_u16();
            let text = answer.into_body().collect().await.unwrap().to_bytes();
            assert!(
                expected.contains(&status),
                "{method} {target} {host:?}: {status} {}",
                String::from_utf8_lossy(&text)
            );
        }
        let written = house.writes(crm).await;
        assert!(written.is_empty(), "{written:#?}");
    }
}
