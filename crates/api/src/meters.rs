//! What the control API tells about itself.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use crmgate_telemetry::status;
use http::Method;
use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

/// Tells the recorder of metrics what each number is.
pub(crate) fn describe() {
    describe_counter!(
        "crmgate_control_requests_total",
        Unit::Count,
        "Requests to the control API, by the route's template and status."
    );
    describe_histogram!(
        "crmgate_control_seconds",
        Unit::Seconds,
        "Time from a request to the control API to its answer."
    );
}

/// Counts a request under its route's template, never under its path.
pub(crate) async fn count(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let path = request.extensions().get::<MatchedPath>();
    let route = path.map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let method = word(request.method());
    let response = next.run(request).await;
    histogram!("crmgate_control_seconds", "route" => route.clone()).record(started.elapsed());
    counter!("crmgate_control_requests_total",
        "method" => method, "route" => route, "status" => status::word(response.status().as_u16()))
    .increment(1);
    response
}

/// A caller may make methods up.
pub(crate) const fn word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
