//! The worker of this process.

use std::sync::Arc;
use std::time::Duration;

use crmgate_app::App;
use crmgate_app::operations::callbacks::is_public;
use crmgate_domain::Ambient;
use crmgate_enforce::queued::Tries;
use crmgate_outbound::Client;
use crmgate_queue::{Handler, QueueSpec};
use crmgate_store::CALLBACKS;
use crmgate_worker::{Ended, FormDrafts, LineParts, Parts, Settings, Teller, Worker};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::store::Memory;
use crate::config::Config;
use crate::exit::{Exit, Failure};

/// How long a receiver of callbacks may take to answer.
const TELL_WITHIN: Duration = Duration::from_secs(20);
/// How many are told at one time.
const TELLERS: usize = 16;

/// A worker at work.
pub(crate) struct Work {
    task: JoinHandle<Ended>,
    stop: CancellationToken,
}

impl Work {
    /// Starts to work on the queues of all connections.
    pub(crate) fn start(
        config: &Config,
        app: &Arc<App>,
        memory: &Memory,
        ambient: &Arc<dyn Ambient>,
    ) -> Result<Self, Failure> {
        let lines = app.connections().iter().map(|connection| LineParts {
            gate: Arc::clone(connection.gate()),
            rules: config
                .connections
                .get(connection.name())
                .map(|configured| configured.queue.clone())
                .unwrap_or_default(),
        });
        let parts = Parts {
            process: memory.process,
            operations: Arc::clone(&memory.operations),
            jobs: Arc::clone(&memory.jobs),
            cells: Arc::clone(&memory.cells),
            ambient: Arc::clone(ambient),
            drafts: Arc::new(FormDrafts(Arc::clone(app.connections()))),
            lines: lines.collect(),
            others: vec![callbacks(config, app, memory, ambient)?],
        };
        let stop = CancellationToken::new();
        let worker = Worker::new(parts, settings(config));
        Ok(Self {
            task: tokio::spawn(worker.run(stop.clone())),
            stop,
        })
    }

    /// Takes nothing new from now on.
    pub(crate) fn wind_down(&self) {
        self.stop.cancel();
    }

    /// Waits until what is in hand has ended or was handed back.
    pub(crate) async fn finish(self) {
        self.stop.cancel();
        match self.task.await {
            Ok(ended) => tracing::info!(
                finished = ended.jobs.finished,
                handed_back = ended.jobs.handed_back,
                cut = ended.jobs.cut,
                calls_ended = ended.calls_ended,
                "the worker has stopped"
            ),
            Err(error) => tracing::error!(%error, "the worker broke off"),
        }
    }
}

/// The queue of callbacks, and who works on it.
fn callbacks(
    config: &Config,
    app: &Arc<App>,
    memory: &Memory,
    ambient: &Arc<dyn Ambient>,
) -> Result<(QueueSpec, Arc<dyn Handler>), Failure> {
    let anywhere = config.operations.callbacks.private;
    let upstream = crmgate_outbound::Settings {
        name: "callbacks".to_owned(),
        timeout: TELL_WITHIN,
        may_reach: (!anywhere).then_some(is_public),
        ..config.upstream.0.clone()
    };
    let client = Client::new(upstream).map_err(|error| {
        let message = format!("`upstream`, for callbacks: {error}");
        Failure::new(Exit::Config, message)
    })?;
    let operations = app.operations();
    let operations = operations.map_err(|error| Failure::new(Exit::System, error.to_string()))?;
    let teller = Teller {
        operations: Arc::clone(&memory.operations),
        callbacks: Arc::clone(operations.callbacks()),
        client,
        ambient: Arc::clone(ambient),
    };
    let spec = QueueSpec {
        concurrency: TELLERS,
        ..QueueSpec::new(CALLBACKS)
    };
    Ok((spec, Arc::new(teller)))
}

fn settings(config: &Config) -> Settings {
    let given = config.worker;
    Settings {
        concurrency: given.concurrency,
        claim: given.concurrency.div_ceil(2).min(200),
        job_lease: given.lease,
        row_lease: given.lease,
        tries: Tries {
            most: u32::try_from(given.tries).unwrap_or(u32::MAX),
            ..Tries::default()
        },
        drain: config.limits.grace(),
        keep: config.operations.keep,
        ..Settings::default()
    }
}
