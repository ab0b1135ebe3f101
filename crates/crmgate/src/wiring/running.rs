//! A crmgate that serves: what `serve` and the demo run.

use std::collections::BTreeMap;
use std::sync::Arc;

use crmgate_app::operations::OperationParts;
use crmgate_app::{App, AppParts, Leader, Leading, Policies, PolicyParts, ProcessParts};
use crmgate_connector::Connector;
use crmgate_domain::{Ambient, ConnectionName, Mode};
use crmgate_listen::{BindError, Report};
use crmgate_store::{ProcessKind, Store};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::bundles::{Bundles, CombinedSource, Prefer};
use super::certificates::{self, Reader, Watched};
use super::child::ChildChecker;
use super::connections::{self, Built};
use super::decision_log::{Shared, Sinks};
use super::listeners::{self, Opened, Service};
use super::metrics::Render;
use super::policies::FolderSource;
use super::room::Room;
use super::store::Memory;
use super::watermark::Watermark;
use super::work::Work;
use super::{ingress, watch};
use crate::ambient;
use crate::config::{Config, Loaded};
use crate::exit::{Exit, Failure};

/// How long shutting down waits, after what was judged, for the store and the sinks of the decision
/// log.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_secs(5);

/// A crmgate that serves.
pub(crate) struct Running {
    pub(crate) app: Arc<App>,
    /// The control API's address, where it listens.
    pub(crate) control: Option<String>,
    /// Where clients of each connection point.
    pub(crate) gateways: BTreeMap<ConnectionName, String>,
    pub(crate) ingress: Option<String>,
    memory: Memory,
    sinks: Sinks,
    work: Option<Work>,
    closing: CancellationToken,
    stopping: CancellationToken,
    listeners: Vec<JoinHandle<Result<Report, BindError>>>,
    standing: JoinHandle<()>,
    within: std::time::Duration,
}

/// Starts everything; serves when this returns.
///
/// # Errors
/// What cannot be used, all faults of the configuration together.
pub(crate) async fn start(loaded: &Loaded, render: Render) -> Result<Running, Failure> {
    start_as(ProcessKind::Serve, loaded, render).await
}

/// Starts a process of that kind: a worker listens for probes only.
///
/// # Errors
/// What cannot be used, all faults of the configuration together.
pub(crate) async fn start_as(
    kind: ProcessKind,
    loaded: &Loaded,
    render: Render,
) -> Result<Running, Failure> {
    let config = &loaded.config;
    let ambient = ambient::system();
    let built = connections::build(loaded, &ambient)?;
    let memory = Memory::open(config).await?;
    let store = Arc::clone(&memory.store);
    let bundles = Arc::new(bundles(config, &ambient)?);
    bundles.prepare(Prefer::Copy).await;
    let policies = load_policies(config, &store, &ambient, &bundles).await?;
    let log = Shared::new(&config.decision_log, &config.data_dir, ambient.as_ref())?;
    let parts = config.connections.iter().filter_map(|(name, connection)| {
        let connector: &Arc<dyn Connector> = &built.get(name)?.connector;
        Some(connections::parts(connection, config, connector, &log))
    });
    let room = Arc::new(Room::new(config, Arc::clone(&memory.operations)));
    room.look().await;
    let stopping = CancellationToken::new();
    let leading = lead(&memory, &ambient, &stopping);
    let app = Arc::new(App::new(AppParts {
        operations: Some(operations(config, &memory, &room)),
        processes: Some(process(&memory, kind)),
        leading: leading.clone(),
        store,
        ambient: Arc::clone(&ambient),
        policies,
        connections: parts.collect(),
        record: super::record::parts(config)?,
    }));
    app.health().look_at(room.looker());
    tokio::spawn(room.run(stopping.clone()));
    app.connections()
        .record_modes()
        .await
        .map_err(|error| Failure::new(Exit::System, error.to_string()))?;
    if config.policies.watch {
        let policies = Arc::clone(app.policies());
        watch::policies(&config.policies.dir, policies, stopping.clone())
            .map_err(|error| Failure::new(Exit::System, format!("{error:#}")))?;
    }
    bundles.follow(app.policies(), config.policies.watch, &stopping);
    let feed = Arc::clone(&memory.feed);
    let sinks = Sinks::start(
        &config.decision_log,
        &log.labels,
        (feed, leading.clone()),
        &ambient,
    )
    .await?;
    app.health().look_at(sinks.looker(Arc::clone(&ambient)));
    let opened = match kind {
        ProcessKind::Serve => open(config, &app, ambient.as_ref(), render).await?,
        ProcessKind::Worker => open_probes(config, &app, ambient.as_ref(), render).await?,
    };
    let watched = watched(config, &built, &opened.all);
    let clock = Arc::clone(&ambient);
    tokio::spawn(certificates::follow(
        watched,
        move || clock.now(),
        stopping.clone(),
    ));
    warn(config);
    if let Some(keeper) = memory.keeper.clone() {
        let watermark = Watermark::new(keeper, Arc::clone(&memory.store));
        let checked = watermark.check(memory.operations.as_ref(), ambient.as_ref());
        checked.await.map_err(|problem| {
            let message = format!("whether a backup was put back cannot be told: {problem}");
            Failure::new(Exit::System, message)
        })?;
        tokio::spawn(watermark.run(leading.clone(), stopping.clone()));
    }
    let works = kind == ProcessKind::Worker || config.worker.in_serve;
    let work = works.then(|| Work::start(config, &app, &memory, &ambient));
    let work = work.transpose()?;
    Ok(serve(config, app, (memory, sinks, work), opened, stopping))
}

/// A process alone does all there is to do; of several, one does what is to be done once.
fn lead(memory: &Memory, ambient: &Arc<dyn Ambient>, stop: &CancellationToken) -> Leading {
    if !memory.is_shared() {
        return Leading::always();
    }
    let cells = Arc::clone(&memory.cells);
    let (leader, leading) = Leader::new(cells, Arc::clone(ambient), memory.process);
    tokio::spawn(leader.run(stop.clone()));
    leading
}

fn process(memory: &Memory, kind: ProcessKind) -> ProcessParts {
    let name = rustix::system::uname();
    ProcessParts {
        store: Arc::clone(&memory.processes),
        id: memory.process,
        kind,
        host: name.nodename().to_string_lossy().into_owned(),
    }
}

fn operations(config: &Config, memory: &Memory, room: &Arc<Room>) -> OperationParts {
    OperationParts {
        log: Arc::clone(&memory.operations),
        jobs: Arc::clone(&memory.jobs),
        cells: Some(Arc::clone(&memory.cells)),
        pressure: Arc::clone(room) as _,
        limits: config.operations.limits.clone(),
        callbacks: config.operations.callbacks.clone(),
    }
}

fn bundles(config: &Config, ambient: &Arc<dyn Ambient>) -> Result<Bundles, Failure> {
    Bundles::new(config, ambient).map_err(|error| {
        let message = format!("`upstream`, for bundles: {error}");
        Failure::new(Exit::Config, message)
    })
}

async fn load_policies(
    config: &Config,
    store: &Arc<dyn Store>,
    ambient: &Arc<dyn Ambient>,
    bundles: &Arc<Bundles>,
) -> Result<Policies, Failure> {
    let source = CombinedSource {
        folder: FolderSource::new(config),
        bundles: Arc::clone(bundles),
    };
    let parts = PolicyParts {
        shared: config.storage.database.is_some(),
        source: Arc::new(source),
        checker: Arc::new(ChildChecker::within(config.policies.loading)?),
        store: Arc::clone(store),
        ambient: Arc::clone(ambient),
    };
    let policies = Policies::start(parts)
        .await
        .map_err(|error| Failure::new(Exit::Config, error.to_string()))?;
    let revision = policies.status().revision;
    tracing::info!(revision = revision.short(), "policies are in force");
    Ok(policies)
}

/// Bound listeners, and where they are.
struct Listeners {
    all: Vec<Opened>,
    control: Option<String>,
    ingress: Option<String>,
    gateways: BTreeMap<ConnectionName, String>,
}

/// What a worker listens on: probes and metrics, at the address of the control API.
async fn open_probes(
    config: &Config,
    app: &Arc<App>,
    ambient: &dyn Ambient,
    render: Render,
) -> Result<Listeners, Failure> {
    let mut all = Vec::new();
    let mut control = None;
    if let Some(listen) = &config.control.listen {
        let parts = crmgate_api::Parts {
            app: Arc::clone(app),
            metrics: super::metrics::with_app(render, app),
            open_probes: config.control.open_probes,
            gateways: Vec::new(),
        };
        let router = || crmgate_api::probes(parts);
        let now = ambient.now();
        let opened = listeners::router("control", listen, &config.limits, now, router).await?;
        control = Some(opened.url.clone());
        all.push(opened);
    }
    Ok(Listeners {
        all,
        control,
        ingress: None,
        gateways: BTreeMap::new(),
    })
}

async fn open(
    config: &Config,
    app: &Arc<App>,
    ambient: &dyn Ambient,
    render: Render,
) -> Result<Listeners, Failure> {
    let now = ambient.now();
    let mut all = listeners::gateways(config, app, now).await?;
    let gateways = listeners::addresses(config, &all);
    let mut control = None;
    if let Some(listen) = &config.control.listen {
        let parts = crmgate_api::Parts {
            app: Arc::clone(app),
            metrics: super::metrics::with_app(render, app),
            open_probes: config.control.open_probes,
            gateways: gateways
                .iter()
                .map(|(name, url)| crmgate_api::Gateway {
                    connection: name.to_string(),
                    url: url.clone(),
                })
                .collect(),
        };
        let router = || crmgate_api::router(parts);
        let opened = listeners::router("control", listen, &config.limits, now, router).await?;
        control = Some(opened.url.clone());
        all.push(opened);
    }
    let mut ingress = None;
    if let Some(listen) = &config.ingress.listen {
        let opened =
            listeners::router("ingress", listen, &config.limits, now, ingress::router).await?;
        ingress = Some(opened.url.clone());
        all.push(opened);
    }
    Ok(Listeners {
        all,
        control,
        ingress,
        gateways,
    })
}

fn watched(
    config: &Config,
    built: &BTreeMap<ConnectionName, Built>,
    opened: &[Opened],
) -> Vec<Watched> {
    let listeners = opened.iter().filter_map(|opened| {
        let certificates = opened.listener.certificates()?;
        let files = certificates.files().into_iter().map(ToOwned::to_owned);
        Some(Watched {
            name: opened.name.clone(),
            files: files.collect(),
            reader: Reader::Listener(certificates),
        })
    });
    let outbound = config.connections.iter().filter_map(|(name, connection)| {
        let files = connection.upstream.0.extra_ca_files.clone();
        Some(Watched {
            name: format!("{name}, upstream"),
            reader: Reader::Outbound(built.get(name)?.client.clone()),
            files,
        })
    });
    listeners.chain(outbound).collect()
}

/// Says aloud what is not protected.
fn warn(config: &Config) {
    if config.connections.is_empty() {
        tracing::warn!("no connection is configured: there is nothing to stand in front of");
    }
    for (name, connection) in &config.connections {
        let observes = (connection.mode == Mode::Observe)
            .then_some("this connection only observes: NOTHING IS PROTECTED here");
        let open = connection
            .fail_open
            .then_some("this connection fails open: what cannot be judged passes");
        for warning in observes.into_iter().chain(open) {
            tracing::warn!(connection = %name, "{warning}");
        }
    }
}

fn serve(
    config: &Config,
    app: Arc<App>,
    (memory, sinks, work): (Memory, Sinks, Option<Work>),
    opened: Listeners,
    stopping: CancellationToken,
) -> Running {
    let closing = CancellationToken::new();
    let standing = {
        let (app, stop) = (Arc::clone(&app), stopping.clone());
        tokio::spawn(async move { app.run(stop).await })
    };
    let listeners = opened.all.into_iter().map(|opened| {
        tracing::info!(listener = opened.name, url = opened.url, "listening");
        let until = closing.clone().cancelled_owned();
        tokio::spawn(async move {
            match opened.service {
                Service::Gateway(gateway) => opened.listener.serve(gateway, until).await,
                Service::Router(router) => opened.listener.serve(router, until).await,
            }
        })
    });
    Running {
        listeners: listeners.collect(),
        app,
        memory,
        sinks,
        work,
        control: opened.control,
        gateways: opened.gateways,
        ingress: opened.ingress,
        closing,
        stopping,
        standing,
        within: config.limits.shutdown,
    }
}

impl Running {
    /// Stops taking requests, lets those under way end, finishes what was judged.
    pub(crate) async fn shut_down(self) {
        let until = Instant::now() + self.within;
        self.closing.cancel();
        self.app.wind_down();
        if let Some(work) = &self.work {
            work.wind_down();
        }
        let ended = futures::future::join_all(self.listeners).await;
        let cut: usize = ended
            .into_iter()
            .map(|ended| requests_cut(flat(ended)))
            .sum();
        // INVARIANT: judged writes end before the store closes; a deadline bounds a CRM that hangs,
        // and what it leaves is found and read back at the next start.
        let finishing = async {
            if let Some(work) = self.work {
                work.finish().await;
            }
            self.app.finish().await;
        };
        let finished = tokio::time::timeout_at(until, finishing).await;
        if finished.is_err() {
            tracing::warn!(
                "writes are still under way at the deadline; the next start reads them back"
            );
        }
        let closing = async {
            self.app.close().await;
            self.stopping.cancel();
            self.standing.await.ok();
            self.sinks.finish().await;
        };
        // What is not written down or taken by a sink now comes with the next start.
        tokio::time::timeout(LAST_WORDS, closing).await.ok();
        self.stopping.cancel();
        self.memory.close().await;
        tracing::info!(cut, "stopped");
    }
}

fn flat(ended: Result<Result<Report, BindError>, JoinError>) -> Result<Report, String> {
    ended
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())
}

fn requests_cut(ended: Result<Report, String>) -> usize {
    match ended {
        Ok(report) => report.cut,
        Err(error) => {
            tracing::error!(error, "a listener ended badly");
            0
        }
    }
}
