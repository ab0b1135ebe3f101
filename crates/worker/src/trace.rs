//! The span of an operation in hand: the trace goes on where it was submitted.

use crmgate_domain::Point;
use crmgate_enforce::queued::Ended;
use crmgate_store::StoredOperation;
use crmgate_telemetry::{SPANS, trace};
use http::HeaderMap;

/// Tells the span what the handling of its operation came to.
pub(crate) fn tell(span: &tracing::Span, ended: Ended) {
    // Entered, because a span's time ends where it was left last.
    span.in_scope(|| {
        if let Ended::Over(state) = ended {
            span.record("state", state.as_str());
        }
    });
}

/// Tells the span where its operation is judged: what it asks says so, once that is read.
pub(crate) fn judged_at(span: &tracing::Span, point: Point) {
    span.record("point", point.as_str());
}

/// The span; names and ids, never values.
pub(crate) fn span(stored: &StoredOperation) -> tracing::Span {
    let span = tracing::info_span!(
        target: SPANS,
        "queued_operation",
        connection = %stored.connection,
        operation = %stored.id,
        object = stored.object,
        kind = stored.kind,
        point = tracing::field::Empty,
        trace_id = tracing::field::Empty,
        decision = tracing::field::Empty,
        effect = tracing::field::Empty,
        state = tracing::field::Empty,
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
