//! Brings changed policies into force without a restart.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use crmgate_app::{AppError, Policies};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Editors and deployments change several files in one go; a set is read when they rest.
const REST: Duration = Duration::from_millis(150);
/// Changes that never rest are read all the same.
const AT_LATEST: Duration = Duration::from_secs(2);
/// Where the system tells nothing (network mounts), the folder is looked at this often.
const POLL: Duration = Duration::from_secs(5);
/// Folders inside one another.
const MAX_DEPTH: usize = 8;

/// Watches the folder until `stop`. The watch is set up when this returns, so no later change is
/// missed.
///
/// # Errors
/// When the folder cannot be watched.
pub(crate) fn policies(
    dir: &Path,
    policies: Arc<Policies>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut changes = Changes::of(dir)?;
    tokio::spawn(async move {
        let work = async {
            loop {
                changes.next().await;
                reload(&policies).await;
            }
        };
        stop.run_until_cancelled(work).await;
    });
    Ok(())
}

/// Changes of a folder, once they rest.
pub(crate) struct Changes {
    dir: PathBuf,
    changed: Arc<Notify>,
    seen: BTreeSet<(PathBuf, u64, Option<SystemTime>)>,
    /// Tells as long as it lives.
    _watcher: RecommendedWatcher,
}

impl Changes {
    /// Watches from now on.
    ///
    /// # Errors
    /// When the folder cannot be watched.
    pub(crate) fn of(dir: &Path) -> anyhow::Result<Self> {
        let changed = Arc::new(Notify::new());
        let tell = Arc::clone(&changed);
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                // An error may hide a change; reading is never opened as a change, or it would feed
                // itself.
                if event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                    return;
                }
                tell.notify_one();
            })?;
        watcher
            .watch(dir, RecursiveMode::Recursive)
            .with_context(|| {
                format!("the policies' folder `{}` cannot be watched", dir.display())
            })?;
        Ok(Self {
            dir: dir.to_owned(),
            changed,
            seen: looks(dir),
            _watcher: watcher,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        loop {
            let told = tokio::time::timeout(POLL, self.changed.notified())
                .await
                .is_ok();
            if told {
                let resting = async {
                    while tokio::time::timeout(REST, self.changed.notified())
                        .await
                        .is_ok()
                    {}
                };
                tokio::time::timeout(AT_LATEST, resting).await.ok();
            }
            // Looked at before it is read: what changes in between is seen at the next look.
            let now = looks(&self.dir);
            if told || now != self.seen {
                self.seen = now;
                return;
            }
        }
    }
}

async fn reload(policies: &Policies) {
    match policies.reload().await {
        // The use case tells of both itself.
        Ok(_) | Err(AppError::Policies(_)) => {}
        Err(error) => tracing::error!(%error, "the policies could not be reloaded"),
    }
}

/// Every file below the folder with its size and time of change.
fn looks(dir: &Path) -> BTreeSet<(PathBuf, u64, Option<SystemTime>)> {
    let mut found = BTreeSet::new();
    let mut open = vec![(dir.to_owned(), 0)];
    while let Some((folder, depth)) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            // Follows links, as mounted volumes need; the depth ends what leads round in circles.
            let Ok(about) = std::fs::metadata(&path) else {
                continue;
            };
            if about.is_dir() && depth < MAX_DEPTH {
                open.push((path, depth + 1));
            } else if about.is_file() {
                found.insert((path, about.len(), about.modified().ok()));
            }
        }
    }
    found
}
