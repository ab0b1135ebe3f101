//! What this process holds of a queue: everything claimed and not settled.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crmgate_store::Claimed;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A lease of ours.
#[derive(Debug)]
struct Lease {
    number: u64,
    /// Until when it lasts by our own clock, which began to count before the store's did.
    safe_until: Instant,
    lost: CancellationToken,
    attempts: u32,
}

/// Leases by the names of their jobs.
#[derive(Debug, Default)]
pub(crate) struct Held {
    leases: Mutex<HashMap<String, Lease>>,
    fewer: Notify,
}

impl Held {
    fn leases(&self) -> MutexGuard<'_, HashMap<String, Lease>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a lease in. A job that is claimed again while it is held was lost without our knowing.
    pub(crate) fn take(&self, claimed: &Claimed, safe_until: Instant) -> CancellationToken {
        let lost = CancellationToken::new();
        let lease = Lease {
            number: claimed.lease,
            safe_until,
            lost: lost.clone(),
            attempts: claimed.attempts,
        };
        if let Some(older) = self.leases().insert(claimed.id.clone(), lease) {
            older.lost.cancel();
        }
        lost
    }

    /// Whether this lease is still ours, for all we know.
    pub(crate) fn has(&self, id: &str, lease: u64) -> bool {
        let held = self.leases();
        held.get(id).is_some_and(|held| held.number == lease)
    }

    /// Whether one of the jobs has so many tries behind it.
    pub(crate) fn any(&self, is: impl Fn(u32) -> bool) -> bool {
        self.leases().values().any(|lease| is(lease.attempts))
    }

    /// All leases, to be renewed.
    pub(crate) fn all(&self) -> Vec<(String, u64)> {
        let held = self.leases();
        let pairs = held.iter().map(|(id, lease)| (id.clone(), lease.number));
        pairs.collect()
    }

    /// Forgets leases that were settled.
    pub(crate) fn release<'a>(&self, settled: impl Iterator<Item = (&'a str, u64)>) {
        let mut held = self.leases();
        for (id, lease) in settled {
            remove(&mut held, id, lease);
        }
        drop(held);
        self.fewer.notify_waiters();
    }

    /// Takes down which leases were renewed, and which are lost.
    pub(crate) fn renewed(&self, asked: &[(String, u64)], lost: &[String], safe_until: Instant) {
        let mut held = self.leases();
        for (id, lease) in asked {
            if lost.contains(id) {
                if let Some(gone) = remove(&mut held, id, *lease) {
                    gone.lost.cancel();
                }
            } else if let Some(kept) = held.get_mut(id).filter(|kept| kept.number == *lease) {
                kept.safe_until = kept.safe_until.max(safe_until);
            }
        }
        drop(held);
        self.fewer.notify_waiters();
    }

    /// Tells those whose leases may have run out, as far as our own clock knows: how many. They stay
    /// held, for nobody may have taken them.
    pub(crate) fn doubt(&self, now: Instant) -> u64 {
        let held = self.leases();
        let mut told = 0;
        for lease in held.values().filter(|lease| lease.safe_until <= now) {
            if !lease.lost.is_cancelled() {
                lease.lost.cancel();
                told += 1;
            }
        }
        told
    }

    pub(crate) fn count(&self) -> usize {
        self.leases().len()
    }

    /// Waits until no more than so many are held.
    pub(crate) async fn at_most(&self, most: usize) {
        self.until(|held| held.count() <= most).await;
    }

    /// Waits until none of these is held.
    pub(crate) async fn gone(&self, leases: &[(String, u64)]) {
        let gone = |held: &Self| leases.iter().all(|(id, lease)| !held.has(id, *lease));
        self.until(gone).await;
    }

    async fn until(&self, is: impl Fn(&Self) -> bool) {
        loop {
            let fewer = self.fewer.notified();
            tokio::pin!(fewer);
            fewer.as_mut().enable();
            if is(self) {
                return;
            }
            fewer.await;
        }
    }
}

fn remove(held: &mut HashMap<String, Lease>, id: &str, lease: u64) -> Option<Lease> {
    match held.entry(id.to_owned()) {
        Entry::Occupied(found) if found.get().number == lease => Some(found.remove()),
        _ => None,
    }
}

/// How long to wait after so many failures in a row: from 0.1 s to 5 s, spread by who waits.
pub(crate) fn patience(failures: u32, salt: u64) -> Duration {
    let full = 100_u64.saturating_mul(1 << failures.min(6)).min(5_000);
    let spread = salt
        .wrapping_add(u64::from(failures))
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        >> 32;
    Duration::from_millis(full / 2 + spread % (full / 2 + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimed(id: &str, lease: u64) -> Claimed {
        Claimed {
            id: id.to_owned(),
            lease,
            attempts: 0,
            most_attempts: 3,
        }
    }

    fn later(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    #[test]
    fn a_job_that_comes_again_was_lost() {
        let held = Held::default();
        let older = held.take(&claimed("a", 1), later(9));
        let newer = held.take(&claimed("a", 2), later(9));
        assert!(older.is_cancelled() && !newer.is_cancelled());
        assert!(held.has("a", 2) && !held.has("a", 1));
        held.release([("a", 1)].into_iter());
        assert_eq!(held.count(), 1, "only the lease that was settled goes");
    }

    #[test]
    fn what_the_store_calls_lost_is_lost() {
        let held = Held::default();
        let (a, b) = (
            held.take(&claimed("a", 1), later(9)),
            held.take(&claimed("b", 2), later(9)),
        );
        held.renewed(&held.all(), &["b".to_owned()], later(20));
        assert!(!a.is_cancelled() && b.is_cancelled());
        assert_eq!(held.all(), [("a".to_owned(), 1)]);
        assert_eq!(held.doubt(later(15)), 0, "it was renewed");
        assert_eq!(
            (held.doubt(later(30)), held.doubt(later(30))),
            (1, 0),
            "told once"
        );
        assert!(a.is_cancelled());
        assert_eq!(held.count(), 1, "nobody may have taken it");
    }

    #[test]
    fn patience_grows_to_a_bound() {
        for salt in [0, 7, u64::MAX] {
            for failures in 0..50 {
                let wait = patience(failures, salt);
                assert!(wait >= Duration::from_millis(50) && wait <= Duration::from_secs(5));
            }
            assert!(patience(40, salt) >= Duration::from_millis(2_500));
        }
    }
}
