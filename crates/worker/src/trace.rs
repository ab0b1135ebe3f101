//! The span of an operation in hand: the trace goes on where it was submitted.

use crmgate_store::StoredOperation;
use crmgate_telemetry::{SPANS, trace};
use http::HeaderMap;

/// The span; names and ids, never values.
pub(crate) fn span(stored: &StoredOperation) -> tracing::Span {
    let span = tracing::info_span!(
        target: SPANS,
        "queued_operation",
        connection = %stored.connection,
        operation = %stored.id,
        object = stored.object,
        kind = stored.kind,
        point = "queue",
        trace_id = tracing::field::Empty,
        decision = tracing::field::Empty,
        effect = tracing::field::Empty,
    );
    let parent = stored.trace.as_ref().and_then(|place| {
        let mut headers = HeaderMap::new();
        let text = format!("00-{}-{}-01", place.trace_id, place.span_id);
        headers.insert("traceparent", text.parse().ok()?);
        trace::Caller::of(&headers)
    });
    if parent.is_some() {
        trace::carry_on(&span, parent);
    }
    span
}
