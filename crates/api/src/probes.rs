//! Health and metrics.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::routing::get;
use crmgate_app::{Action, State as Condition};
use http::{StatusCode, header};
use serde_json::json;

use crate::Parts;
use crate::access::Prober;
use crate::body::Answer;

pub(crate) fn router() -> Router<Arc<Parts>> {
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
}

/// Whether the process runs. Says nothing about stores and CRMs, so that nobody restarts a gate
/// because a CRM is down.
async fn alive(State(parts): State<Arc<Parts>>, prober: Prober) -> Answer {
    prober.demand(&parts, None).await?;
    let observing = parts.app.connections().any_observes();
    let body = json!({"status": "ok", "protected": !observing});
    Ok(axum::Json(body).into_response())
}

/// Whether the gate can do its work.
async fn ready(State(parts): State<Arc<Parts>>, prober: Prober) -> Answer {
    prober.demand(&parts, None).await?;
    let readiness = parts.app.health().ready().await;
    let status = match readiness.state {
        Condition::Ok | Condition::Degraded => StatusCode::OK,
        Condition::Failed => StatusCode::SERVICE_UNAVAILABLE,
    };
    Ok((status, axum::Json(readiness)).into_response())
}

async fn metrics(State(parts): State<Arc<Parts>>, prober: Prober) -> Answer {
    prober.demand(&parts, Some(Action::ReadMetrics)).await?;
    let form = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    Ok((form, (parts.metrics)()).into_response())
}
