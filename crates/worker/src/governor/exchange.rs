//! What one process takes from what all share, and what it tells them.

use std::time::Duration;

use crmgate_domain::Timestamp;
use crmgate_store::{StoreError, Swapped};

use super::{Governor, Purpose};
use crate::fair::{Grant, Report, Rules, Shared, Wait};

/// How often it is tried to change the cell when others are faster.
const SWAPS: usize = 16;
/// After so long without a change nothing in the cell matters any more.
const KEEP: Duration = Duration::from_secs(2 * 24 * 60 * 60);
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

impl Governor {
    /// Takes more calls from what all processes share.
    pub(super) async fn draw(&self, need: u32) -> Result<(), Wait> {
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
    pub(super) async fn tell(&self) {
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
}
