//! Finds out what came of writes whose outcome is not known.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crmgate_connector::{Failure, ReadBackResult};
use crmgate_domain::{ConnectionName, Timestamp};
use crmgate_store::{Outcome, OutcomeKind, Store, StoreError, Unfinished};
use tokio_util::sync::CancellationToken;

use crate::Gate;
use crate::join::WINDOW_SECONDS;
use crate::outcome::Learned;

/// How many writes one run looks at.
const MOST: usize = 1_000;

/// Reads back writes of unknown outcome, of this process and of earlier ones, and appends what it
/// finds. It never writes to a CRM: what did not happen is for its caller to send again.
pub struct Sweeper {
    store: Arc<dyn Store>,
    gates: BTreeMap<ConnectionName, Arc<Gate>>,
}

/// What one run came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Writes that have a final outcome now.
    pub settled: usize,
    /// Writes that are still unknown.
    pub left: usize,
}

impl Sweeper {
    /// Over the gates of all connections.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, gates: impl IntoIterator<Item = Arc<Gate>>) -> Self {
        let named = gates
            .into_iter()
            .map(|gate| (gate.connection().clone(), gate));
        Self {
            store,
            gates: named.collect(),
        }
    }

    /// Looks once at all unfinished writes.
    ///
    /// # Errors
    /// When the store cannot be read or written; the next run tries again.
    pub async fn run_once(&self) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        let mut left: BTreeMap<&ConnectionName, Left> = self
            .gates
            .keys()
            .map(|name| (name, Left::default()))
            .collect();
        for gate in self.gates.values() {
            gate.append_pending().await;
        }
        let Some(now) = self.gates.values().next().map(|gate| gate.ambient().now()) else {
            return Ok(swept);
        };
        let unfinished = self.store.unfinished(now, MOST).await?;
        for write in unfinished {
            let Some((name, gate)) = self.gates.get_key_value(&write.connection) else {
                // Its connection is not configured any more; it stays for the day it is again.
                swept.left += 1;
                continue;
            };
            if gate.in_flight().holds(write.decision) {
                continue;
            }
            let Some(outcome) = look(gate, &write).await else {
                swept.left += 1;
                if let Some(left) = left.get_mut(name) {
                    left.count += 1;
                    left.oldest = left.oldest.max(age(now, write.at));
                }
                continue;
            };
            let kind = outcome.kind;
            self.store.append_outcome(outcome).await?;
            gate.meters().ended(kind);
            swept.settled += 1;
        }
        for (name, left) in left {
            if let Some(gate) = self.gates.get(name) {
                gate.meters().unfinished(left.count, left.oldest);
            }
        }
        Ok(swept)
    }

    /// Looks again and again until told to stop.
    pub async fn run(&self, every: Duration, stop: CancellationToken) {
        loop {
            if let Err(error) = self.run_once().await {
                tracing::warn!(%error, "unfinished writes could not be looked up");
            }
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

/// What a run leaves of one connection.
#[derive(Default)]
struct Left {
    count: usize,
    oldest: Duration,
}

fn age(now: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(at)).unwrap_or_default()
}

async fn look(gate: &Gate, write: &Unfinished) -> Option<Outcome> {
    if !gate.settled(write.at) {
        return None;
    }
    let limit = gate.settings().judge_within;
    let looking = read_back(gate, write);
    let found = match tokio::time::timeout(limit, looking).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            tracing::warn!(
                connection = %write.connection,
                decision = %write.decision,
                %error,
                "reading back failed"
            );
            return None;
        }
        Err(_) => return None,
    };
    let learned = match found {
        ReadBackResult::Happened(record_id) => Learned {
            record_id,
            ..Learned::coded(OutcomeKind::Succeeded, "read_back")
        },
        ReadBackResult::DidNotHappen => Learned::coded(OutcomeKind::NotWritten, "read_back"),
        // While an equal create can still join it, it stays open: a repeat must not pass.
        ReadBackResult::Uncertain(_) if joinable(gate, write.at) => return None,
        ReadBackResult::Uncertain(why) => {
            tracing::warn!(
                connection = %write.connection,
                decision = %write.decision,
                why,
                "a write stays uncertain: a person must look"
            );
            Learned::coded(OutcomeKind::Uncertain, "read_back")
        }
    };
    Some(gate.outcome(write.decision, learned))
}

async fn read_back(gate: &Gate, write: &Unfinished) -> Result<ReadBackResult, Failure> {
    let connector = gate.connector();
    if !connector.has_service_credential() {
        let why = "the connection has no credential of its own to look with";
        return Ok(ReadBackResult::Uncertain(why.to_owned()));
    }
    connector.read_back(&gate.unsealed(&write.read_back)).await
}

fn joinable(gate: &Gate, at: Timestamp) -> bool {
    gate.ambient().now().duration_since(at).as_secs() < WINDOW_SECONDS
}
