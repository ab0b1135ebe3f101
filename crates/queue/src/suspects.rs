//! Jobs over which processes broke off go one at a time.
//!
//! When a process dies, every job that it had in hand has lost a try, and nobody can say which of
//! them took it down. Run beside each other again, the innocent would be counted to death with the
//! guilty one. So a process looks at one suspect at a time, and the others are back in the store
//! before it begins: whatever the one does to the process costs them nothing.

use std::sync::Arc;
use std::time::Duration;

use crmgate_store::{Claimed, Verdict};
use tokio::time::Instant;

use crate::line::Shared;
use crate::ticket::{Slip, Ticket};

/// How far apart suspects that wait for each other come back.
const APART: Duration = Duration::from_millis(100);

/// Takes claimed jobs in hand, of suspects no more than one at a time. Returns once the store has
/// the others back.
pub(crate) async fn admit(
    line: &Arc<Shared>,
    claimed: Vec<Claimed>,
    safe_until: Instant,
) -> Vec<Ticket> {
    let after = line.spec.suspect_after.unwrap_or(u32::MAX);
    let is_suspect = |attempts: u32| attempts >= after;
    let mut suspects = u32::from(line.held.any(is_suspect));
    let mut tickets = Vec::with_capacity(claimed.len());
    let mut later = Vec::new();
    for one in claimed {
        let suspect = is_suspect(one.attempts);
        suspects += u32::from(suspect);
        let lost = line.held.take(&one, safe_until);
        let name = (one.id.clone(), one.lease);
        let ticket = Arc::new(Slip::new(Arc::clone(line), one, lost));
        if suspect && suspects > 1 {
            ticket.settle(Verdict::Again(APART * (suspects - 1)));
            later.push(name);
        } else {
            tickets.push(ticket);
        }
    }
    line.held.gone(&later).await;
    tickets
}
