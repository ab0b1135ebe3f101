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
use crmgate_domain::{Ambient, ProcessId, Timestamp};
use crmgate_enforce::queued::Signal;
use crmgate_store::{Cells, StoreError, Swapped};
use tokio::sync::Notify;

use crate::fair::{self, Grant, Report, Rules, Shared, Wait, WaitFor};
use crate::meters::FairMeters;

/// How often it is tried to change the cell when others are faster.
const SWAPS: usize = 16;
/// After so long without a change nothing in the cell matters any more.
const KEEP: Duration = Duration::from_secs(2 * 24 * 60 * 60);
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

/// A place for one call. Dropped without a word, nothing is known of the call.
pub struct Place {
    governor: Arc<Governor>,
    probe: bool,
    told: bool,
    /// Of a look-up: the call that will write what it finds.
    pub(crate) reserve: Option<Reserve>,
}

/// A call that is put by for the write of what was looked up: otherwise look-ups alone could use up
/// a day's calls. Of several writes that go in one call, one is made and the others are given back.
pub(crate) struct Reserve(Arc<Governor>);

impl Drop for Reserve {
    fn drop(&mut self) {
        let mut local = self.0.local();
        if local.used > 0 {
            local.used -= 1;
        } else {
            local.reserved = local.reserved.saturating_sub(1);
            local.report.unused += 1;
        }
    }
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

    /// Takes more calls from what all processes share.
    async fn draw(&self, need: u32) -> Result<(), Wait> {
        let _one = self.drawing.lock().await;
        let now = self.ambient.now();
        {
            // Somebody may have drawn while this one waited.
            let mut local = self.local();
            let fresh = local.grant.filter(|grant| now < grant.until);
            if fresh.is_some_and(|grant| grant.probe || grant.calls >= need) {
                return Ok(());
            }
            if let Some(rest) = local.grant.take_if(|grant| now < grant.until) {
                local.report.unused += rest.calls;
            }
        }
        let mut report = self.take_report(now);
        let drawn = match self.exchange(&report, Wants::Calls(need)).await {
            Ok(drawn) => drawn,
            Err(error) => {
                tracing::debug!(connection = %self.connector.name(), %error, "what processes share of calls could not be asked; this one goes on with its part");
                let mut known = self.known(now);
                known.hear(&self.rules, &report, now);
                let part = known.processes();
                let rules = self.part_of(part);
                let drawn = known.draw(&rules, (self.process, WANT, need), now);
                // Those who share learn later what was taken meanwhile.
                report = Report {
                    beyond: drawn.as_ref().map_or(0, |grant| grant.calls) + report.beyond,
                    answered: report.answered,
                    ..Report::default()
                };
                self.keep(known, Some(report));
                drawn.map(Some)
            }
        };
        self.take_in(drawn)
    }

    fn take_in(&self, drawn: Result<Option<Grant>, Wait>) -> Result<(), Wait> {
        let mut local = self.local();
        match drawn {
            Ok(grant) => {
                local.closed = None;
                if let Some(grant) = grant {
                    local.at_once = grant.at_once;
                    local.grant = Some(grant);
                }
                Ok(())
            }
            Err(wait) => {
                local.closed = Some(wait);
                local.grant = None;
                Err(wait)
            }
        }
    }

    /// One of so many has so much.
    fn part_of(&self, processes: usize) -> Rules {
        let parts = u32::try_from(processes).unwrap_or(u32::MAX).max(1);
        Rules {
            rate: self.rules.rate / f64::from(parts),
            burst: (self.rules.burst / parts).max(self.need(Purpose::LookUp)),
            ..self.rules.clone()
        }
    }

    fn known(&self, now: Timestamp) -> Shared {
        let known = self.local().known.clone();
        known.unwrap_or_else(|| Shared::new(&self.rules, now))
    }

    fn keep(&self, known: Shared, untold: Option<Report>) {
        self.meters.knows(&known, self.ambient.now());
        let mut local = self.local();
        local.known = Some(known);
        if let Some(untold) = untold {
            local.report.beyond += untold.beyond;
            local.report.answered += untold.answered;
        }
    }

    /// What is to be told, with what is left of a grant that has ended.
    fn take_report(&self, now: Timestamp) -> Report {
        let mut local = self.local();
        if let Some(grant) = local.grant.filter(|grant| now >= grant.until) {
            local.report.unused += grant.calls;
            local.report.not_probed |= grant.probe && grant.calls > 0;
            local.grant = None;
        }
        std::mem::take(&mut local.report)
    }

    /// Tells what was seen, and takes calls where they are wanted.
    async fn exchange(
        &self,
        report: &Report,
        wants: Wants,
    ) -> Result<Result<Option<Grant>, Wait>, StoreError> {
        let mut cell = self.cells.cell(&self.key).await?;
        for _ in 0..SWAPS {
            let now = self.ambient.now();
            let held = cell
                .as_ref()
                .and_then(|cell| serde_json::from_str(&cell.body).ok());
            let mut shared: Shared = held.unwrap_or_else(|| Shared::new(&self.rules, now));
            if report.not_probed {
                shared.hear_no_probe(self.process);
            }
            shared.hear(&self.rules, report, now);
            let drawn = match wants {
                Wants::Calls(need) => shared
                    .draw(&self.rules, (self.process, WANT, need), now)
                    .map(Some),
                Wants::Nothing => Ok(None),
                Wants::ToLeave => {
                    shared.leave(self.process);
                    Ok(None)
                }
            };
            let body = serde_json::to_string(&shared)
                .map_err(|error| StoreError::Corrupt(error.to_string()))?;
            let seen = cell.as_ref().map(|cell| cell.version);
            match self.cells.swap(&self.key, seen, body, Some(KEEP)).await? {
                Swapped::Done(_) => {
                    self.keep(shared, None);
                    return Ok(drawn);
                }
                Swapped::Lost(holds) => cell = holds,
            }
        }
        Err(StoreError::Unavailable(
            "others changed what is shared each time".to_owned(),
        ))
    }

    /// Tells at once what others should know.
    async fn tell(&self) {
        let _one = self.drawing.lock().await;
        let report = self.take_report(self.ambient.now());
        if report.is_empty() {
            return;
        }
        if let Err(error) = self.exchange(&report, Wants::Nothing).await {
            tracing::debug!(connection = %self.connector.name(), %error, "what was seen of calls could not be told; it holds for this process");
            let now = self.ambient.now();
            let mut known = self.known(now);
            known.hear(&self.rules, &report, now);
            self.keep(known, None);
        }
    }

    /// Gives back what is granted and not used, and the part in what is shared.
    pub async fn leave(&self) {
        let _one = self.drawing.lock().await;
        let mut report = self.take_report(self.ambient.now());
        if let Some(grant) = self.local().grant.take() {
            report.unused += grant.calls;
        }
        if let Err(error) = self.exchange(&report, Wants::ToLeave).await {
            tracing::debug!(connection = %self.connector.name(), %error, "a part of the calls could not be given back; it ends by itself");
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

/// How many calls a process asks for at once; it is given fewer.
const WANT: u32 = 10_000;

/// What a process wants of what is shared.
#[derive(Clone, Copy)]
enum Wants {
    /// To tell only.
    Nothing,
    /// Calls, so many at least.
    Calls(u32),
    /// No part of it any more.
    ToLeave,
}

enum Seized {
    /// A place: whether it is for a probe, and whether another call is put by.
    Place { probe: bool, reserves: bool },
    /// As many calls as may be are under way.
    Full,
    /// The grant is used up.
    Spent,
}

impl Place {
    /// Tells what came of the calls that were made in it.
    pub async fn done(mut self, calls: u32, signal: Signal) {
        self.told = true;
        let urgent = {
            let mut local = self.governor.local();
            let report = &mut local.report;
            match (calls, signal) {
                (0, _) => report.unused += 1,
                (calls, _) => report.beyond += calls - 1,
            }
            match signal {
                Signal::Idle => report.not_probed |= self.probe,
                Signal::Fine => {
                    report.answered += 1;
                    report.failed = 0;
                }
                Signal::Throttled(asked) => {
                    report.throttled = true;
                    report.answered += 1;
                    report.failed = 0;
                    let asked = asked.unwrap_or(Duration::from_secs(1));
                    report.asked = report.asked.max(Some(asked));
                }
                Signal::Unavailable(asked) => {
                    report.failed += 1;
                    report.asked = report.asked.max(asked);
                }
            }
            let urgent = report.is_urgent() || self.probe;
            if urgent {
                // What was granted before counts no more.
                if let Some(grant) = local.grant.take() {
                    local.report.unused += grant.calls;
                }
            }
            urgent
        };
        if urgent {
            self.governor.tell().await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.told {
            self.governor.local().report.not_probed |= self.probe;
        }
        self.governor.release();
    }
}
