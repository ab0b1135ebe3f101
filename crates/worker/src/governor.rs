//! Places for calls at one connection, over all processes.
//!
//! What all processes know lies in a cell; each takes a small part of the calls from it at a time,
//! and tells what it saw when it takes the next, or at once when it was bad. Where the cell cannot
//! be reached, a process goes on with its part of what was known last, as if the others were still
//! there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crmgate_connector::Connector;
use crmgate_domain::{Ambient, ProcessId};
use crmgate_store::Cells;
use tokio::sync::Notify;

use crate::fair::{self, Grant, Report, Rules, Shared, Wait, WaitFor};
use crate::meters::FairMeters;

mod exchange;
mod place;

pub use place::Place;
pub(crate) use place::Reserve;

/// How long to wait where nothing says how long.
const A_MOMENT: Duration = Duration::from_millis(50);

/// Gives out places for calls.
pub struct Governor {
    key: String,
    cells: Arc<dyn Cells>,
    connector: Arc<dyn Connector>,
    ambient: Arc<dyn Ambient>,
    process: ProcessId,
    rules: Rules,
    local: Mutex<Local>,
    /// One change of the cell at a time.
    drawing: tokio::sync::Mutex<()>,
    freed: Notify,
    /// Writes that wait for a place.
    writes: AtomicUsize,
    meters: FairMeters,
}

/// What a place is for. What is permitted goes before what is yet to be judged: its leave to write
/// ends soon, and the look-up that it took would have been for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Looking up before a judgement.
    LookUp,
    /// Writing.
    Write,
}

/// A write that waits, until this is dropped.
struct WaitingWrite<'a>(&'a AtomicUsize);

impl Drop for WaitingWrite<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[derive(Default)]
struct Local {
    grant: Option<Grant>,
    at_once: u32,
    under_way: u32,
    report: Report,
    /// Calls that are put by for writes whose records were looked up.
    reserved: u32,
    /// Those of them that were made.
    used: u32,
    known: Option<Shared>,
    /// Nothing can be had until then, as far as was seen last.
    closed: Option<Wait>,
}

impl Governor {
    /// For a connection.
    #[must_use]
    pub fn new(
        connector: Arc<dyn Connector>,
        cells: Arc<dyn Cells>,
        ambient: Arc<dyn Ambient>,
        process: ProcessId,
        rules: Rules,
    ) -> Self {
        let name = connector.name();
        Self {
            key: format!("fair/{name}"),
            meters: FairMeters::new(name),
            cells,
            connector,
            ambient,
            process,
            rules,
            local: Mutex::default(),
            drawing: tokio::sync::Mutex::default(),
            freed: Notify::new(),
            writes: AtomicUsize::new(0),
        }
    }

    fn local(&self) -> MutexGuard<'_, Local> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until when certainly no call can be made, as far as is known without asking: for whoever has
    /// not begun with anything yet.
    #[must_use]
    pub fn closed(&self) -> Option<Wait> {
        let now = self.ambient.now();
        let wait = |until, why| Wait { until, why };
        if let Some(until) = fair::ends(&self.rules.quiet, now) {
            return Some(wait(until, WaitFor::Quiet));
        }
        let told = self.connector.allowance();
        if let Some(until) = fair::low_until(&self.rules, told.as_ref(), now) {
            return Some(wait(until, WaitFor::Allowance));
        }
        self.local()
            .closed
            .filter(|closed| now < closed.until && closed.why != WaitFor::Rate)
    }

    /// Waits for a place, `soon` at most.
    ///
    /// # Errors
    /// Until when there is none, where it is later.
    pub async fn place(self: &Arc<Self>, purpose: Purpose, soon: Duration) -> Result<Place, Wait> {
        let began = Instant::now();
        let _first = (purpose == Purpose::Write).then(|| {
            self.writes.fetch_add(1, Ordering::AcqRel);
            WaitingWrite(&self.writes)
        });
        loop {
            let behind = purpose == Purpose::LookUp && self.writes.load(Ordering::Acquire) > 0;
            let wait = match self.closed_for(purpose) {
                Some(wait) => wait,
                None if behind => self.later(A_MOMENT, WaitFor::Calls),
                None => match self.seize(purpose) {
                    Seized::Place { probe, reserves } => {
                        self.meters.waited(began.elapsed());
                        return Ok(Place {
                            governor: Arc::clone(self),
                            probe,
                            told: false,
                            reserve: reserves.then(|| Reserve(Arc::clone(self))),
                        });
                    }
                    Seized::Full => self.later(A_MOMENT, WaitFor::Calls),
                    Seized::Spent => match self.draw(self.need(purpose)).await {
                        Ok(()) => continue,
                        Err(wait) => wait,
                    },
                },
            };
            let left = soon.saturating_sub(began.elapsed());
            let now = self.ambient.now();
            let until = Duration::try_from(wait.until.duration_since(now)).unwrap_or_default();
            let full = wait.why == WaitFor::Calls;
            if left.is_zero() || (until > left && !full) {
                self.meters.turned_back(wait.why);
                return Err(match wait.why {
                    WaitFor::Calls | WaitFor::Rate => self.later(soon / 4, wait.why),
                    _ => wait,
                });
            }
            tokio::select! {
                () = tokio::time::sleep(until.clamp(Duration::from_millis(1), left)) => {}
                () = self.freed.notified(), if full => {}
            }
        }
    }

    /// What was put by before a budget was used up, or quiet hours began, may still be used.
    fn closed_for(&self, purpose: Purpose) -> Option<Wait> {
        let closed = self.closed()?;
        let budget = matches!(
            closed.why,
            WaitFor::Daily | WaitFor::Allowance | WaitFor::Quiet
        );
        let put_by = purpose == Purpose::Write && self.local().reserved > 0;
        (!budget || !put_by).then_some(closed)
    }

    fn later(&self, by: Duration, why: WaitFor) -> Wait {
        let now = self.ambient.now();
        let until = now.checked_add(by).unwrap_or(now);
        Wait { until, why }
    }

    /// Takes one of the granted calls.
    fn seize(&self, purpose: Purpose) -> Seized {
        let now = self.ambient.now();
        let told = self.connector.allowance();
        let scarce = told.is_some_and(|told| fair::is_low(&self.rules, &told));
        let advised = told.and_then(|told| told.at_once).unwrap_or(u32::MAX);
        let mut local = self.local();
        // When little is left, one call at a time asks how it stands.
        let most = if scarce { 1 } else { advised.max(1) };
        let at_once = local.at_once.clamp(1, most);
        if local.under_way >= at_once {
            return Seized::Full;
        }
        if purpose == Purpose::Write && local.reserved > 0 {
            local.reserved -= 1;
            local.used += 1;
            local.under_way += 1;
            self.meters.under_way(local.under_way);
            return Seized::Place {
                probe: false,
                reserves: false,
            };
        }
        let Some(grant) = local.grant.as_mut().filter(|grant| now < grant.until) else {
            return Seized::Spent;
        };
        let probe = grant.probe;
        let need = if probe { 1 } else { self.need(purpose) };
        if grant.calls < need {
            return Seized::Spent;
        }
        grant.calls -= need;
        let reserves = need > 1;
        local.reserved += u32::from(reserves);
        local.under_way += 1;
        self.meters.under_way(local.under_way);
        Seized::Place { probe, reserves }
    }

    /// How many calls a place takes: a look-up also the one that will write.
    fn need(&self, purpose: Purpose) -> u32 {
        match purpose {
            Purpose::LookUp => 2.min(self.rules.burst.max(1)),
            Purpose::Write => 1,
        }
    }

    /// Counts calls for which there was no place: they had to be made.
    pub fn made_without_place(&self, calls: u32) {
        self.local().report.beyond += calls;
    }

    fn release(&self) {
        let mut local = self.local();
        local.under_way = local.under_way.saturating_sub(1);
        self.meters.under_way(local.under_way);
        drop(local);
        self.freed.notify_one();
    }
}

enum Seized {
    /// A place: whether it is for a probe, and whether another call is put by.
    Place { probe: bool, reserves: bool },
    /// As many calls as may be are under way.
    Full,
    /// The grant is used up.
    Spent,
}
