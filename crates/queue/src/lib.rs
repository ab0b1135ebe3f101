//! Workers over queues of jobs: apalis on the stores of crmgate.
//!
//! [`Workers`] runs one apalis worker for each queue, over any [`Jobs`](crmgate_store::Jobs). A
//! queue's backlog, failures and slow handlers are its own.
//!
//! INVARIANT: a claimed job is settled once: with what its [`Handler`] said, or, when nobody looked
//! at it to the end, by handing it back; whatever happens to the worker. Only a process that dies
//! leaves it to its lease.
//! INVARIANT: leases are renewed and verdicts are stored outside of the worker's poll loop: neither
//! a full worker nor a slow handler delays them.

mod claim;
mod handler;
mod held;
mod line;
mod meters;
mod settle;
mod source;
mod spec;
mod suspects;
mod tend;
mod ticket;
mod watch;
mod workers;

pub use handler::{Handler, Job};
pub use spec::QueueSpec;
pub use watch::watch;
pub use workers::{Drained, Workers};
