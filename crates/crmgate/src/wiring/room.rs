//! Whether there is room for more operations: how many wait, what the disk has left, whether the
//! store answers. Looked at once a second, so that asking costs nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use crmgate_app::operations::pressure::{Pressure, Pushback};
use crmgate_app::{Check, Looker, State as Condition};
use crmgate_domain::{ConnectionName, State};
use crmgate_store::OperationLog;
use metrics::{Unit, describe_gauge, gauge};
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);
/// How long the store may take to answer.
const STORE_WITHIN: Duration = Duration::from_secs(2);
/// When to come back to a queue that is full.
const FULL: Duration = Duration::from_secs(10);
/// When to come back to a gate that is not able.
const UNABLE: Duration = Duration::from_secs(5);

/// How much there may be.
struct Limits {
    most: u64,
    most_per_connection: u64,
    /// Of the data folder's disk.
    min_free: u64,
}

/// What was seen last.
#[derive(Debug, Default, Clone)]
struct Seen {
    waiting: BTreeMap<ConnectionName, u64>,
    store: Option<String>,
    free: Option<u64>,
}

/// Looks whether there is room.
pub(crate) struct Room {
    limits: Limits,
    operations: Arc<dyn OperationLog>,
    data_dir: PathBuf,
    seen: RwLock<Seen>,
}

impl Room {
    pub(crate) fn new(config: &Config, operations: Arc<dyn OperationLog>) -> Self {
        describe_gauge!(
            "crmgate_data_disk_free_bytes",
            Unit::Bytes,
            "What the disk of the data folder has left."
        );
        Self {
            limits: Limits {
                most: config.queue.most as u64,
                most_per_connection: config.queue.most_per_connection as u64,
                min_free: config.storage.min_free as u64,
            },
            operations,
            data_dir: config.data_dir.clone(),
            seen: RwLock::default(),
        }
    }

    fn seen(&self) -> Seen {
        self.seen
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Looks once.
    pub(crate) async fn look(&self) {
        let mut seen = self.seen();
        let standing = tokio::time::timeout(STORE_WITHIN, self.operations.standing()).await;
        match standing {
            Ok(Ok(standing)) => {
                seen.store = None;
                seen.waiting.clear();
                for ((connection, state), standing) in standing {
                    // What waits for people takes no room from those who wait for a worker.
                    if state == State::Received || state.is_worked_on() {
                        *seen.waiting.entry(connection).or_default() += standing.count;
                    }
                }
            }
            Ok(Err(error)) => seen.store = Some(error.to_string()),
            Err(_) => seen.store = Some(format!("it did not answer within {STORE_WITHIN:?}")),
        }
        seen.free = free(&self.data_dir);
        if let Some(free) = seen.free {
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
            gauge!("crmgate_data_disk_free_bytes").set(free as f64);
        }
        *self.seen.write().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    /// Looks again and again.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => self.look().await,
                () = stop.cancelled() => return,
            }
        }
    }

    /// For readiness: a gate without room works, and somebody should look.
    pub(crate) fn looker(self: &Arc<Self>) -> Looker {
        let room = Arc::clone(self);
        Box::new(move || {
            let told = |pushback: Option<Pushback>| pushback.map(|pushback| pushback.message);
            let seen = room.seen();
            vec![
                Check::new("disk", Condition::Degraded, told(room.disk(&seen))),
                Check::new("queue", Condition::Degraded, told(room.total(&seen))),
            ]
        })
    }

    fn disk(&self, seen: &Seen) -> Option<Pushback> {
        let free = seen.free.filter(|free| *free < self.limits.min_free)?;
        Some(Pushback {
            busy: false,
            code: "disk_full",
            message: format!(
                "the disk of `{}` has {} MiB left, less than `storage.min_free`; no operations are \
                 taken",
                self.data_dir.display(),
                free >> 20
            ),
            retry_after: UNABLE,
        })
    }

    fn total(&self, seen: &Seen) -> Option<Pushback> {
        let total: u64 = seen.waiting.values().sum();
        let over = total >= self.limits.most;
        over.then(|| {
            full(format!(
                "{total} operations wait, as many as `queue.most` lets"
            ))
        })
    }

    fn of_connection(&self, seen: &Seen, connection: &ConnectionName) -> Option<Pushback> {
        let most = self.limits.most_per_connection;
        let count = seen
            .waiting
            .get(connection)
            .filter(|count| **count >= most)?;
        Some(full(format!(
            "{count} operations of connection `{connection}` wait, as many as \
             `queue.most_per_connection` lets"
        )))
    }
}

fn full(message: String) -> Pushback {
    Pushback {
        busy: true,
        code: "queue_full",
        message,
        retry_after: FULL,
    }
}

/// What a disk has left for this process; `None` where it cannot be told.
fn free(dir: &std::path::Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(dir).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}

#[async_trait]
impl Pressure for Room {
    async fn check(&self, connection: Option<&ConnectionName>) -> Result<(), Pushback> {
        let seen = self.seen();
        if let Some(problem) = &seen.store {
            return Err(Pushback {
                busy: false,
                code: "store_unavailable",
                message: format!("the store cannot be asked now: {problem}"),
                retry_after: UNABLE,
            });
        }
        let own = connection.and_then(|name| self.of_connection(&seen, name));
        match self.disk(&seen).or_else(|| self.total(&seen)).or(own) {
            Some(pushback) => Err(pushback),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
