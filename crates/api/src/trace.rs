//! The span of a request to the control API: what is asked here can be followed to the CRM's answer.

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use crmgate_telemetry::{SPANS, trace};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use crate::meters::word;

/// Handles the request within its span, which goes on where its caller's trace ended.
pub(crate) async fn follow(request: Request, next: Next) -> Response {
    let span = span(&request);
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    response
}

/// Templates and ids, never paths or values.
fn span(request: &Request) -> Span {
    let route = request.extensions().get::<MatchedPath>();
    let span = tracing::info_span!(
        target: SPANS,
        "control",
        route = route.map_or("none", MatchedPath::as_str),
        request_id = trace::request_id(request.headers()),
        trace_id = Empty,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = word(request.method()),
        http.response.status_code = Empty,
    );
    trace::carry_on(&span, trace::Caller::of(request.headers()));
    span
}
