//! Work that one process does for all that share a store.
//!
//! Sinks and checkpoints go out once, not once a process. Who does it is a lease in a cell: the
//! holder renews it, and gives the work up before the lease ends when it cannot. A process that was
//! paused may go on for a moment beside the next one; what it does is therefore only such work as
//! does no harm when it is done twice.

use std::sync::Arc;
use std::time::Duration;

use crmgate_domain::{Ambient, ProcessId, Timestamp};
use crmgate_store::{Cells, StoreError, Swapped};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The cell.
const KEY: &str = "leader";
/// How long a lease lasts.
const LEASE: Duration = Duration::from_secs(12);
/// How often it is renewed, or asked for.
const EVERY: Duration = Duration::from_secs(3);

/// What the cell holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    process: ProcessId,
    until: Timestamp,
}

/// Whether this process is the one.
#[derive(Debug, Clone)]
pub struct Leading(watch::Receiver<bool>);

impl Leading {
    /// A process alone leads.
    #[must_use]
    pub fn always() -> Self {
        // A closed channel keeps its last value.
        Self(watch::channel(true).1)
    }

    /// Whether it leads now.
    #[must_use]
    pub fn now(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it leads or stops leading.
    async fn until(&mut self, wanted: bool) {
        if self.0.wait_for(|leads| *leads == wanted).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Does the work whenever this process leads, until `stop` is cancelled. What `work` gives is
    /// dropped when it stops leading; it gets a token that ends then, and some time to follow it.
    pub async fn run<F>(
        mut self,
        stop: CancellationToken,
        mut work: impl FnMut(CancellationToken) -> F,
    ) where
        F: Future<Output = ()>,
    {
        loop {
            tokio::select! {
                () = self.until(true) => {}
                () = stop.cancelled() => return,
            }
            let token = stop.child_token();
            let working = work(token.clone());
            tokio::pin!(working);
            tokio::select! {
                () = &mut working => return,
                () = self.until(false) => token.cancel(),
            }
            // INVARIANT: shorter than what is left of the lease when it is given up.
            tokio::time::timeout(EVERY, working).await.ok();
        }
    }
}

/// Asks for the lease, and renews it.
pub struct Leader {
    cells: Arc<dyn Cells>,
    ambient: Arc<dyn Ambient>,
    process: ProcessId,
    tell: watch::Sender<bool>,
    /// Until when the lease certainly lasts.
    until: Option<Timestamp>,
}

impl Leader {
    /// One that does not lead yet.
    #[must_use]
    pub fn new(
        cells: Arc<dyn Cells>,
        ambient: Arc<dyn Ambient>,
        process: ProcessId,
    ) -> (Self, Leading) {
        let (tell, leading) = watch::channel(false);
        let leader = Self {
            cells,
            ambient,
            process,
            tell,
            until: None,
        };
        (leader, Leading(leading))
    }

    /// Asks and renews until `stop` is cancelled; then gives the lease back.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            self.step().await;
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = stop.cancelled() => break,
            }
        }
        self.tell.send_replace(false);
        if let Err(error) = self.give_back().await {
            tracing::debug!(%error, "the lead could not be given back; it ends by itself");
        }
    }

    async fn step(&mut self) {
        let asked = tokio::time::timeout(EVERY, self.ask()).await;
        match asked {
            Ok(Ok(until)) => self.until = until,
            Ok(Err(error)) => tracing::debug!(%error, "the lead could not be asked for"),
            Err(_) => tracing::debug!("the lead could not be asked for in time"),
        }
        // Given up early enough that whoever does the work can end it.
        let margin = self.ambient.now() + 2 * EVERY;
        let leads = self.until.is_some_and(|until| until > margin);
        if self.tell.send_replace(leads) != leads {
            tracing::info!(leads, "which process does the common work has changed");
        }
    }

    /// Until when this process leads, if it does.
    async fn ask(&self) -> Result<Option<Timestamp>, StoreError> {
        let now = self.ambient.now();
        let cell = self.cells.cell(KEY).await?;
        let held: Option<Held> = cell
            .as_ref()
            .and_then(|cell| serde_json::from_str(&cell.body).ok());
        if held.is_some_and(|held| held.process != self.process && held.until > now) {
            return Ok(None);
        }
        let until = now + LEASE;
        let seen = cell.map(|cell| cell.version);
        let swapped = self.cells.swap(KEY, seen, self.body(until)?, None).await?;
        Ok(matches!(swapped, Swapped::Done(_)).then_some(until))
    }

    async fn give_back(&self) -> Result<(), StoreError> {
        let Some(cell) = self.cells.cell(KEY).await? else {
            return Ok(());
        };
        let own =
            serde_json::from_str(&cell.body).is_ok_and(|held: Held| held.process == self.process);
        if own {
            let over = self.body(self.ambient.now())?;
            self.cells.swap(KEY, Some(cell.version), over, None).await?;
        }
        Ok(())
    }

    fn body(&self, until: Timestamp) -> Result<String, StoreError> {
        let held = Held {
            process: self.process,
            until,
        };
        serde_json::to_string(&held).map_err(|error| StoreError::Corrupt(error.to_string()))
    }
}
