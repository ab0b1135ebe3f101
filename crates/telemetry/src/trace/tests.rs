use http::{HeaderMap, HeaderValue};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use proptest::prelude::*;
use tracing::field::Empty;
use tracing_subscriber::layer::SubscriberExt as _;

use super::{Caller, Ids, carry_on, current, exported, read};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn headers(parents: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for parent in parents {
        headers.append("traceparent", HeaderValue::from_str(parent).unwrap());
    }
    headers
}

#[test]
fn only_what_the_standard_allows_is_followed() {
    let good = format!("00-{TRACE}-{SPAN}-01");
    assert!(Caller::of(&headers(&[&good])).is_some());
    assert!(Caller::of(&headers(&[&format!("cc-{TRACE}-{SPAN}-00-more")])).is_some());
    for bad in [
        String::new(),
        "00".to_owned(),
        format!("ff-{TRACE}-{SPAN}-01"),
        format!("00-{TRACE}-{SPAN}-01-more"),
        format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
        format!("00-{}-{SPAN}-01", "0".repeat(32)),
        format!("00-{TRACE}-{}-01", "0".repeat(16)),
        format!("00-{TRACE}-{SPAN}-1"),
        format!("00-{TRACE}{SPAN}-01"),
    ] {
        assert!(Caller::of(&headers(&[&bad])).is_none(), "{bad}");
    }
    assert!(Caller::of(&headers(&[&good, &good])).is_none());
    assert!(Caller::of(&HeaderMap::new()).is_none());
}

proptest! {
    #[test]
    fn nothing_that_callers_send_breaks_the_reader(text in "\\PC*") {
        let _ = read(&text);
    }
}

#[test]
fn a_span_goes_on_where_the_caller_ended_and_its_children_with_it() {
    let memory = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(memory.clone())
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let subscriber = tracing_subscriber::registry().with(layer);
    exported(true);
    let mut inside: Option<Ids> = None;
    tracing::subscriber::with_default(subscriber, || {
        let span = tracing::info_span!("request", trace_id = Empty);
        carry_on(
            &span,
            Caller::of(&headers(&[&format!("00-{TRACE}-{SPAN}-01")])),
        );
        span.in_scope(|| {
            let child = tracing::info_span!("operation");
            inside = child.in_scope(current);
        });
    });
    let inside = inside.unwrap();
    assert_eq!(inside.trace_id, TRACE);
    let spans = memory.get_finished_spans().unwrap();
    let find = |name: &str| spans.iter().find(|span| span.name == name).unwrap().clone();
    let (request, operation) = (find("request"), find("operation"));
    assert_eq!(request.parent_span_id.to_string(), SPAN);
    assert_eq!(operation.parent_span_id, request.span_context.span_id());
    assert_eq!(operation.span_context.span_id().to_string(), inside.span_id);
    assert_eq!(operation.span_context.trace_id().to_string(), TRACE);
}
