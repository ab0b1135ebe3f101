//! Workers on real queues: what must go well, and every way in which it was seen to go wrong.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests"
)]

mod drain;
mod faults;
mod order;
mod outages;
mod processes;
mod support;
