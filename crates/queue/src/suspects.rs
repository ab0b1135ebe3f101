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

/// So many tries that came to nothing make a suspect. A process that dies once, as machines do,
/// slows nothing down.
const BROKEN_OFF: u32 = 2;
/// How far apart suspects that wait for each other come back.
const APART: Duration = Duration::from_millis(100);

/// Whether a job may be what breaks off whoever looks at it.
pub(crate) const fn is_suspect(claimed: &Claimed) -> bool {
    claimed.attempts >= BROKEN_OFF
}

/// Takes claimed jobs in hand, of suspects no more than one at a time. Returns once the store has
/// the others back.
pub(crate) async fn admit(
    line: &Arc<Shared>,
    claimed: Vec<Claimed>,
    safe_until: Instant,
) -> Vec<Ticket> {
    let mut suspects = u32::from(line.held.has_suspect());
    let mut tickets = Vec::with_capacity(claimed.len());
    let mut later = Vec::new();
    for one in claimed {
        suspects += u32::from(is_suspect(&one));
        let waits = is_suspect(&one) && suspects > 1;
        let lost = line.held.take(&one, safe_until);
        let name = (one.id.clone(), one.lease);
        let ticket = Arc::new(Slip::new(Arc::clone(line), one, lost));
        if waits {
            ticket.settle(Verdict::Again(APART * (suspects - 1)));
            later.push(name);
        } else {
            tickets.push(ticket);
        }
    }
    line.held.gone(&later).await;
    tickets
}
