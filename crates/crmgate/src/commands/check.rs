//! `crmgate check`: every fault of configuration, certificates, policies and connections.

use std::sync::Arc;

use crmgate_app::{PolicyChecker as _, PolicySource as _};
use crmgate_connector::{Connector, Failure as CrmFailure};
use crmgate_domain::{Ambient, Mode, Timestamp};
use crmgate_listen::{CertificateSource, Certificates};
use jiff::ToSpan as _;
use serde::Serialize;

use crate::ambient;
use crate::cli::Check;
use crate::config::{Config, ConfigError, Fault, Loaded, TlsFiles};
use crate::exit::{Exit, Failure};
use crate::output::{Output, patiently, say, say_json, table};
use crate::wiring::bundles::{Bundles, CombinedSource, Prefer};
use crate::wiring::child::ChildChecker;
use crate::wiring::connections;
use crate::wiring::policies::FolderSource;

mod folders;

/// How long before its end a certificate is worth a word.
const SOON_DAYS: i64 = 21;

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    Warning,
    Fault,
}

/// One line of the report.
#[derive(Debug, Serialize)]
struct Line {
    verdict: Verdict,
    /// `configuration`, `certificate`, `files`, `policies`, `bundle`, `connection`.
    area: &'static str,
    /// The setting, file or connection.
    what: String,
    message: String,
    /// File and line, where they are known.
    place: Option<String>,
}

impl Line {
    fn new(
        verdict: Verdict,
        area: &'static str,
        what: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            verdict,
            area,
            what: what.into(),
            message: message.into(),
            place: None,
        }
    }

    fn of_fault(fault: &Fault) -> Self {
        Self {
            place: fault.place.clone(),
            ..Self::new(
                Verdict::Fault,
                "configuration",
                &fault.setting,
                &fault.problem,
            )
        }
    }
}

pub(super) async fn run(check: &Check) -> Result<Exit, Failure> {
    let environment = crate::config::process_environment();
    let lines = match crate::config::load(check.configured.config.as_deref(), &environment) {
        Ok(loaded) => patiently("checking", look(&loaded, check.offline)).await?,
        Err(ConfigError(faults)) => faults.iter().map(Line::of_fault).collect(),
    };
    let worst = lines.iter().map(|line| line.verdict).max();
    match check.form.output {
        Output::Json => {
            let sound = worst != Some(Verdict::Fault);
            say_json(&serde_json::json!({"sound": sound, "checks": lines}));
        }
        Output::Table => print(&lines),
    }
    Ok(match worst {
        Some(Verdict::Fault) => Exit::No,
        _ => Exit::Done,
    })
}

async fn look(loaded: &Loaded, offline: bool) -> Result<Vec<Line>, Failure> {
    let config = &loaded.config;
    let ambient = ambient::system();
    let message = match config.connections.len() {
        1 => "1 connection".to_owned(),
        many => format!("{many} connections"),
    };
    let mut lines = vec![Line::new(Verdict::Ok, "configuration", "", message)];
    lines.extend(notes(config));
    lines.extend(folders::faults(config));
    lines.extend(certificates(config, ambient.now()));
    lines.extend(policies(config, &ambient, offline).await?);
    match connections::build(loaded, &ambient) {
        Err(ConfigError(faults)) => lines.extend(faults.iter().map(Line::of_fault)),
        Ok(built) if offline => {
            lines.extend(built.keys().map(|name| {
                let message = "settings are sound; not signed in (offline)";
                Line::new(Verdict::Ok, "connection", name.as_str(), message)
            }));
        }
        Ok(built) => {
            let connectors: Vec<_> = built.into_values().map(|built| built.connector).collect();
            let probes = connectors.into_iter().map(probe);
            lines.extend(futures::future::join_all(probes).await);
        }
    }
    Ok(lines)
}

fn notes(config: &Config) -> Vec<Line> {
    let notes = config.connections.iter().flat_map(|(name, connection)| {
        let observes = (connection.mode == Mode::Observe)
            .then_some("only observes: nothing is protected here");
        let open = connection
            .fail_open
            .then_some("fails open: what cannot be judged passes");
        observes
            .into_iter()
            .chain(open)
            .map(|note| Line::new(Verdict::Warning, "connection", name.as_str(), note))
    });
    notes.collect()
}

fn certificates(config: &Config, now: Timestamp) -> Vec<Line> {
    let listeners = [
        &config.control.listen,
        &config.gateway.listen,
        &config.ingress.listen,
    ];
    let of_listeners = listeners
        .into_iter()
        .flatten()
        .filter_map(|listen| listen.tls.as_ref());
    let of_connections = config.connections.values().filter_map(|c| c.tls.as_ref());
    let mut files: Vec<&TlsFiles> = of_listeners.chain(of_connections).collect();
    files.sort();
    files.dedup();
    let lines = files.into_iter().flat_map(|files| certificate(files, now));
    lines.collect()
}

fn certificate(files: &TlsFiles, now: Timestamp) -> Vec<Line> {
    let file = files.certificate.display().to_string();
    let source = CertificateSource::Files {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
    };
    let loaded = match Certificates::load(vec![source], now) {
        Ok(loaded) => loaded,
        Err(error) => {
            let line = Line::new(Verdict::Fault, "certificate", file, error.to_string());
            return vec![line];
        }
    };
    let lines = loaded.statuses().into_iter().map(|status| {
        let soon = now + (SOON_DAYS * 24).hours() >= status.expires;
        let (verdict, word) = if soon {
            (Verdict::Warning, "expires soon")
        } else {
            (Verdict::Ok, "valid")
        };
        let message = format!(
            "{word}: until {}, for {}",
            status.expires,
            status.names.join(", ")
        );
        Line::new(verdict, "certificate", file.as_str(), message)
    });
    lines.collect()
}

async fn policies(
    config: &Config,
    ambient: &Arc<dyn Ambient>,
    offline: bool,
) -> Result<Vec<Line>, Failure> {
    let dir = config.policies.dir.display().to_string();
    let bundles = Bundles::new(config, ambient)
        .map_err(|error| Failure::new(Exit::Config, format!("`upstream`: {error}")))?;
    let prefer = if offline {
        Prefer::Offline
    } else {
        Prefer::Fresh
    };
    bundles.prepare(prefer).await;
    let source = CombinedSource {
        folder: FolderSource::new(config),
        bundles: Arc::new(bundles),
    };
    let mut lines = bundle_lines(&source);
    let checked = match source.read() {
        Ok(sources) => {
            let checker = ChildChecker::within(config.policies.loading)?;
            checker.check(&sources).await.map(|()| sources)
        }
        Err(errors) => Err(errors),
    };
    match checked {
        Ok(sources) => {
            let files = sources.global.len()
                + sources
                    .connections
                    .values()
                    .map(|c| c.files.len())
                    .sum::<usize>();
            let message = format!("{files} files load");
            lines.push(Line::new(Verdict::Ok, "policies", dir, message));
        }
        Err(errors) => {
            lines.extend(errors.all().iter().map(|fault| {
                Line::new(Verdict::Fault, "policies", dir.as_str(), fault.to_string())
            }));
        }
    }
    Ok(lines)
}

/// What each bundle is now. One that is missing altogether is a fault of the policies.
fn bundle_lines(source: &CombinedSource) -> Vec<Line> {
    let told = source.bundles().into_iter().map(|bundle| {
        let revision = bundle.revision.unwrap_or_default();
        if let Some(trouble) = bundle.trouble {
            return Line::new(Verdict::Warning, "bundle", bundle.name, trouble.message);
        }
        let copy = if bundle.from_copy {
            " (the kept copy)"
        } else {
            ""
        };
        let who = bundle.signed_by.map_or_else(
            || "unsigned".to_owned(),
            |keyid| format!("signed by `{keyid}`"),
        );
        let message = format!("revision `{revision}`{copy}, {who}, from {}", bundle.source);
        Line::new(Verdict::Ok, "bundle", bundle.name, message)
    });
    told.collect()
}

/// Signs in and asks who we are.
async fn probe(connector: Arc<dyn Connector>) -> Line {
    let name = connector.name().as_str();
    if !connector.has_service_credential() {
        let message = "has no credential of its own, so it cannot be asked: policies that read \
                       stored records will be in error";
        return Line::new(Verdict::Warning, "connection", name, message);
    }
    match connector.probe().await {
        Ok(identity) => {
            let actor = &identity.actor;
            let who = actor.username.as_deref().unwrap_or(&actor.id);
            let org = identity.org.as_deref().unwrap_or("an org without id");
            Line::new(
                Verdict::Ok,
                "connection",
                name,
                format!("signed in as `{who}` at {org}"),
            )
        }
        Err(failure) => {
            let advice = match &failure {
                CrmFailure::Refused { .. } => "check the credential and the rights of its user",
                _ => "check the address, the network and `upstream`",
            };
            let message = format!("{failure}; {advice}");
            Line::new(Verdict::Fault, "connection", name, message)
        }
    }
}

fn print(lines: &[Line]) {
    let mut shown = table(&["", "area", "what", "message", "where"]);
    for line in lines {
        let sign = match line.verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Fault => "FAULT",
        };
        let place = line.place.as_deref().unwrap_or_default();
        shown.add_row([sign, line.area, &line.what, &line.message, place]);
    }
    say(shown);
    let faults = lines
        .iter()
        .filter(|line| line.verdict == Verdict::Fault)
        .count();
    say(match faults {
        0 => "all is sound".to_owned(),
        1 => "1 fault".to_owned(),
        many => format!("{many} faults"),
    });
}
