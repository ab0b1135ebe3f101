//! The control API: `/v1/…` under API tokens, the OpenAPI document, health, metrics, and a page
//! for people who come by with a browser.
//!
//! Handlers translate; the use cases in `crmgate-app` decide. Every `/v1` route stands in one
//! table, [`ROUTES`], with the action it takes; what is not in the table is not served.

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use crmgate_app::App;

mod access;
mod body;
mod error;
mod meters;
mod openapi;
mod page;
mod probes;
mod routes;
#[cfg(test)]
mod tests;
mod trace;

pub use access::{Access, ROUTES};
pub use body::MAX_BODY;
pub use error::{ApiError, CODES, ErrorBody};
pub use openapi::document;

/// What the control API is made of.
#[derive(Clone)]
pub struct Parts {
    /// The use cases.
    pub app: Arc<App>,
    /// Renders the metrics in Prometheus' text form.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Whether health and metrics answer callers from other machines without a token.
    pub open_probes: bool,
    /// What the page at `/` tells about the connections' addresses.
    pub gateways: Vec<Gateway>,
}

/// Where clients of one connection point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// The connection.
    pub connection: String,
    /// `https://127.0.0.1:8701`.
    pub url: String,
}

/// Health and metrics alone: what a process without a control API shows of itself.
pub fn probes(parts: Parts) -> Router {
    meters::describe();
    probes::router()
        .fallback(error::no_such_path)
        .with_state(Arc::new(parts))
}

/// The whole control API as a service.
pub fn router(parts: Parts) -> Router {
    meters::describe();
    let parts = Arc::new(parts);
    Router::new()
        .merge(routes::router(&parts))
        .merge(probes::router())
        .route("/", axum::routing::get(page::page))
        .route("/openapi.json", axum::routing::get(openapi::serve))
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(middleware::from_fn(error::never_panic))
        .layer(middleware::from_fn(meters::count))
        .with_state(parts)
}
