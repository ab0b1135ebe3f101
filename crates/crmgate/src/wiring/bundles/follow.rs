//! Follows bundles: asks servers again and again, and looks at files.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crmgate_app::Policies;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::fetch::Fetched;
use super::{Bundles, Slot, Trouble, told};
use crate::config::{HttpOrigin, Origin};

/// How often a file is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// A file that is broken is read again this often, changed or not: what it lacks may be elsewhere.
const AGAIN: Duration = Duration::from_secs(15);
/// The first pause after a failure; it doubles up to the longest delay.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// What a look brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Same,
    Changed,
}

impl Bundles {
    /// Follows every bundle until `stop`; files only where files are watched.
    pub(crate) fn follow(
        self: &Arc<Self>,
        policies: &Arc<Policies>,
        watch_files: bool,
        stop: &CancellationToken,
    ) {
        self.settle(policies);
        for at in 0..self.all.len() {
            let (bundles, policies) = (Arc::clone(self), Arc::clone(policies));
            let stop = stop.clone();
            tokio::spawn(async move {
                let Some(slot) = bundles.all.get(at) else {
                    return;
                };
                let work = bundles.follow_one(slot, &policies, watch_files);
                stop.run_until_cancelled(work).await;
            });
        }
    }

    /// What was prepared is in force when the start went well.
    pub(super) fn settle(&self, policies: &Policies) {
        let status = policies.status();
        for slot in &self.all {
            let broken = match &slot.source.connection {
                None => status.broken_since.is_some(),
                Some(name) => {
                    status.broken_since.is_some()
                        || status
                            .connections
                            .iter()
                            .any(|layer| layer.connection == *name)
                }
            };
            let mut state = slot.state();
            if state.active.is_some() && !broken {
                state.since.get_or_insert(self.ambient.now());
            }
        }
    }

    async fn follow_one(&self, slot: &Slot, policies: &Policies, watch_files: bool) {
        let fresh = {
            let state = slot.state();
            state.active.is_some() && !state.from_copy && state.since.is_some()
        };
        if fresh {
            told::well(slot, self.ambient.now());
        }
        let unsaved = slot.state().unsaved.take();
        if let (true, Some(held), Some(archive)) = (fresh, slot.held(), unsaved) {
            self.keep(slot, &held, &archive).await;
        }
        match &slot.source.origin {
            Origin::Http(http) => self.poll(slot, http, policies, fresh).await,
            Origin::File(file) if watch_files => self.watch(slot, file, policies, fresh).await,
            Origin::File(_) => {}
        }
    }

    async fn poll(&self, slot: &Slot, http: &HttpOrigin, policies: &Policies, fresh: bool) {
        let mut failures = 0;
        if fresh {
            tokio::time::sleep(between(http, self.chance())).await;
        }
        loop {
            let asked = Instant::now();
            let waited = slot.state().long_poll && http.long_poll.is_some();
            let looked = self.look(slot, policies).await;
            failures = if looked.is_ok() { 0 } else { failures + 1 };
            let can_wait = slot.state().long_poll && http.long_poll.is_some();
            let pause = match looked {
                Err(_) => after_failure(http.max_delay, failures, self.chance()),
                // A server that waits is asked again at once, unless it did not wait after all.
                Ok(_) if can_wait && (!waited || asked.elapsed() >= LOOK) => Duration::ZERO,
                Ok(Seen::Changed) if can_wait => LOOK,
                Ok(_) => between(http, self.chance()),
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn watch(&self, slot: &Slot, file: &Path, policies: &Policies, fresh: bool) {
        let mut seen = if fresh { looks(file) } else { None };
        let mut failed: Option<Instant> = None;
        loop {
            tokio::time::sleep(LOOK).await;
            // Looked at before it is read: what changes in between is seen at the next look.
            let now = looks(file);
            let again = failed.is_some_and(|at| at.elapsed() >= AGAIN);
            if now != seen || again {
                seen = now;
                let looked = self.look(slot, policies).await;
                failed = looked.is_err().then(Instant::now);
            }
        }
    }

    /// Asks once, and puts what is new into force.
    pub(super) async fn look(&self, slot: &Slot, policies: &Policies) -> Result<Seen, Trouble> {
        let looked = self.look_quietly(slot, policies).await;
        let now = self.ambient.now();
        match &looked {
            Ok(Seen::Same) => {
                told::fetched(slot, "same");
                told::well(slot, now);
            }
            Ok(Seen::Changed) => {
                told::fetched(slot, "changed");
                told::well(slot, now);
            }
            Err(trouble) => {
                told::fetched(slot, trouble.code);
                told::trouble(slot, trouble, now);
            }
        }
        looked
    }

    async fn look_quietly(&self, slot: &Slot, policies: &Policies) -> Result<Seen, Trouble> {
        let active = slot.state().active.clone();
        let etag = active.as_ref().and_then(|held| held.etag.clone());
        let fetched = self.fetch(slot, etag.as_deref()).await?;
        let Fetched::New {
            archive,
            etag,
            long_poll,
        } = fetched
        else {
            self.same(slot, policies);
            return Ok(Seen::Same);
        };
        slot.state().long_poll = long_poll;
        let held = self.check(slot, &archive, etag).await?;
        let same = active.as_ref().is_some_and(|active| {
            active.bundle.digest == held.bundle.digest && active.etag == held.etag
        });
        if same && slot.state().since.is_some() {
            self.same(slot, policies);
            return Ok(Seen::Same);
        }
        self.offer(slot, held, &archive, policies).await?;
        Ok(Seen::Changed)
    }

    /// The source has what is here, which may have come into force by somebody else's reload.
    fn same(&self, slot: &Slot, policies: &Policies) {
        slot.state().from_copy = false;
        if slot.state().since.is_none() {
            self.settle(policies);
        }
    }

    /// From 0 up to 1.
    fn chance(&self) -> f64 {
        let [a, b, c, d, ..] = self.ambient.random();
        f64::from(u32::from_be_bytes([a, b, c, d])) / (f64::from(u32::MAX) + 1.0)
    }
}

/// A time between the two, so that many gates do not ask in step.
pub(super) fn between(http: &HttpOrigin, chance: f64) -> Duration {
    let span = http.max_delay.saturating_sub(http.min_delay);
    http.min_delay + span.mul_f64(chance)
}

/// Twice as long after each failure, between half and whole.
pub(super) fn after_failure(longest: Duration, failures: u32, chance: f64) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(longest).mul_f64(0.5 + chance / 2.0)
}

/// How a file looks from outside.
fn looks(file: &Path) -> Option<(u64, Option<SystemTime>)> {
    let about = std::fs::metadata(file).ok()?;
    Some((about.len(), about.modified().ok()))
}
