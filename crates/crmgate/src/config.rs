//! The configuration: a compiled-in default, a file over it, the environment over both.
//!
//! Read setting by setting, so that all faults are reported together, each with its place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ::config::{FileFormat, Value};
use crmgate_domain::ConnectionName;

mod areas;
mod bundles;
mod connection;
pub(crate) mod decision_log;
mod environment;
mod fault;
mod loading;
mod operations;
mod people;
mod place;
mod record;
pub(crate) mod secret;
mod section;
mod storage;
mod telemetry;
mod value;
mod worker;

#[cfg(test)]
mod tests;

pub(crate) use areas::{
    Control, Gateway, Ingress, Limits, Listen, LogFormat, Logging, Policies, TlsFiles, Upstream,
};
pub(crate) use bundles::{BundleSource, Bundles, HttpOrigin, Keys, Origin};
pub(crate) use connection::Connection;
pub(crate) use environment::process_environment;
pub(crate) use fault::{ConfigError, Fault, Faults};
pub(crate) use loading::Loading;
pub(crate) use operations::Operations;
pub(crate) use record::Record;
pub(crate) use storage::{Queue, Storage};
pub(crate) use telemetry::Telemetry;
pub(crate) use worker::Worker;

use place::Places;
use section::Section;

/// The commented default file.
pub(crate) const DEFAULT: &str = include_str!("../default.toml");

/// Everything crmgate can be told.
#[derive(Debug)]
pub(crate) struct Config {
    /// Where paths start: the configuration file's folder.
    pub(crate) base: PathBuf,
    pub(crate) data_dir: PathBuf,
    pub(crate) storage: Storage,
    pub(crate) queue: Queue,
    pub(crate) worker: Worker,
    pub(crate) operations: Operations,
    /// Who is who, for approvals.
    pub(crate) people: std::sync::Arc<crmgate_domain::approval::People>,
    pub(crate) logging: Logging,
    pub(crate) telemetry: Telemetry,
    pub(crate) policies: Policies,
    pub(crate) record: Record,
    pub(crate) control: Control,
    pub(crate) gateway: Gateway,
    pub(crate) ingress: Ingress,
    pub(crate) limits: Limits,
    pub(crate) upstream: Upstream,
    pub(crate) decision_log: decision_log::DecisionLog,
    pub(crate) connections: BTreeMap<ConnectionName, Connection>,
}

/// A configuration with what it takes to report further faults at their places.
pub(crate) struct Loaded {
    pub(crate) config: Config,
    places: Places,
}

impl Loaded {
    /// Faults found later, such as those of a connector's own settings, at their places.
    pub(crate) fn faults(&self) -> Faults {
        Faults::new(self.places.clone())
    }
}

/// Reads the configuration.
///
/// # Errors
/// All faults together.
pub(crate) fn load(
    file: Option<&Path>,
    environment: &[(String, String)],
) -> Result<Loaded, ConfigError> {
    let text = file.map(read).transpose()?;
    let base = file
        .and_then(Path::parent)
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    load_text(file.zip(text.as_deref()), base, environment)
}

/// Reads the configuration from a text instead of a file: for the demo and tests.
///
/// # Errors
/// All faults together.
pub(crate) fn load_text(
    file: Option<(&Path, &str)>,
    base: &Path,
    environment: &[(String, String)],
) -> Result<Loaded, ConfigError> {
    let mut places = Places::default();
    let mut sources =
        ::config::Config::builder().add_source(::config::File::from_str(DEFAULT, FileFormat::Toml));
    if let Some((path, text)) = file {
        places.add_file(path, text).map_err(ConfigError)?;
        sources = sources.add_source(::config::File::from_str(text, FileFormat::Toml));
    }
    let overrides = environment::Overrides::new(environment);
    for (setting, variable) in overrides.names() {
        places.add_variable(&setting, variable);
    }
    let table = sources
        .add_source(overrides)
        .build()
        .and_then(|built| built.cache.into_table())
        .map_err(|error| whole(file.map(|(path, _)| path), error.to_string()))?;
    let (config, faults) = read_all(table.into_iter(), &places, base);
    match faults.into_error() {
        Some(error) => Err(error),
        None => Ok(Loaded { config, places }),
    }
}

fn read(file: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(file)
        .map_err(|error| whole(Some(file), format!("cannot be read: {error}")))
}

fn whole(file: Option<&Path>, problem: String) -> ConfigError {
    ConfigError(vec![Fault {
        setting: String::new(),
        place: file.map(|file| file.display().to_string()),
        problem,
    }])
}

fn read_all(
    table: impl Iterator<Item = (String, Value)>,
    places: &Places,
    base: &Path,
) -> (Config, Faults) {
    let faults = Faults::new(places.clone());
    let mut root = Section::root(table, &faults, base);
    let data_dir = root.path("data_dir").unwrap_or_default();
    let storage = Storage::read(root.section_or_empty("storage"));
    let queue = Queue::read(root.section_or_empty("queue"), &storage);
    let worker = Worker::read(root.section_or_empty("worker"));
    let operations = Operations::read(root.section_or_empty("operations"));
    let people = people::read(root.section_or_empty("people"), &faults);
    let logging = Logging::read(root.section_or_empty("logging"));
    let telemetry = Telemetry::read(root.section_or_empty("telemetry"));
    let policies = Policies::read(root.section_or_empty("policies"));
    let record = Record::read(root.section_or_empty("record"));
    let control = Control::read(root.section_or_empty("control"));
    let gateway = Gateway::read(root.section_or_empty("gateway"));
    let ingress = Ingress::read(root.section_or_empty("ingress"));
    let limits = Limits::read(root.section_or_empty("limits"));
    let upstream = Upstream::read(root.section_or_empty("upstream"), None);
    let decision_log =
        decision_log::DecisionLog::read(root.section_or_empty("decision_log"), &upstream);
    let connections = connection::read_all(
        root.section_or_empty("connections"),
        &gateway,
        &upstream,
        &faults,
    );
    policies.bundles.check(&connections, &faults);
    shared_keys(&storage, &record, &decision_log, &faults);
    root.finish();
    let config = Config {
        base: base.to_owned(),
        data_dir,
        storage,
        queue,
        worker,
        operations,
        people,
        logging,
        telemetry,
        policies,
        record,
        control,
        gateway,
        ingress,
        limits,
        upstream,
        decision_log,
        connections,
    };
    (config, faults)
}

/// What several processes write, each of them must be able to read.
fn shared_keys(
    storage: &Storage,
    record: &Record,
    log: &decision_log::DecisionLog,
    faults: &Faults,
) {
    if storage.database.is_none() {
        return;
    }
    let keys = [
        ("record.key", record.key.is_some()),
        ("decision_log.hash_key", log.hash_key.is_some()),
    ];
    for (setting, given) in keys {
        if !given {
            let problem = "is missing: with `storage.url` all processes must have the same key, \
                           such as `file:PATH`";
            faults.add(setting, problem);
        }
    }
}
