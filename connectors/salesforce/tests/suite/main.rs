//! The Salesforce connector against the simulator, and its exact exchanges against a stub.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail loudly"
)]

mod canonical;
mod conformance;
mod lifecycle;
mod signing_in;
mod spellings;
mod support;
mod together;
mod together_wire;
mod unkeyed;
mod wire;
