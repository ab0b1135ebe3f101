//! The gateway before a connection that does as it is told.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail loudly")]

mod answers;
mod limits;
mod requests;
mod support;
mod wire;
