//! Keeps leases alive, and ends those of processes that are gone.

use std::sync::Arc;

use tokio::time::{Instant, MissedTickBehavior};

use crate::line::Shared;

/// How many leases are renewed in one call.
const RENEWED: usize = 1_000;
/// How many run-out leases are ended at once.
const REAPED: usize = 500;

/// Renews until the line is gone.
pub(crate) async fn renew(line: Arc<Shared>) {
    let mut ticks = tokio::time::interval(line.spec.lease / 3);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // First what our own clock says: a process that was paused must not go on as if it had
        // not been.
        let doubtful = line.held.doubt(Instant::now());
        line.meters.lost(doubtful);
        let held = line.held.all();
        for some in held.chunks(RENEWED) {
            renew_some(&line, some).await;
        }
        line.held.doubt(Instant::now());
    }
}

async fn renew_some(line: &Shared, some: &[(String, u64)]) {
    let safe_until = Instant::now() + line.spec.lease;
    let renewed = line.jobs.renew(&line.spec.name, some, line.spec.lease);
    let within = tokio::time::timeout(line.spec.lease / 3, line.guarded("renew", renewed));
    match within.await {
        Ok(Ok(lost)) => {
            line.meters.lost(lost.len() as u64);
            line.held.renewed(some, &lost, safe_until);
        }
        Ok(Err(_)) => {}
        Err(_) => line.meters.failed("renew"),
    }
}

/// Ends what ran out until the line is gone: whoever comes first does it for all processes.
pub(crate) async fn reap(line: Arc<Shared>) {
    let mut ticks = tokio::time::interval(line.spec.lease / 3);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let reaped = line.guarded("reap", line.jobs.reap(&line.spec.name, REAPED));
        let Ok(reaped) = reaped.await else { continue };
        line.meters.reaped(&reaped);
        let count = reaped.returned + reaped.dead.len() as u64;
        if count > 0 {
            tracing::info!(
                queue = &*line.spec.name,
                returned = reaped.returned,
                dead = reaped.dead.len(),
                "leases ran out; their workers are gone or were paused"
            );
        }
        if !reaped.dead.is_empty() {
            let told = line.handler.died(&line.spec.name, reaped.dead);
            line.caught("died", told).await;
        }
        if count >= REAPED as u64 {
            ticks.reset_immediately();
        }
    }
}
