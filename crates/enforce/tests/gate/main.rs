//! The gate before a fake CRM: what reaches it, what is recorded, what callers are told.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails, fails"
)]

mod approved;
mod judged;
mod lost;
mod observed;
mod once;
mod properties;
mod recorded;
mod remembered;
mod turns;
mod world;
