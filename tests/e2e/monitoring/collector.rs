//! An OpenTelemetry collector, as far as a test needs one.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use crmgate_sim::serve::{Running, spawn};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

#[derive(Default)]
pub(super) struct Taken {
    pub(super) spans: Vec<Span>,
    pub(super) headers: Vec<HeaderMap>,
    /// Whole bodies, to be searched.
    pub(super) bodies: Vec<Bytes>,
}

type Shared = Arc<Mutex<Taken>>;

/// A running collector; ends when dropped.
pub(super) struct Collector {
    running: Running,
    taken: Shared,
}

impl Collector {
    pub(super) async fn start() -> Self {
        let taken = Shared::default();
        let router = Router::new()
            .route("/v1/traces", post(take))
            .with_state(Arc::clone(&taken));
        Self {
            running: spawn(router).await.unwrap(),
            taken,
        }
    }

    pub(super) fn url(&self) -> &str {
        &self.running.url
    }

    pub(super) fn taken<T>(&self, look: impl FnOnce(&Taken) -> T) -> T {
        look(&self.taken.lock().unwrap())
    }

    /// Waits until so many spans of that name have come, and gives all spans.
    pub(super) async fn wait_for(&self, name: &str, count: usize) -> Vec<Span> {
        for _ in 0..500 {
            let spans = self.taken(|taken| taken.spans.clone());
            if spans.iter().filter(|span| span.name == name).count() >= count {
                return spans;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let names = self.taken(|taken| {
            taken
                .spans
                .iter()
                .map(|s| s.name.clone())
                .collect::<Vec<_>>()
        });
        panic!("{count} spans `{name}` did not come: {names:?}");
    }
}

async fn take(State(taken): State<Shared>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(body.clone()) else {
        return StatusCode::BAD_REQUEST;
    };
    let spans = request.resource_spans.into_iter();
    let spans = spans
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| scope.spans);
    let mut taken = taken.lock().unwrap();
    taken.spans.extend(spans);
    taken.headers.push(headers);
    taken.bodies.push(body);
    StatusCode::OK
}

/// A span's attribute as text.
pub(super) fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|one| one.key == key)?;
    match found.value.clone()?.value? {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}

/// An id in hexadecimal digits.
pub(super) fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
