//! The `/v1` routes: handlers translate, use cases decide.

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::{delete, get, post, put};

use crate::Parts;
use crate::access::authorize;
use crate::trace;

pub(crate) mod approvals;
pub(crate) mod connections;
pub(crate) mod decisions;
pub(crate) mod export;
pub(crate) mod holds;
pub(crate) mod operations;
pub(crate) mod policies;
pub(crate) mod processes;
pub(crate) mod record;
pub(crate) mod submissions;
pub(crate) mod tokens;
pub(crate) mod validate;
mod waiting;

/// The routes of [`crate::ROUTES`], each behind its action.
pub(crate) fn router(parts: &Arc<Parts>) -> Router<Arc<Parts>> {
    let guard = middleware::from_fn_with_state(Arc::clone(parts), authorize);
    Router::new()
        .route("/v1/validate", post(validate::validate))
        .route("/v1/decisions", get(decisions::list))
        .route("/v1/decisions/export", get(export::export))
        .route("/v1/decisions/erase", post(record::erase))
        .route("/v1/record/entries", get(record::entries))
        .route("/v1/record/checkpoints", get(record::checkpoints))
        .route("/v1/record/key", get(record::key))
        .route("/v1/record/check", get(record::check))
        .route("/v1/decisions/{id}", get(decisions::show))
        .route("/v1/holds", get(holds::list))
        .route("/v1/holds/{id}", get(holds::show))
        .route("/v1/approvals", get(approvals::list))
        .route("/v1/approvals/{id}", get(approvals::show))
        .route("/v1/approvals/{id}/approve", post(approvals::approve))
        .route("/v1/approvals/{id}/reject", post(approvals::reject))
        .route("/v1/connections", get(connections::list))
        .route("/v1/connections/{name}", get(connections::show))
        .route("/v1/connections/{name}/report", get(connections::report))
        .route("/v1/connections/{name}/mode", put(connections::set_mode))
        .route("/v1/policies", get(policies::show))
        .route("/v1/policies/reload", post(policies::reload))
        .route("/v1/policies/revisions/{revision}", get(policies::revision))
        .route("/v1/processes", get(processes::list))
        .route(
            "/v1/operations",
            get(operations::list).post(operations::submit::submit),
        )
        .route("/v1/operations/cancel", post(operations::cancel_all))
        .route("/v1/operations/retry", post(operations::retry_all))
        .route("/v1/operations/{id}", get(operations::show))
        .route("/v1/operations/{id}/history", get(operations::history))
        .route("/v1/operations/{id}/cancel", post(operations::cancel))
        .route("/v1/operations/{id}/retry", post(operations::retry))
        .route("/v1/operations/{id}/resolve", post(operations::resolve))
        .route("/v1/submissions/{id}", get(submissions::show))
        .route("/v1/tokens", get(tokens::list).post(tokens::create))
        .route("/v1/tokens/{id}", delete(tokens::revoke))
        .route_layer(guard)
        .route_layer(middleware::from_fn(trace::follow))
}
