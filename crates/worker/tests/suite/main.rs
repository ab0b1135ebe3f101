//! Workers on real stores before the simulators of both CRMs: what becomes of operations, and what
//! reaches the CRM.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails, fails"
)]

mod asks;
mod broken;
mod buried;
mod carried;
mod fairness;
mod faults;
mod groups;
mod life;
mod many;
mod order;
mod relayed;
mod world;
