//! Numbers for Prometheus.

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Renders the metrics in Prometheus' text form.
pub(crate) type Render = Arc<dyn Fn() -> String + Send + Sync>;

/// Seconds: from a decision in memory to a slow CRM.
const BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];

/// Starts gathering metrics, and tidies them regularly.
///
/// # Errors
/// When metrics are gathered by somebody else in this process already.
pub(crate) fn start() -> anyhow::Result<Render> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)?
        .install_recorder()?;
    tidy(handle.clone());
    Ok(Arc::new(move || handle.render()))
}

/// Histograms grow until somebody folds them.
fn tidy(handle: PrometheusHandle) {
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_secs(5));
        loop {
            ticks.tick().await;
            handle.run_upkeep();
        }
    });
}
