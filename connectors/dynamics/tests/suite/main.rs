//! The Dynamics connector against the simulator, and its exact exchanges against a stub.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail loudly"
)]

mod conformance;
mod doors;
mod lifecycle;
mod records;
mod signing_in;
mod support;
mod together;
mod together_wire;
mod unkeyed;
mod wire;
