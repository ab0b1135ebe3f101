//! Claims jobs, and waits for them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::held::patience;
use crate::line::Shared;
use crate::suspects;
use crate::ticket::Ticket;

/// A claim that comes sooner than this after the last one shows that jobs are quick.
const QUICK: Duration = Duration::from_millis(100);

/// How many jobs to claim. What is claimed ahead waits for a free place here while another process
/// may have one: only where jobs are quick, a call saved is worth that.
#[derive(Debug, Default)]
pub(crate) struct Appetite(Mutex<Pace>);

#[derive(Debug, Default)]
struct Pace {
    last: Option<Instant>,
    ahead: usize,
}

impl Appetite {
    fn next(&self, free: usize, batch: usize) -> usize {
        let mut pace = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let quick = pace.last.is_some_and(|last| now - last < QUICK);
        pace.ahead = if quick {
            (pace.ahead * 2).clamp(2, batch.max(2))
        } else {
            0
        };
        pace.last = Some(now);
        free.max(pace.ahead).clamp(1, batch.max(1))
    }

    /// After a wait: nothing is known about how quick jobs are.
    fn rest(&self) {
        let mut pace = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *pace = Pace::default();
    }
}

/// Claims until there is something. Never gives nothing: apalis would leave nobody to wake it.
pub(crate) async fn next(line: &Arc<Shared>) -> Vec<Ticket> {
    let mut failures = 0;
    loop {
        if line.stopping.is_cancelled() {
            // The worker that asks is about to be closed, and drops this.
            std::future::pending::<()>().await;
        }
        line.held.at_most(line.most_held()).await;
        match claim(line).await {
            Some(tickets) if tickets.is_empty() => {
                failures = 0;
                line.appetite.rest();
                let pushed = line.jobs.pushed(&line.spec.name, line.spec.poll);
                let woken = async {
                    tokio::select! {
                        () = pushed => {}
                        () = line.put_back.notified() => {}
                    }
                };
                if line.caught("pushed", woken).await.is_none() {
                    tokio::time::sleep(line.spec.poll).await;
                }
            }
            Some(tickets) => return tickets,
            None => {
                tokio::time::sleep(patience(failures, line.salt)).await;
                failures = failures.saturating_add(1);
            }
        }
    }
}

/// Claims once; `None` where the store could not be asked. The claim itself is never cut off in the
/// middle: when nobody waits for it any more, its jobs are handed back.
async fn claim(line: &Arc<Shared>) -> Option<Vec<Ticket>> {
    let claiming = Arc::clone(line);
    let claimed = line.claims.spawn(async move {
        let free = claiming.free();
        let want = claiming.appetite.next(free, claiming.spec.batch);
        let spec = &claiming.spec;
        let safe_until = Instant::now() + spec.lease;
        let jobs = claiming
            .jobs
            .claim(&spec.name, &claiming.owner, want, spec.lease);
        let claimed = claiming.guarded("claim", jobs).await.ok()?;
        claiming.meters.claimed(claimed.len());
        Some(suspects::admit(&claiming, claimed, safe_until).await)
    });
    claimed.await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_jobs_are_claimed_ahead_and_slow_ones_are_not() {
        let appetite = Appetite::default();
        assert_eq!(appetite.next(1, 100), 1, "nothing is known yet");
        let ahead: Vec<usize> = (0..8).map(|_| appetite.next(1, 100)).collect();
        assert_eq!(ahead, [2, 4, 8, 16, 32, 64, 100, 100]);
        appetite.rest();
        assert_eq!(appetite.next(3, 100), 3);
        std::thread::sleep(QUICK * 2);
        assert_eq!(appetite.next(0, 100), 1);
        assert_eq!(appetite.next(500, 100), 100, "never more than a batch");
    }
}
