//! Works on queued operations: decides, coalesces, writes once, settles; fair to the org.
//!
//! ```text
//! job ─begin─▶ deciding ─look over, rule─▶ permitted ─batch, place─▶ writing ─learn─▶ its end
//! (queue)      (store)   (enforce)                     (governor)     (enforce)
//! ```
//!
//! A [`Worker`] takes jobs from the queue of each connection. What a job names is begun in the
//! store, judged, and, where it may be written, handed to the connection's batcher, which sends
//! what may go together in one call as soon as the [`Governor`] has a place for it.
//!
//! INVARIANT: nothing waits in memory for long. What cannot go soon goes back to the store with
//! the time at which it can.
//! INVARIANT: a worker that dies, is paused or loses the store leaves rows whose lease ends;
//! whoever takes them next reads back what may have been sent.

mod batch;
mod begin;
mod bury;
pub mod callbacks;
pub mod drafts;
pub mod fair;
pub mod governor;
mod group;
mod handler;
mod leases;
mod line;
mod meters;
pub mod relay;
pub mod settings;
mod single;
pub mod stages;
mod sweep;
mod trace;
pub mod worker;

pub use callbacks::Teller;
pub use drafts::{Drafted, Drafts, FormDrafts};
pub use governor::Governor;
pub use relay::Relay;
pub use settings::{Keeping, Settings};
pub use worker::{Ended, LineParts, Parts, Worker};
