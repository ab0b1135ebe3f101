//! Rows that this process has in hand, kept while it lives.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crmgate_domain::OperationId;
use crmgate_enforce::queued::Desk;
use crmgate_store::RowLease;
use tokio_util::sync::CancellationToken;

use crate::meters::WorkerMeters;

/// How many leases are renewed in one call.
const CHUNK: usize = 500;

/// The rows in hand.
#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<HashSet<OperationId>>);

/// Rows that are kept until this is dropped.
pub(crate) struct Held {
    leases: Arc<Leases>,
    ids: Vec<OperationId>,
}

impl Leases {
    fn all(&self) -> MutexGuard<'_, HashSet<OperationId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps rows.
    pub(crate) fn hold(self: &Arc<Self>, ids: Vec<OperationId>) -> Held {
        self.all().extend(ids.iter().copied());
        Held {
            leases: Arc::clone(self),
            ids,
        }
    }

    /// Renews again and again until told to stop. Whoever lost a row learns it when it moves the
    /// row: that is a compare-and-set.
    pub(crate) async fn keep(
        &self,
        desk: &Desk,
        now: impl Fn() -> RowLease + Send,
        (meters, stop): (&WorkerMeters, CancellationToken),
    ) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(desk.lease / 3) => {}
                () = stop.cancelled() => return,
            }
            let held: Vec<OperationId> = self.all().iter().copied().collect();
            for chunk in held.chunks(CHUNK) {
                match desk.operations.keep(chunk, now()).await {
                    Ok(lost) => {
                        // A row that came to its end meanwhile has no lease either.
                        let lost: Vec<_> = {
                            let all = self.all();
                            lost.into_iter().filter(|id| all.contains(id)).collect()
                        };
                        if !lost.is_empty() {
                            meters.lost_leases(lost.len());
                            tracing::warn!(
                                count = lost.len(),
                                "leases of operations ended while this process worked on them"
                            );
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "leases of operations could not be renewed");
                    }
                }
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut all = self.leases.all();
        for id in &self.ids {
            all.remove(id);
        }
    }
}
