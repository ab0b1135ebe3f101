//! Numbers for Prometheus.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use crmgate_app::App;
use metrics::{Unit, describe_gauge, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;

use super::traces;

/// Renders the metrics in Prometheus' text form.
pub(crate) type Render = Arc<dyn Fn() -> String + Send + Sync>;

/// Seconds: from a decision in memory to a slow CRM.
const SECONDS: [f64; 16] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    10.0, 60.0,
];
/// Seconds of evaluations, which have a budget. Few for packages, of which there are many.
const OF_LAYERS: [f64; 9] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
];
const OF_PACKAGES: [f64; 4] = [0.0001, 0.001, 0.01, 0.05];
/// Writes in one transaction.
const SIZES: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// Calls to a CRM for one operation: a part of one where many share it.
const CALLS: [f64; 9] = [0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0];

/// Starts gathering metrics, and tidies them regularly.
///
/// # Errors
/// When metrics are gathered by somebody else in this process already.
pub(crate) fn start() -> anyhow::Result<Render> {
    let full = |name: &str| Matcher::Full(name.to_owned());
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(full("crmgate_layer_seconds"), &OF_LAYERS)?
        .set_buckets_for_metric(full("crmgate_package_seconds"), &OF_PACKAGES)?
        .set_buckets_for_metric(full("crmgate_record_batch_size"), &SIZES)?
        .set_buckets_for_metric(full("crmgate_queue_call_operations"), &SIZES)?
        .set_buckets_for_metric(full("crmgate_operation_failed_tries"), &SIZES)?
        .set_buckets_for_metric(full("crmgate_operation_crm_calls"), &CALLS)?
        .install_recorder()?;
    tidy(handle.clone());
    let process = Collector::default();
    process.describe();
    describe_gauge!(
        "crmgate_build_info",
        Unit::Count,
        "1, with the version of this program."
    );
    gauge!("crmgate_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1);
    traces::describe();
    Ok(Arc::new(move || {
        process.collect();
        handle.render()
    }))
}

/// The same with what the application knows at that moment.
pub(crate) fn with_app(render: Render, app: &Arc<App>) -> Render {
    let app = Arc::clone(app);
    Arc::new(move || {
        app.measure();
        let mut text = render();
        // A series ends here when its revision does: a gauge of the recorder would stay for ever.
        text.push_str(
            "# HELP crmgate_policy_info 1, with the revision of the policies in force.\n\
             # TYPE crmgate_policy_info gauge\n",
        );
        let revision = app.policies().status().revision;
        for connection in app.connections().iter() {
            // Names and revisions hold nothing that would need escaping; writing to a text cannot
            // fail.
            let _ = writeln!(
                text,
                "crmgate_policy_info{{connection=\"{}\",revision=\"{}\"}} 1",
                connection.name(),
                revision.short()
            );
        }
        text
    })
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
