//! Reads certificates again when their files change.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crmgate_domain::Timestamp;
use crmgate_listen::Certificates;
use crmgate_outbound::Client;
use metrics::{Unit, describe_gauge, gauge};
use tokio_util::sync::CancellationToken;

/// How often files are looked at. Looking is cheap, and works on every kind of mount.
const EVERY: Duration = Duration::from_secs(2);

/// Something that reads certificate files again.
pub(crate) enum Reader {
    /// A listener's certificates.
    Listener(Certificates),
    /// The authorities that a connection's way out trusts.
    Outbound(Client),
}

/// A reader with its files, for messages and for looking.
pub(crate) struct Watched {
    pub(crate) name: String,
    pub(crate) files: Vec<PathBuf>,
    pub(crate) reader: Reader,
}

type Seen = BTreeMap<PathBuf, Option<SystemTime>>;

impl Watched {
    fn look(&self) -> Seen {
        let when = |file: &PathBuf| {
            let changed = std::fs::metadata(file).and_then(|about| about.modified());
            (file.clone(), changed.ok())
        };
        self.files.iter().map(when).collect()
    }

    /// Tells when the certificates in use end.
    fn tell(&self) {
        let Reader::Listener(certificates) = &self.reader else {
            return;
        };
        for status in certificates.statuses() {
            let name = Path::new(&status.file).file_name().unwrap_or_default();
            gauge!(
                "crmgate_certificate_expiry_timestamp_seconds",
                "listener" => self.name.clone(),
                "certificate" => name.to_string_lossy().into_owned()
            )
            .set(status.expires.as_duration().as_secs_f64());
        }
    }

    fn read(&self, now: Timestamp) -> Result<(), String> {
        match &self.reader {
            Reader::Listener(certificates) => {
                certificates.reload(now).map_err(|error| error.to_string())
            }
            Reader::Outbound(client) => client.reload().map_err(|error| error.to_string()),
        }
    }
}

/// Looks until `stop`. What cannot be used leaves everything as it was, is said once, and is tried
/// again: a certificate and its key are rarely written in one go.
pub(crate) async fn follow(
    watched: Vec<Watched>,
    now: impl Fn() -> Timestamp,
    stop: CancellationToken,
) {
    describe_gauge!(
        "crmgate_certificate_expiry_timestamp_seconds",
        Unit::Seconds,
        "When a listener's certificate ends, in seconds since 1970."
    );
    watched.iter().for_each(Watched::tell);
    let mut known: Vec<(Seen, String)> = watched
        .iter()
        .map(|watched| (watched.look(), String::new()))
        .collect();
    let mut ticks = tokio::time::interval(EVERY);
    ticks.tick().await;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        for (watched, (seen, fault)) in watched.iter().zip(&mut known) {
            let looks = watched.look();
            if looks == *seen && fault.is_empty() {
                continue;
            }
            *seen = looks;
            let error = watched.read(now()).err().unwrap_or_default();
            if error.is_empty() {
                watched.tell();
                tracing::info!(of = watched.name, "changed certificates are in use");
            } else if error != *fault {
                tracing::error!(
                    of = watched.name,
                    error,
                    "changed certificates cannot be used; the old ones stay in use"
                );
            }
            *fault = error;
        }
    }
}
