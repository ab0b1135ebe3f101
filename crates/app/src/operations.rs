//! Queued operations: submitting them, and looking after them.
//!
//! A submission is taken as a whole: its rows are staged while its body comes in, and accepted in
//! one step at its end ([`submit`](Operations::submit)). What workers do to them is not here.

use std::sync::Arc;

use crmgate_domain::Ambient;
use crmgate_store::{Cells, Jobs, OperationLog, Store};
use tokio_util::sync::CancellationToken;

use crate::Connections;

pub mod act;
pub mod callbacks;
pub mod form;
mod grouped;
mod intake;
pub mod kept;
mod lines;
pub mod look;
pub(crate) mod meters;
mod names;
pub mod pressure;
pub mod request;
mod secrets;
pub mod submit;

pub use act::{Found, Swept};
pub use callbacks::{CallbackSettings, Callbacks};
pub use look::{Life, SubmissionState, Until, is_settled};
pub use pressure::{NoPressure, Pressure, Pushback};
pub use request::{LineError, OperationRequest};
pub use submit::{BrokenOff, Incoming, Limits, OnError, Submit, SubmitError, Submitted};

/// What queued operations need beside what everything needs.
pub struct OperationParts {
    /// Their rows.
    pub log: Arc<dyn OperationLog>,
    /// Their jobs.
    pub jobs: Arc<dyn Jobs>,
    /// Where it is noted what came of callbacks.
    pub cells: Option<Arc<dyn Cells>>,
    /// Whether there is room for more.
    pub pressure: Arc<dyn Pressure>,
    /// How much may be submitted.
    pub limits: Limits,
    /// Where callbacks may go.
    pub callbacks: CallbackSettings,
}

/// Queued operations.
pub struct Operations {
    log: Arc<dyn OperationLog>,
    jobs: Arc<dyn Jobs>,
    store: Arc<dyn Store>,
    connections: Arc<Connections>,
    ambient: Arc<dyn Ambient>,
    pressure: Arc<dyn Pressure>,
    limits: Limits,
    callbacks: Arc<Callbacks>,
    places: Arc<submit::Places>,
    /// From when on nobody is kept waiting: another process will do as well.
    winding_down: CancellationToken,
}

impl Operations {
    pub(crate) fn new(
        parts: OperationParts,
        store: Arc<dyn Store>,
        connections: Arc<Connections>,
        ambient: Arc<dyn Ambient>,
        winding_down: CancellationToken,
    ) -> Self {
        meters::describe();
        Self {
            callbacks: Arc::new(Callbacks::new(parts.callbacks, parts.cells)),
            log: parts.log,
            jobs: parts.jobs,
            pressure: parts.pressure,
            limits: parts.limits,
            places: Arc::default(),
            winding_down,
            store,
            connections,
            ambient,
        }
    }

    /// Their rows.
    #[must_use]
    pub fn log(&self) -> &Arc<dyn OperationLog> {
        &self.log
    }

    /// Their jobs.
    #[must_use]
    pub fn jobs(&self) -> &Arc<dyn Jobs> {
        &self.jobs
    }

    /// Whom their ends are told to.
    #[must_use]
    pub fn callbacks(&self) -> &Arc<Callbacks> {
        &self.callbacks
    }

    /// Their limits.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }
}
