//! What the gateway tells about itself: numbers, log lines, and the span of every request.
//! INVARIANT: connections and route ids come from configuration and tables, never from a request;
//! of a request's own words only its id and its trace's id are told, and neither is a label.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use crmgate_connector::{Class, RequestHead};
use crmgate_domain::{ConnectionName, Effect};
use crmgate_telemetry::trace::{self, Caller};
use crmgate_telemetry::{Each, SPANS, status};
use http::StatusCode;
use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};
use tracing::Span;
use tracing::field::Empty;

/// The words for [`Class`].
const CLASSES: [&str; 5] = ["open", "sign_in", "read", "write", "unknown"];

/// Class and route of a request, as labels.
#[derive(Debug, Clone)]
pub(crate) struct Labels {
    pub(crate) class: &'static str,
    pub(crate) route: String,
}

impl Labels {
    pub(crate) fn of(class: &Class) -> Self {
        let (class, matched) = match class {
            Class::Open(matched) => ("open", Some(matched)),
            Class::SignIn(matched) => ("sign_in", Some(matched)),
            Class::Read(matched) => ("read", Some(matched)),
            Class::Write(matched) => ("write", Some(matched)),
            Class::Unknown { .. } => ("unknown", None),
        };
        Self {
            class,
            route: matched.map_or_else(|| "none".to_owned(), |it| it.route.id.clone()),
        }
    }
}

/// Names what is counted, and begins at nothing.
pub(crate) fn describe() {
    describe_counter!(
        "crmgate_gateway_requests_total",
        Unit::Count,
        "Requests of the CRM's clients, by class, route, status and effect."
    );
    describe_histogram!(
        "crmgate_gateway_seconds",
        Unit::Seconds,
        "Time from a request's head to its answer's head."
    );
    describe_gauge!(
        "crmgate_gateway_under_way",
        Unit::Count,
        "Requests that have no whole answer yet."
    );
    describe_counter!(
        "crmgate_gateway_turned_away_total",
        Unit::Count,
        "Requests told to come back because too many were under way."
    );
    describe_counter!(
        "crmgate_gateway_panics_total",
        Unit::Count,
        "Requests that ended in a fault of this program."
    );
    describe_counter!(
        "crmgate_gateway_wrong_host_total",
        Unit::Count,
        "Requests for a host that no connection has."
    );
    counter!("crmgate_gateway_panics_total").absolute(0);
    counter!("crmgate_gateway_wrong_host_total").absolute(0);
}

pub(crate) fn panicked() {
    counter!("crmgate_gateway_panics_total").increment(1);
}

pub(crate) fn wrong_host() {
    counter!("crmgate_gateway_wrong_host_total").increment(1);
}

/// What tells one counter of requests from another, beside the route.
type Kind = (&'static str, &'static str, &'static str);

/// The numbers of one connection.
#[derive(Debug)]
pub(crate) struct Meters {
    connection: String,
    seconds: Each<&'static str, Histogram>,
    pub(crate) under_way: Gauge,
    pub(crate) turned_away: Counter,
    /// By class, status and effect; then by route, of which the tables of routes bound the number.
    requests: RwLock<HashMap<Kind, HashMap<String, Counter>>>,
}

impl Meters {
    pub(crate) fn new(connection: &ConnectionName) -> Self {
        let name = connection.to_string();
        Self {
            seconds: Each::of(
                &CLASSES,
                |class| histogram!("crmgate_gateway_seconds", "connection" => name.clone(), "class" => class),
            ),
            under_way: gauge!("crmgate_gateway_under_way", "connection" => name.clone()),
            turned_away: counter!("crmgate_gateway_turned_away_total", "connection" => name.clone()),
            requests: RwLock::default(),
            connection: name,
        }
    }

    fn count(&self, kind: Kind, route: &str) {
        {
            let known = self.requests.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(counter) = known.get(&kind).and_then(|routes| routes.get(route)) {
                return counter.increment(1);
            }
        }
        let (class, status, effect) = kind;
        let counter = counter!(
            "crmgate_gateway_requests_total",
            "connection" => self.connection.clone(), "class" => class,
            "route" => route.to_owned(), "status" => status, "effect" => effect
        );
        counter.increment(1);
        let mut known = self
            .requests
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        known
            .entry(kind)
            .or_default()
            .insert(route.to_owned(), counter);
    }

    /// Counts one answered request, and tells its span.
    pub(crate) fn answered(
        &self,
        labels: &Labels,
        status: StatusCode,
        effect: Option<Effect>,
        took: Duration,
    ) {
        let effect = effect.map_or("none", Effect::as_str);
        if let Some(seconds) = self.seconds.get(labels.class) {
            seconds.record(took);
        }
        let kind = (labels.class, status::word(status.as_u16()), effect);
        self.count(kind, &labels.route);
        let span = Span::current();
        if trace::is_exported() {
            span.record("http.response.status_code", status.as_u16());
            if status.is_server_error() {
                span.record("otel.status_code", "ERROR");
            }
        }
        tracing::debug!(status = status.as_u16(), effect, ?took, "answered");
    }
}

/// The span of a request: everything that is logged below it says which request it was.
pub(crate) fn span(
    connection: &ConnectionName,
    labels: &Labels,
    head: &RequestHead,
    fresh_id: impl FnOnce() -> String,
) -> Span {
    let span = tracing::info_span!(
        target: SPANS,
        "request",
        %connection,
        class = labels.class,
        route = labels.route,
        request_id = Empty,
        trace_id = Empty,
        otel.kind = Empty,
        otel.status_code = Empty,
        http.request.method = Empty,
        http.response.status_code = Empty,
    );
    if span.is_disabled() {
        return span;
    }
    match trace::request_id(&head.headers) {
        Some(id) => span.record("request_id", id),
        None => span.record("request_id", fresh_id()),
    };
    if trace::is_exported() {
        span.record("otel.kind", "server");
        span.record("http.request.method", head.method.as_str());
    }
    trace::carry_on(&span, Caller::of(&head.headers));
    span
}
