//! Which trace something belongs to: W3C trace context in, ids for logs and records out.

use std::str::FromStr as _;
use std::sync::atomic::{AtomicBool, Ordering};

use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The header by which callers name their requests.
const REQUEST_ID: &str = "x-request-id";
/// The longest name of a request.
const LONGEST_ID: usize = 64;

static EXPORTED: AtomicBool = AtomicBool::new(false);

static FOLLOWED: AtomicBool = AtomicBool::new(true);

/// Notes that spans leave the process: from now on they have ids. `follow` is whether traces that
/// callers began go on here.
pub fn exported(follow: bool) {
    FOLLOWED.store(follow, Ordering::Release);
    EXPORTED.store(true, Ordering::Release);
}

/// Whether spans leave the process.
#[must_use]
pub fn is_exported() -> bool {
    EXPORTED.load(Ordering::Acquire)
}

/// Where in a trace something happened, in W3C's hexadecimal form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
}

impl From<&SpanContext> for Ids {
    fn from(context: &SpanContext) -> Self {
        Self {
            trace_id: context.trace_id().to_string(),
            span_id: context.span_id().to_string(),
        }
    }
}

/// The span that is entered now; `None` where no spans leave the process.
#[must_use]
pub fn current() -> Option<Ids> {
    if !is_exported() {
        return None;
    }
    of(&Span::current())
}

fn of(span: &Span) -> Option<Ids> {
    let context = span.context();
    let span = context.span();
    let place = span.span_context();
    place.is_valid().then(|| Ids::from(place))
}

/// The caller's own span, as the headers `traceparent` and `tracestate` tell.
#[derive(Debug, Clone)]
pub struct Caller(SpanContext);

impl Caller {
    /// Reads the headers; `None` where they are missing or not as the standard says, in which case
    /// the standard has us start a trace of our own.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut given = headers.get_all("traceparent").iter();
        let parent = given.next().filter(|_| given.next().is_none())?;
        let (trace, span, flags) = read(parent.to_str().ok()?)?;
        let state = headers.get_all("tracestate").iter();
        let state: Vec<&str> = state.filter_map(|value| value.to_str().ok()).collect();
        let state = TraceState::from_str(&state.join(",")).unwrap_or_default();
        Some(Self(SpanContext::new(trace, span, flags, true, state)))
    }
}

/// The name that a caller gave its request, where it is one: up to 64 letters, digits, `-_.`.
#[must_use]
pub fn request_id(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (!id.is_empty() && id.len() <= LONGEST_ID && id.chars().all(plain)).then_some(id)
}

/// Has a span go on where the caller's ended, and writes the trace's id into its field `trace_id`,
/// so that it stands on every log line below it. Call it before the span is entered.
pub fn carry_on(span: &Span, caller: Option<Caller>) {
    if span.is_disabled() {
        return;
    }
    let caller = caller.filter(|_| FOLLOWED.load(Ordering::Acquire));
    let told = if is_exported() {
        if let Some(Caller(place)) = caller {
            // It fails only for a span that is under way already, which keeps its own trace.
            let _ = span.set_parent(Context::new().with_remote_span_context(place));
        }
        of(span).map(|ids| ids.trace_id)
    } else {
        caller.map(|Caller(place)| place.trace_id().to_string())
    };
    if let Some(trace_id) = told {
        span.record("trace_id", trace_id);
    }
}

/// `00-<32 hex>-<16 hex>-<2 hex>`; a later version may go on after another dash.
fn read(parent: &str) -> Option<(TraceId, SpanId, TraceFlags)> {
    let mut parts = parent.trim().splitn(5, '-');
    let (version, trace) = (parts.next()?, parts.next()?);
    let (span, flags) = (parts.next()?, parts.next()?);
    let more = parts.next();
    let hex = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let lengths = [(version, 2), (trace, 32), (span, 16), (flags, 2)];
    let well_formed = lengths.iter().all(|(text, digits)| hex(text, *digits));
    if !well_formed || version == "ff" || (version == "00" && more.is_some()) {
        return None;
    }
    let trace = TraceId::from_hex(trace).ok()?;
    let span = SpanId::from_hex(span).ok()?;
    let flags = u8::from_str_radix(flags, 16).ok()?;
    let valid = trace != TraceId::INVALID && span != SpanId::INVALID;
    // Of the flags, only "sampled" means something.
    valid.then(|| (trace, span, TraceFlags::new(flags) & TraceFlags::SAMPLED))
}

#[cfg(test)]
mod tests;
