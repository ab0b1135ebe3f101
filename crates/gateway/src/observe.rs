//! What the gateway tells about itself: numbers and log lines. Labels are bounded: connections and
//! route ids come from configuration and tables, never from a request.

use std::time::Duration;

use crmgate_connector::Class;
use crmgate_domain::{ConnectionName, Effect};
use http::StatusCode;
use metrics::{
    Gauge, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

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

/// Names what is counted.
pub(crate) fn describe() {
    describe_counter!(
        "crmgate_gateway_requests_total",
        "requests by connection, class, route, status and effect"
    );
    describe_histogram!(
        "crmgate_gateway_seconds",
        metrics::Unit::Seconds,
        "time from a request's head to its answer's head"
    );
    describe_gauge!(
        "crmgate_gateway_under_way",
        "requests that have no whole answer yet"
    );
    describe_counter!(
        "crmgate_gateway_panics_total",
        "requests that ended in a fault of this program"
    );
    describe_counter!(
        "crmgate_gateway_wrong_host_total",
        "requests for a host that no connection has"
    );
}

/// Counts one answered request.
pub(crate) fn answered(
    connection: &ConnectionName,
    labels: Labels,
    status: StatusCode,
    effect: Option<Effect>,
    took: Duration,
) {
    let effect = effect.map_or("none", Effect::as_str);
    histogram!(
        "crmgate_gateway_seconds",
        "connection" => connection.to_string(), "class" => labels.class
    )
    .record(took.as_secs_f64());
    tracing::debug!(
        %connection,
        class = labels.class,
        route = labels.route,
        status = status.as_u16(),
        effect,
        ?took,
        "answered"
    );
    counter!(
        "crmgate_gateway_requests_total",
        "connection" => connection.to_string(),
        "class" => labels.class,
        "route" => labels.route,
        "status" => status.as_str().to_owned(),
        "effect" => effect
    )
    .increment(1);
}

pub(crate) fn panicked() {
    counter!("crmgate_gateway_panics_total").increment(1);
}

pub(crate) fn wrong_host() {
    counter!("crmgate_gateway_wrong_host_total").increment(1);
}

/// How many requests are under way at a connection.
pub(crate) fn under_way(connection: &ConnectionName) -> Gauge {
    gauge!("crmgate_gateway_under_way", "connection" => connection.to_string())
}
