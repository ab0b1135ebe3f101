//! What authors run, over a small folder of policies that has something of everything.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod benches;
mod catalogue;
mod folder;
mod inputs;
mod reports;
mod suites;
