//! Workers on real queues: what must go well, and every way in which it was seen to go wrong.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod drain;
mod faults;
mod order;
mod outages;
mod processes;
mod support;
