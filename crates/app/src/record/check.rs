//! The record verifies itself: its end at every start, all of it slowly and again and again.

use std::time::Duration;

use crmgate_store::StoreError;
use crmgate_store::checkpoint::Checkpoint;
use crmgate_store::verify::{Report, Verification};

use super::Record;

/// How many entries at the end are verified at once.
const TAIL: u64 = 2_000;
/// How many entries are read together.
const PAGE: usize = 250;
/// The pause between two pages of a full pass: decisions go first.
const PAUSE: Duration = Duration::from_millis(25);
/// When a pass that could not read is tried again.
const AGAIN: Duration = Duration::from_secs(60);

/// What was found out, and the decisions that listings would not find.
type Checked = (Report, Vec<u64>);

impl Record {
    /// Verifies the end, then everything, then everything again after a while.
    pub(super) async fn check_always(&self) {
        if let Ok(last) = self.store.feed_end().await
            && last > TAIL
        {
            self.learn_check(self.pass(last - TAIL, Duration::ZERO).await);
        }
        loop {
            let report = self.pass(0, PAUSE).await;
            let pause = if report.is_ok() {
                self.parts.settings.check_every
            } else {
                AGAIN
            };
            self.learn_check(report);
            tokio::time::sleep(pause).await;
        }
    }

    async fn pass(&self, from: u64, pause: Duration) -> Result<Checked, StoreError> {
        let checkpoints = self.signed_checkpoints().await?;
        let mut check = if from > 0 {
            Verification::tail(checkpoints, from)
        } else {
            Verification::new(checkpoints)
        };
        let mut after = from;
        let mut misfiled = Vec::new();
        loop {
            let page = self.store.entries(after, PAGE).await?;
            let before = after;
            for raw in &page {
                check.take(raw);
                after = raw.entry.position;
            }
            misfiled.extend(self.store.misfiled(before, after).await?);
            if page.len() < PAGE {
                return Ok((check.finish(), misfiled));
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// All stored checkpoints; one that the key did not sign is left out and told.
    async fn signed_checkpoints(&self) -> Result<Vec<Checkpoint>, StoreError> {
        let mut signed = Vec::new();
        let Some(key) = &self.parts.key else {
            return Ok(signed);
        };
        let mut after = 0;
        loop {
            let page = self.store.checkpoints(after, PAGE).await?;
            for stored in &page {
                after = stored.number;
                match key.verifier.read(&stored.jws) {
                    Ok(checkpoint) => signed.push(checkpoint),
                    Err(error) => {
                        tracing::warn!(number = stored.number, %error, "a checkpoint is not ours");
                    }
                }
            }
            if page.len() < PAGE {
                return Ok(signed);
            }
        }
    }

    fn learn_check(&self, report: Result<Checked, StoreError>) {
        let mut known = self.known();
        let (report, misfiled) = match report {
            Ok(checked) => checked,
            Err(error) => {
                tracing::warn!(%error, "the record could not be verified");
                known.check_problem = Some(format!("the record could not be verified: {error}"));
                return;
            }
        };
        known.check_problem = misfiled.first().map(|first| {
            tracing::error!(
                decisions = misfiled.len(),
                first,
                "decisions are filed wrongly"
            );
            let count = misfiled.len();
            format!("listings do not find {count} decisions by what they are, first entry {first}")
        });
        let faults = report.faults.len() as u64
            + report.more_faults
            + report.payloads.missing
            + misfiled.len() as u64;
        // Who changes what is listed changes what people see of the record: it is no whole one.
        let whole = report.whole && misfiled.is_empty();
        metrics::gauge!("crmgate_record_whole").set(if whole { 1.0 } else { 0.0 });
        metrics::gauge!("crmgate_record_faults").set(number(faults));
        metrics::gauge!("crmgate_record_verified_entries").set(number(report.entries));
        if whole {
            tracing::info!(entries = report.entries, "the record is as it was written");
        } else {
            for fault in report.faults.iter().take(10) {
                tracing::error!(fault = fault.message, "the record is not as it was written");
            }
        }
        known.report = Some(report);
    }
}

/// A count as a metric's value; exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "a metric's value is a float")]
const fn number(count: u64) -> f64 {
    count as f64
}
