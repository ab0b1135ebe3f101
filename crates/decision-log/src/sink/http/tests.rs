use std::io::Read as _;
use std::sync::Mutex;

use crmgate_outbound::Settings;
use crmgate_testkit::TestAmbient;
use flate2::read::GzDecoder;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::*;

/// A service that takes what is not too large, and remembers it.
#[derive(Clone, Default)]
struct Service {
    most: usize,
    got: Arc<Mutex<Vec<serde_json::Value>>>,
    sizes: Arc<Mutex<Vec<usize>>>,
}

impl Respond for Service {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        if request.body.len() > self.most {
            return ResponseTemplate::new(413);
        }
        let mut text = String::new();
        GzDecoder::new(request.body.as_slice())
            .read_to_string(&mut text)
            .unwrap();
        let events: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        self.sizes.lock().unwrap().push(request.body.len());
        self.got.lock().unwrap().extend(events);
        ResponseTemplate::new(200)
    }
}

impl Service {
    fn numbers(&self) -> Vec<u64> {
        let got = self.got.lock().unwrap();
        got.iter()
            .map(|event| event["n"].as_u64().unwrap())
            .collect()
    }
}

fn sink(server: &MockServer, limit: u64) -> HttpSink {
    let client = Client::new(Settings::default()).unwrap();
    let settings = HttpSettings {
        url: format!("{}/opa/", server.uri()).parse().unwrap(),
        partition_name: Some("crm/eu".to_owned()),
        upload_size_limit: limit,
    };
    let headers: Headers = Arc::new(|| {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Bearer t".parse().unwrap());
        Ok(headers)
    });
    HttpSink::new(client, &settings, headers, Arc::new(TestAmbient::default())).unwrap()
}

async fn serve(service: Service) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/opa/logs/crm%2Feu"))
        .and(header("content-encoding", "gzip"))
        .and(header("content-type", "application/json"))
        .and(header("authorization", "Bearer t"))
        .respond_with(service)
        .mount(&server)
        .await;
    server
}

/// Texts that compress badly.
fn events(count: u64, size: usize) -> Vec<Vec<u8>> {
    let noise = |seed: u64| {
        let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let next = std::iter::repeat_with(move || {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            char::from(b'!' + 2 + (x % 57) as u8)
        });
        next.take(size).filter(|c| *c != '\\').collect::<String>()
    };
    let event = |n| format!("{{\"n\":{n},\"input\":\"{}\"}}", noise(n + 1)).into_bytes();
    (0..count).map(event).collect()
}

async fn give(sink: &mut HttpSink, events: &[Vec<u8>]) -> usize {
    let (mut taken, mut calls) = (0, 0);
    while taken < events.len() {
        taken += sink.take(&events[taken..]).await.unwrap();
        calls += 1;
    }
    calls
}

#[tokio::test]
async fn events_arrive_in_order_in_requests_of_the_right_size() {
    let service = Service {
        most: 32 << 10,
        ..Service::default()
    };
    let server = serve(service.clone()).await;
    let mut sink = sink(&server, 32 << 10);
    for (count, size) in [(300, 40), (100, 2_000), (300, 40)] {
        service.got.lock().unwrap().clear();
        give(&mut sink, &events(count, size)).await;
        assert_eq!(service.numbers(), (0..count).collect::<Vec<_>>());
    }
    let sizes = service.sizes.lock().unwrap();
    assert!(
        sizes.iter().any(|size| *size > 16 << 10),
        "requests are used well: {sizes:?}"
    );
}

#[tokio::test]
async fn what_is_too_large_is_sent_in_smaller_parts_and_at_last_without_its_input() {
    let service = Service {
        most: 900,
        ..Service::default()
    };
    let server = serve(service.clone()).await;
    let mut sink = sink(&server, 32 << 10);
    let mut all = events(8, 300);
    all[5] = events(6, 4_000).pop().unwrap();
    give(&mut sink, &all).await;
    assert_eq!(service.numbers(), (0..8).collect::<Vec<_>>());
    let got = service.got.lock().unwrap();
    assert_eq!(got[5]["erased"], serde_json::json!(["/input"]));
    assert!(got[5].get("input").is_none() && got[4].get("input").is_some());
}

#[tokio::test]
async fn a_service_that_is_not_well_is_told_of_with_when_to_come_back() {
    let server = MockServer::start().await;
    let answers = [
        (
            ResponseTemplate::new(503).insert_header("retry-after", "7"),
            Some(7),
        ),
        (ResponseTemplate::new(429), None),
        (
            ResponseTemplate::new(301).insert_header("location", "/elsewhere"),
            None,
        ),
        (ResponseTemplate::new(401), None),
    ];
    for (answer, after) in answers {
        server.reset().await;
        Mock::given(method("POST"))
            .respond_with(answer)
            .mount(&server)
            .await;
        let error = sink(&server, 1 << 10)
            .take(&events(1, 10))
            .await
            .unwrap_err();
        assert_eq!(error.retry_after, after.map(Duration::from_secs), "{error}");
    }
    let gone = server.uri();
    drop(server);
    let client = Client::new(Settings::default()).unwrap();
    let settings = HttpSettings {
        url: gone.parse().unwrap(),
        partition_name: None,
        upload_size_limit: 1 << 10,
    };
    let headers: Headers = Arc::new(|| Ok(HeaderMap::new()));
    let ambient = Arc::new(TestAmbient::default());
    let mut sink = HttpSink::new(client, &settings, headers, ambient).unwrap();
    assert!(sink.target.path() == "/logs");
    sink.take(&events(1, 10)).await.unwrap_err();
}
