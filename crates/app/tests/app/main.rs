//! The use cases over a fake CRM.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails, fails"
)]

mod access;
mod approvals;
mod callers;
mod connections;
mod health;
mod operations;
mod record;
mod revisions;
mod serving;
mod validate;
mod world;
