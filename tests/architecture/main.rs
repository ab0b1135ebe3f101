//! The structure, held: which crate may use which, who may open which door, what lies at the top.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's failure is its message"
)]

mod doors;
mod edges;
mod files;
mod workspace;
