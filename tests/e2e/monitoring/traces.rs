//! One write is one trace, and a collector in trouble is nobody's trouble.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::{Value, json};

use super::WATCHED;
use super::collector::{Collector, attribute, hex};
use crate::control::Answer;
use crate::served::Site;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

async fn create(site: &Site, last_name: &str, headers: &[(&str, &str)]) -> Answer {
    let url = format!(
        "{}/services/data/v66.0/sobjects/Contact",
        site.salesforce_url()
    );
    let mut request = Request::post(url)
        .header("authorization", format!("Bearer {}", site.salesforce_token))
        .header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = json!({"LastName": last_name, "Email": "ada.value@example.com"}).to_string();
    let request = request.body(Bytes::from(body)).unwrap();
    let (head, body) = site
        .gate
        .execute_bytes(request, 1 << 20)
        .await
        .unwrap()
        .into_parts();
    Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    }
}

fn only<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let mut named = spans.iter().filter(|span| span.name == name);
    let found = named.next().unwrap_or_else(|| panic!("no span `{name}`"));
    assert!(named.next().is_none(), "more than one span `{name}`");
    found
}

fn parent_of(spans: &[Span], child: &str, parent: &str) {
    let (child, parent) = (only(spans, child), only(spans, parent));
    assert_eq!(
        child.parent_span_id, parent.span_id,
        "{} is not in {}",
        child.name, parent.name
    );
    assert!(
        child.start_time_unix_nano >= parent.start_time_unix_nano,
        "{}",
        child.name
    );
    assert!(
        child.end_time_unix_nano <= parent.end_time_unix_nano,
        "{}",
        child.name
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_write_is_one_trace_with_its_stages_in_order() {
    let site = Site::new(&[("watched", WATCHED)]).await;
    let collector = Collector::start().await;
    std::fs::write(
        site.path().join("collector-token"),
        "Bearer collector-secret",
    )
    .unwrap();
    let gate = site.start(&[
        ("CRMGATE__TELEMETRY__ENDPOINT", collector.url()),
        (
            "CRMGATE__TELEMETRY__HEADERS__AUTHORIZATION",
            "file:collector-token",
        ),
        ("CRMGATE__LOGGING__FORMAT", "json"),
        (
            "CRMGATE__LOGGING__LEVEL",
            "info,crmgate_gateway=debug,crmgate_enforce=debug",
        ),
    ]);
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let headers = [("traceparent", parent.as_str()), ("x-request-id", "req-7")];
    let answer = create(&site, "Traced", &headers).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let decision = answer.header("crmgate-decision").unwrap().to_owned();
    let spans = collector.wait_for("request", 1).await;

    assert!(
        spans.iter().all(|span| hex(&span.trace_id) == TRACE),
        "{spans:?}"
    );
    let request = only(&spans, "request");
    assert_eq!(hex(&request.parent_span_id), CALLER);
    assert_eq!(request.kind, SpanKind::Server as i32);
    assert_eq!(
        attribute(request, "http.response.status_code").as_deref(),
        Some("201")
    );
    parent_of(&spans, "parse", "request");
    parent_of(&spans, "operation", "request");
    let mut before = only(&spans, "parse").end_time_unix_nano;
    for stage in ["enrich", "evaluate", "record", "write"] {
        parent_of(&spans, stage, "operation");
        let span = only(&spans, stage);
        assert!(
            span.start_time_unix_nano >= before,
            "{stage} is out of order"
        );
        before = span.end_time_unix_nano;
    }
    let operation = only(&spans, "operation");
    for (key, value) in [
        ("connection", "acme-sf"),
        ("object", "contact"),
        ("kind", "create"),
        ("effect", "allow"),
        ("decision", decision.as_str()),
    ] {
        assert_eq!(attribute(operation, key).as_deref(), Some(value), "{key}");
    }
    let packages = attribute(only(&spans, "evaluate"), "packages");
    assert_eq!(packages.as_deref(), Some("crm.tests.watched"));
    for body in collector.taken(|taken| taken.bodies.clone()) {
        let text = String::from_utf8_lossy(&body).into_owned();
        for value in ["Traced", "ada.value@example.com", &site.salesforce_token] {
            assert!(!text.contains(value), "a trace holds `{value}`");
        }
    }
    let sent = collector.taken(|taken| taken.headers.clone());
    assert_eq!(
        sent[0].get("authorization").unwrap(),
        "Bearer collector-secret"
    );

    the_record_names_the_trace(&site, &decision, &hex(&operation.span_id)).await;
    the_log_names_both(&gate.output(), &decision);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_queued_is_one_trace_from_submission_to_the_crms_answer() {
    let site = Site::new(&[("watched", WATCHED)]).await;
    let collector = Collector::start().await;
    let _gate = site.start(&[("CRMGATE__TELEMETRY__ENDPOINT", collector.url())]);
    let line = |id: &str, group: Option<&str>| {
        let record = json!({"last_name": "Traced", "email": "ada.value@example.com"});
        let operation = json!({"kind": "create", "object": "contact", "record": record});
        json!({"connection": "acme-dv", "client_id": id, "group": group, "operation": operation})
    };
    let together = Some("both");
    let lines = [
        line("alone", None),
        line("one", together),
        line("other", together),
    ];
    let lines = lines.map(|line| line.to_string()).join("\n");
    let request = Request::post(format!("{}/v1/operations", site.control_url()))
        .header("authorization", format!("Bearer {}", site.admin))
        .header("content-type", "application/x-ndjson")
        .header("traceparent", format!("00-{TRACE}-{CALLER}-01"))
        .body(Bytes::from(lines))
        .unwrap();
    let client = site.fresh_client();
    let answer = client.execute_bytes(request, 1 << 20).await.unwrap();
    assert_eq!(answer.status(), 202, "{:?}", answer.body());
    let spans = collector.wait_for("queued_operation", 3).await;
    let spans: Vec<Span> = spans
        .into_iter()
        .filter(|span| hex(&span.trace_id) == TRACE)
        .collect();

    let submitted = only(&spans, "control");
    assert_eq!(hex(&submitted.parent_span_id), CALLER);
    let operations = spans.iter().filter(|span| span.name == "queued_operation");
    let operations: Vec<&Span> = operations.collect();
    assert_eq!(operations.len(), 3);
    for operation in operations {
        assert_eq!(operation.parent_span_id, submitted.span_id);
        let mut before = operation.start_time_unix_nano;
        for stage in ["evaluate", "record", "write"] {
            let below =
                |span: &&Span| span.name == stage && span.parent_span_id == operation.span_id;
            let found: Vec<&Span> = spans.iter().filter(below).collect();
            let [span] = found[..] else {
                panic!("{} spans `{stage}` in {operation:?}", found.len());
            };
            assert!(
                span.start_time_unix_nano >= before,
                "{stage} comes too soon"
            );
            assert!(span.end_time_unix_nano <= operation.end_time_unix_nano);
            before = span.end_time_unix_nano;
        }
        for (key, value) in [
            ("connection", "acme-dv"),
            ("point", "queue"),
            ("effect", "allow"),
            ("state", "succeeded"),
        ] {
            assert_eq!(attribute(operation, key).as_deref(), Some(value), "{key}");
        }
        assert!(attribute(operation, "decision").is_some());
    }
    for body in collector.taken(|taken| taken.bodies.clone()) {
        let text = String::from_utf8_lossy(&body).into_owned();
        for value in ["Traced", "ada.value@example.com"] {
            assert!(!text.contains(value), "a trace holds `{value}`");
        }
    }
}

async fn the_record_names_the_trace(site: &Site, decision: &str, span: &str) {
    let answer = site.control(&format!("/v1/decisions/{decision}")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(
        answer.body["trace"],
        json!({"trace_id": TRACE, "span_id": span})
    );
    let metrics = answer.body["metrics"].as_object().unwrap();
    for timer in [
        "timer_rego_query_eval_ns",
        "timer_server_handler_ns",
        "timer_crmgate_parse_ns",
        "timer_crmgate_enrich_ns",
    ] {
        let took = metrics.get(timer).and_then(Value::as_u64);
        assert!(took.is_some_and(|took| took > 0), "{timer}: {metrics:?}");
    }
    let all: u64 = metrics["timer_server_handler_ns"].as_u64().unwrap();
    assert!(
        metrics.values().all(|took| took.as_u64().unwrap() <= all),
        "{metrics:?}"
    );
}

fn the_log_names_both(log: &str, decision: &str) {
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines: Vec<Value> = lines.collect();
    let mut of_request = lines
        .iter()
        .filter(|line| line.to_string().contains("\"req-7\""));
    assert!(
        of_request.all(|line| line.to_string().contains(TRACE)),
        "{log}"
    );
    let decided = lines.iter().find(|line| line["message"] == "decided");
    let decided = decided.unwrap_or_else(|| panic!("no line tells the decision:\n{log}"));
    let text = decided.to_string();
    for part in ["req-7", TRACE, decision] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_chooses_for_its_own_traces_only() {
    let site = Site::new(&[("watched", WATCHED)]).await;
    let collector = Collector::start().await;
    let _gate = site.start(&[
        ("CRMGATE__TELEMETRY__ENDPOINT", collector.url()),
        ("CRMGATE__TELEMETRY__SAMPLE", "0"),
    ]);
    create(&site, "Unasked", &[]).await;
    create(
        &site,
        "No",
        &[("traceparent", &format!("00-{TRACE}-{CALLER}-00"))],
    )
    .await;
    create(&site, "Garbage", &[("traceparent", "00-not-a-trace")]).await;
    create(
        &site,
        "Yes",
        &[("traceparent", &format!("00-{TRACE}-{CALLER}-01"))],
    )
    .await;
    let spans = collector.wait_for("request", 1).await;
    assert_eq!(
        spans.iter().filter(|span| span.name == "request").count(),
        1
    );
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE));
}

/// A collector that takes connections and never answers.
async fn black_hole() -> (String, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let holding = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    (url, holding)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_hangs_delays_nothing_and_what_is_lost_is_counted() {
    let site = Site::new(&[("watched", WATCHED)]).await;
    let (url, _holding) = black_hole().await;
    let _gate = site.start(&[
        ("CRMGATE__TELEMETRY__ENDPOINT", &url),
        ("CRMGATE__TELEMETRY__QUEUE", "8"),
        ("CRMGATE__TELEMETRY__TIMEOUT", "3s"),
    ]);
    let mut slowest = Duration::ZERO;
    for n in 0..60 {
        let started = Instant::now();
        let answer = create(&site, &format!("Lost{n}"), &[]).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        slowest = slowest.max(started.elapsed());
    }
    // The collector's time-out is three seconds: a write that waited for it would have taken that.
    assert!(
        slowest < Duration::from_millis(2_500),
        "a write took {slowest:?}"
    );
    let spans = "crmgate_trace_spans_total";
    let scrape = site.metrics().await;
    assert!(
        scrape.sum(spans, &[("result", "dropped")]) > 0.0,
        "nothing was dropped"
    );
    assert_eq!(scrape.sum(spans, &[("result", "exported")]), 0.0);
    assert!(scrape.sum("crmgate_trace_queue", &[]) <= 8.0);
    for _ in 0..400 {
        if site.metrics().await.sum(spans, &[("result", "failed")]) > 0.0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("what the collector did not take is not counted");
}
